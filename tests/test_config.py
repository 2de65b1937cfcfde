"""The configuration: what wins over what, what is refused and how it says so, and the file that voxpipe init writes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from voxpipe.config import Config, ProviderConfig, SessionConfig, format_address, parse_address, structure_config
from voxpipe.config_file import load_config, toml_template
from voxpipe.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    """A TOML file."""
    file = folder / "voxpipe.toml"
    file.write_text(text, encoding="utf-8")
    return file


def look_up(config: Config, path: str) -> Any:
    """The value at a key's path."""
    value: Any = config
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


# --- what wins --------------------------------------------------------------------------------------------------------


def test_without_anything_there_are_the_defaults() -> None:
    """No file, no variable, no flag: the defaults, which bring a gateway up."""
    assert load_config(environ={}) == Config()


def test_environment_wins_over_the_file_and_flags_over_both(tmp_path: Path) -> None:
    """Each of the three overrides key by key, and leaves the neighbours of a key alone."""
    file = write(tmp_path, '[session]\nvoice = "file"\nspeed = 1.1\ngreeting = "file"\n[gateway]\nmax_legs = 7\n')
    environ = {"VOXPIPE_SESSION__VOICE": "environment", "VOXPIPE_SESSION__SPEED": "1.2"}
    config = load_config(file, environ=environ, overrides={"session.voice": "flag"})
    assert config.session == SessionConfig(voice="flag", speed=1.2, greeting="file")
    assert config.gateway.max_legs == 7


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, the process's own is taken."""
    monkeypatch.setenv("VOXPIPE_GATEWAY__MAX_LEGS", "3")
    assert load_config().gateway.max_legs == 3


ENVIRONMENT: list[tuple[str, str, str, Any]] = [
    ("VOXPIPE_GATEWAY__MAX_LEGS", "12", "gateway.max_legs", 12),
    ("VOXPIPE_GATEWAY__DRAIN_TIMEOUT_S", "3", "gateway.drain_timeout_s", 3.0),
    ("VOXPIPE_PROVIDER__ACK_TIMEOUT_S", "0.5", "provider.ack_timeout_s", 0.5),
    ("VOXPIPE_SESSION__INSTRUCTIONS", 'Say "hi" = 5, ok?', "session.instructions", 'Say "hi" = 5, ok?'),
    ("VOXPIPE_SESSION__INSTRUCTIONS", "3", "session.instructions", "3"),
    ("VOXPIPE_SESSION__INSTRUCTIONS", "true", "session.instructions", "true"),
    ("VOXPIPE_SESSION__INSTRUCTIONS", "", "session.instructions", ""),
    ("VOXPIPE_SESSION__INSTRUCTIONS", "two\nlines", "session.instructions", "two\nlines"),
    ("VOXPIPE_SESSION__TURN_DETECTION__TYPE", "semantic_vad", "session.turn_detection.type", "semantic_vad"),
    ("VOXPIPE_SESSION__TURN_DETECTION__CREATE_RESPONSE", "false", "session.turn_detection.create_response", False),
    ("VOXPIPE_SESSION__TURN_DETECTION__THRESHOLD", "0.75", "session.turn_detection.threshold", 0.75),
    ("VOXPIPE_SESSION__TRANSCRIPTION__LANGUAGE", "no", "session.transcription.language", "no"),
    ("VOXPIPE_PROVIDER__FORMATS", '["ulaw8", "pcm24"]', "provider.formats", ("ulaw8", "pcm24")),
    ("VOXPIPE_PROVIDER__HEADERS", '{ X-Tenant = "7" }', "provider.headers", {"X-Tenant": "7"}),
    ("VOXPIPE_PROVIDER__HEADERS__X-TENANT", "7", "provider.headers", {"x-tenant": "7"}),
    ("VOXPIPE_PROVIDER__QUERY__DEBUG", "true", "provider.query", {"debug": "true"}),
    ("VOXPIPE_SESSION__EXTRA__TEMPERATURE", "0.7", "session.extra", {"temperature": 0.7}),
    ("VOXPIPE_SESSION__EXTRA__TOOL_CHOICE", "none", "session.extra", {"tool_choice": "none"}),
    ("VOXPIPE_SESSION__EXTRA__AUDIO__OUTPUT", "{ a = 1 }", "session.extra", {"audio": {"output": {"a": 1}}}),
    ("VOXPIPE_LOG__AUDIO", "sidecar", "log.audio", "sidecar"),
]


