"""The configuration from where users keep it: a TOML file, the environment, flags, in rising order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import attrs

from voxpipe.config import Config, structure_config
from voxpipe.errors import ConfigError

ENV_PREFIX = "VOXPIPE_"


def load_config(
    file: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read the configuration from a TOML file, then ``VOXPIPE_TABLE__KEY`` variables, then ``{"table.key": value}``.

    Raises ``ConfigError``. ``environ`` is the process's environment unless given.
    """
    tree: dict[str, Any] = {}
    if file is not None:
        tree = _read_toml(Path(file))
    for name, text in (os.environ if environ is None else environ).items():
        if name.startswith(ENV_PREFIX) and "__" in name:
            path = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            _put(tree, path, _from_text(path, text))
    for path, value in (overrides or {}).items():
        _put(tree, path, _from_text(path, value) if isinstance(value, str) else value)
    return structure_config(tree)


def toml_template() -> str:
    """Write every key with its meaning and its default, commented out, as a TOML file."""
    lines = [
        "# voxpipe configuration: every key with its default.",
        "# Environment: VOXPIPE_TABLE__KEY; flags win over both.",
    ]
    _write_table(Config, "", lines)
    return "\n".join(lines) + "\n"


def _write_table(model: type, path: str, lines: list[str]) -> None:
    tables = []
    for field in attrs.fields(model):
        if attrs.has(cast(type, field.type)):
            tables.append(field)
            continue
        default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
        lines += [f"# {field.metadata['help']}", f"#{field.name} = {_to_toml(default)}"]
    for field in tables:
        name = f"{path}{field.name}"
        lines += ["", f"[{name}]"]
        _write_table(cast(type, field.type), f"{name}.", lines)


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_to_toml(item)}" for name, item in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(file), "expected a TOML file, found none (voxpipe init writes one)") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(file), f"expected a TOML file: {error}") from error


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *tables, name = path.split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise ConfigError(path, f"expected {table} to be a table, got {tree!r}")
    tree[name] = value


def _from_text(path: str, text: str) -> Any:
    """Read a value as TOML would, where the key is not text: ``3``, ``true``, ``["a"]``."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # how Python stands in for bytes that are none
        raise ConfigError(path, f"expected UTF-8, got {text!r}")
    if _type_at(path) is str or getattr(_type_at(path), "__origin__", None) is Literal:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _type_at(path: str) -> Any:
    model: Any = Config
    for name in path.split("."):
        if getattr(model, "__origin__", None) is dict:
            model = model.__args__[1]
        elif attrs.has(model):
            model = next((field.type for field in attrs.fields(model) if field.name == name), None)
        else:
            return None
    return model
