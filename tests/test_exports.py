"""What voxpipe offers: every public name is there, and says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import voxpipe


def modules() -> Iterator[str]:
    """The name of every module, compiled ones included."""
    yield "voxpipe"
    for module in pkgutil.walk_packages(voxpipe.__path__, "voxpipe."):
        yield module.name


EVERY = sorted(modules())
PUBLIC = [name for name in EVERY if not any(part.startswith("_") for part in name.split("."))]


def test_the_packages_are_all_looked_at() -> None:
    """The walk finds every floor of the house, so that the tests below are about something."""
    packages = {"voxpipe.sansio", "voxpipe.dialects", "voxpipe.dsp", "voxpipe.actors", "voxpipe.testing"}
    assert packages | {"voxpipe", "voxpipe.leg", "voxpipe.dsp._g711"} <= set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_what_a_module_offers_exists(name: str) -> None:
    """Each name of ``__all__`` is there, once, and none of them is private."""
    module = importlib.import_module(name)
    offered = list(getattr(module, "__all__", ()))
    assert [name for name in offered if not hasattr(module, name)] == []
    assert len(offered) == len(set(offered))
    assert [name for name in offered if name.startswith("_") and name != "__version__"] == []


def test_the_kernels_are_offered_by_their_facade() -> None:
    """``voxpipe.dsp`` has what the rest may use of the kernels, and says so."""
    from voxpipe import dsp

    assert {"Converter", "Resampler", "Level", "ulaw_encode", "ulaw_decode", "alaw_encode", "alaw_decode"} <= set(
        dsp.__all__
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_module_says_what_it_is(name: str) -> None:
    """A docstring of at least a sentence."""
    doc = importlib.import_module(name).__doc__
    assert doc is not None
    assert len(doc.split()) >= 4
    assert doc.strip().endswith((".", "::", '"')) or "\n" in doc


def own(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The public classes and functions which a module defines itself."""
    for name, thing in vars(module).items():
        is_code = inspect.isclass(thing) or inspect.isfunction(thing)
        if is_code and not name.startswith("_") and thing.__module__ == module.__name__:
            yield name, thing


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_has_a_docstring(name: str) -> None:
    """Every public class and function of a public module says what it does."""
    silent = [n for n, thing in own(importlib.import_module(name)) if not (thing.__doc__ or "").strip()]
    assert silent == []


def test_what_the_package_offers_is_what_type_checkers_see() -> None:
    """The names that are imported when asked for are those of ``__all__``, each from the module it is defined in."""
    (guarded,) = (node for node in ast.parse(Path(voxpipe.__file__).read_text()).body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(seen) == sorted(voxpipe.__all__)
    for name, module in seen.items():
        assert module is not None
        assert getattr(voxpipe, name) is getattr(importlib.import_module(module), name)
    assert set(dir(voxpipe)) >= {*voxpipe.__all__, "__version__"}
    with pytest.raises(AttributeError, match="module 'voxpipe' has no attribute 'Nothing'"):
        voxpipe.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_yet() -> None:
    """What takes time is imported by the first use of a name."""
    code = "import sys, voxpipe; print('trio' in sys.modules); voxpipe.run_leg; print('trio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_package_says_that_it_is_typed() -> None:
    """``py.typed`` is installed, so that the types of voxpipe are those of its users."""
    from importlib.resources import files

    assert files("voxpipe").joinpath("py.typed").is_file()