@pytest.mark.parametrize(("name", "text", "path", "expected"), ENVIRONMENT, ids=lambda value: str(value)[:50])
def test_a_variable_is_read_as_its_key_wants_it(name: str, text: str, path: str, expected: Any) -> None:
    """Text stays text whatever it looks like; numbers, truth, lists and tables are written as in TOML."""
    value = look_up(load_config(environ={name: text}), path)
    assert value == expected
    assert type(value) is type(expected)


def test_a_flag_may_be_text_or_a_value() -> None:
    """A program gives values, a command line gives text; both mean the same."""
    values = {"gateway.max_legs": 5, "provider.formats": ["ulaw8"], "session.turn_detection.create_response": False}
    texts = {
        "gateway.max_legs": "5",
        "provider.formats": '["ulaw8"]',
        "session.turn_detection.create_response": "false",
    }
    assert load_config(environ={}, overrides=values) == load_config(environ={}, overrides=texts)


def test_other_variables_are_left_alone() -> None:
    """Only VOXPIPE_TABLE__KEY is a key: variables of other programs, or of ours without a table, are no error."""
    assert load_config(environ={"VOXPIPE_HOME": "/x", "PATH": "/bin", "OTHER__KEY": "1"}) == Config()


def test_nested_tables_of_the_file_are_read(tmp_path: Path) -> None:
    """Tables within tables, as the template writes them."""
    text = '[session.turn_detection]\ntype = "none"\n[session.extra]\ntools = [{ type = "function", name = "f" }]\n'
    session = load_config(write(tmp_path, text), environ={}).session
    assert session.turn_detection.type == "none"
    assert session.extra == {"tools": [{"type": "function", "name": "f"}]}


# --- what is refused --------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, Any, str]] = [
    ("gateway.max_legs", 0, "expected 1 to 100000, got 0"),
    ("gateway.max_legs", "many", "expected a whole number, got 'many'"),
    ("gateway.max_legs", 2.5, "expected a whole number, got 2.5"),
    ("gateway.max_legs", True, "expected a whole number, got True"),
    ("gateway.max_legs", "", "expected a whole number, got ''"),
    ("tools.builtin", ["fly"], "expected tools of hang_up, send_to, wait, collect_digits, got 'fly'"),
    ("tools.max_calls", 0, "expected 1 to 1000, got 0"),
    ("gateway.listen", "9092", "expected HOST:PORT, got '9092'"),
    ("gateway.listen", "localhost:ninety", "expected HOST:PORT, got 'localhost:ninety'"),
    ("gateway.listen", "localhost:65536", "expected HOST:PORT, got 'localhost:65536'"),
    ("gateway.listen", 9092, "expected a string, got 9092"),
    ("gateway.drain_timeout_s", -1, "expected 0 to 86400, got -1"),
    ("gateway.drain_timeout_s", "nan", "expected 0 to 86400, got nan"),
    ("gateway.drain_timeout_s", "inf", "expected 0 to 86400, got inf"),
    ("gateway.drain_timeout_s", True, "expected a number, got True"),
    (
        "leg.format",
        "slin9",
        "expected a format such as alaw8, slin12, slin16, slin192, slin24, slin32, slin44, slin48,"
        " slin8, slin96, ulaw8, got 'slin9'",
    ),
    ("leg.write_timeout_s", 0, "expected 0.1 to 600, got 0"),
    ("provider.formats", [], "expected at least one format, got none"),
    ("provider.formats", "pcm24", "expected a list of strings, got 'pcm24'"),
    ("provider.formats", ["pcm24", 8], "expected a list of strings, got ['pcm24', 8]"),
    (
        "provider.formats",
        ["opus"],
        "expected a format such as alaw8, slin12, slin16, slin192, slin24, slin32, slin44,"
        " slin48, slin8, slin96, ulaw8, got 'opus'",
    ),
    ("provider.headers", "none", "expected a table, got 'none'"),
    ("provider.headers", {"X-Depth": 3}, "expected a table of strings, got X-Depth = 3"),
    ("provider.ping_interval_s", 0.5, "expected 1 to 600, got 0.5"),
    ("session.speed", 0.1, "expected 0, or 0.25 to 1.5, got 0.1"),
    ("session.speed", 1.6, "expected 0, or 0.25 to 1.5, got 1.6"),
    ("session.voice", 5, "expected a string, got 5"),
    ("session.noise_reduction", "loud", "expected none or near_field or far_field, got 'loud'"),
    ("session.noise_reduction", None, "expected none or near_field or far_field, got None"),
    ("session.turn_detection", "server_vad", "expected a table, got 'server_vad'"),
    ("session.turn_detection.type", ["none"], "expected server_vad or semantic_vad or none, got ['none']"),
    ("session.turn_detection.type", "vad", "expected server_vad or semantic_vad or none, got 'vad'"),
    ("session.turn_detection.threshold", 1.01, "expected 0 to 1, got 1.01"),
    ("session.turn_detection.idle_timeout_ms", 100, "expected 0, or 5000 to 30000, got 100"),
    ("session.turn_detection.create_response", "yes", "expected true or false, got 'yes'"),
    ("session.turn_detection.create_response", 1, "expected true or false, got 1"),
    ("session.extra", [], "expected a table, got a list"),
    ("log.audio", "all", "expected digest or inline or sidecar, got 'all'"),
    ("limits.uplink_ms", 10, "expected 20 to 60000, got 10"),
    ("gateway.port", 9092, "expected one of listen, max_legs, drain_timeout_s, got an unknown key"),
    (
        "session.turn_detection.treshold",
        0.5,
        "expected one of type, threshold, prefix_padding_ms, silence_duration_ms, "
        "idle_timeout_ms, eagerness, create_response, interrupt_response, got an unknown key",
    ),
    (
        "asterisk.host",
        "x",
        "expected one of gateway, leg, provider, session, voice, context, tools, digits, log, limits, "
        "got an unknown key",
    ),
    ("gateway", 5, "expected a table, got 5"),
]


@pytest.mark.parametrize(("path", "value", "reason"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_refused_by_its_path(path: str, value: Any, reason: str) -> None:
    """The error names the key, what was expected there and what was found."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides={path: value})
    assert caught.value.reason == reason
    named = "asterisk" if path.startswith("asterisk") else path
    assert caught.value.path == named
    assert str(caught.value) == f"{named}: {reason}"


def test_a_wrong_key_of_the_environment_is_named_as_the_file_would_have_it() -> None:
    """The path in the error is the one to look up, whatever the value came by."""
    with pytest.raises(ConfigError, match=r"^session\.voise: expected one of instructions, "):
        load_config(environ={"VOXPIPE_SESSION__VOISE": "marin"})


def test_a_variable_that_is_not_utf_8_is_refused() -> None:
    """Bytes that are no UTF-8 could not be sent to any provider: they are told of at the start, not in every call."""
    with pytest.raises(ConfigError, match=r"^session\.instructions: expected UTF-8, got 'Gr\\udcfc"):
        load_config(environ={"VOXPIPE_SESSION__INSTRUCTIONS": "Gr\udcfc\udcdfe"})


def test_a_key_below_a_value_is_refused(tmp_path: Path) -> None:
    """A variable cannot make a table of what the file says is a number."""
    file = write(tmp_path, "gateway = 5\n")
    with pytest.raises(ConfigError, match=r"^gateway\.max_legs: expected gateway to be a table, got 5$"):
        load_config(file, environ={"VOXPIPE_GATEWAY__MAX_LEGS": "1"})


@pytest.mark.parametrize("content", [b"[gateway\n", b"a = 1\na = 2\n", b"\xff\xfe", b"max_legs: 5\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    """The error has the file's name and the parser's reason."""
    file = tmp_path / "voxpipe.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert caught.value.path == str(file)
    assert caught.value.reason.startswith("expected a TOML file: ")


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    """The first says how to make one."""
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        load_config(missing, environ={})
    assert str(caught.value) == f"{missing}: expected a TOML file, found none (voxpipe init writes one)"
    with pytest.raises(ConfigError, match="expected a TOML file: "):
        load_config(tmp_path, environ={})


ADDRESSES: list[tuple[str, tuple[str, int]]] = [
    ("127.0.0.1:9092", ("127.0.0.1", 9092)),
    ("gateway.local:0", ("gateway.local", 0)),
    ("[::1]:9092", ("::1", 9092)),
    ("0.0.0.0:65535", ("0.0.0.0", 65535)),
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_an_address_is_split(text: str, expected: tuple[str, int]) -> None:
    """Host and port; an IPv6 host stands in brackets."""
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", ":9092", "host:", "host", "host:-1", "host:99999", "host:٣", "[]:9092", "host: 1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the form that was expected."""
    with pytest.raises(ValueError, match=r"^expected HOST:PORT, got "):
        parse_address(text)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_in_no_representation() -> None:
    """A configuration that is printed or logged shows neither the key nor what may hold one."""
    provider = ProviderConfig(api_key="sk-1", headers={"X-Key": "sk-2"}, query={"code": "sk-3"})
    assert "sk-" not in repr(Config(provider=provider))


def test_secrets_are_in_no_error() -> None:
    """A header that is no string is refused without showing its neighbours."""
    with pytest.raises(ConfigError) as caught:
        structure_config({"provider": {"headers": {"Authorization": "Bearer sk-1", "X-Depth": 3}}})
    assert "sk-1" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        structure_config({"provider": {"api_key": ["sk-1"]}})
    assert "sk-1" not in str(caught.value)


# --- the template -----------------------------------------------------------------------------------------------------


def keys(model: type, path: str = "") -> Iterator[tuple[str, attrs.Attribute[Any]]]:
    """Every key with its path, tables included."""
    for field in attrs.fields(model):
        yield f"{path}{field.name}", field
        if field.type is not None and attrs.has(field.type):
            yield from keys(field.type, f"{path}{field.name}.")


def uncommented() -> str:
    """The template as a user who switches every key on would have it."""
    return "\n".join(line.removeprefix("#") for line in toml_template().splitlines() if not line.startswith("# "))


def test_the_template_is_the_defaults(tmp_path: Path) -> None:
    """As written it changes nothing, and with every line switched on neither."""
    assert load_config(write(tmp_path, toml_template()), environ={}) == Config()
    assert load_config(write(tmp_path, uncommented()), environ={}) == Config()


def test_the_template_has_every_key_with_its_meaning() -> None:
    """No key is left out, and above each stands what it means."""
    lines = toml_template().splitlines()
    tree = tomllib.loads(uncommented())
    for path, field in keys(Config):
        value: Any = tree
        for name in path.split("."):
            assert name in value, path
            value = value[name]
        help_ = field.metadata["help"]
        assert len(help_) >= 4
        if field.type is not None and not attrs.has(field.type):
            assert any(
                above == f"# {help_}" and line.startswith(f"#{field.name} = ") for above, line in pairwise(lines)
            ), path


@pytest.mark.parametrize("address", ["127.0.0.1:9092", "[::1]:9092", "pbx.example:1"])
def test_addresses_are_written_as_they_are_read(address: str) -> None:
    """Also the colons of IPv6 keep their brackets."""
    assert format_address(*parse_address(address)) == address
