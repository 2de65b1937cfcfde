"""Plain data into attrs models, strictly: an unknown key or a value of another kind is refused by its path.

The configuration's models are in ``config``; here is what any of them needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from voxpipe.errors import ConfigError

T = TypeVar("T")


def _structure_exact(expected: type, words: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _type: Any) -> Any:
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise TypeError(f"expected {words}, got {_show(value)}")
        return value

    return structure


def _structure_table(model: type[T], converter: cattrs.Converter) -> Callable[[Any, Any], T]:
    structure = make_dict_structure_fn(model, converter, _cattrs_forbid_extra_keys=True)

    def check(value: Any, type_: Any) -> T:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a table, got {_show(value)}")
        return structure(value, type_)

    return check


def _structure_texts(value: Any, _type: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"expected a list of strings, got {value!r}")
    return tuple(value)


def _structure_choice(value: Any, type_: Any) -> Any:
    if value not in type_.__args__:
        raise ValueError(f"expected {' or '.join(type_.__args__)}, got {value!r}")
    return value


def _structure_mapping(value: Any, type_: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"expected a table, got {_show(value)}")
    for name, item in value.items():
        if type_.__args__[1] is str and not isinstance(item, str):
            raise TypeError(f"expected a table of strings, got {name} = {_show(item)}")
    return value


def _show(value: object) -> str:
    """A list or a table may hold a secret beside what is wrong with it."""
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else repr(value)


def make_converter() -> cattrs.Converter:
    """Make a converter of numbers, truth, text, lists of strings, choices and tables, none of them read as another."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for expected, words in ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "a string")):
        converter.register_structure_hook(expected, _structure_exact(expected, words))
    converter.register_structure_hook_func(lambda type_: type_ == tuple[str, ...], _structure_texts)
    converter.register_structure_hook_func(
        lambda type_: getattr(type_, "__origin__", None) is Literal, _structure_choice
    )
    converter.register_structure_hook_func(lambda type_: getattr(type_, "__origin__", None) is dict, _structure_mapping)
    converter.register_structure_hook_factory(attrs.has, lambda type_: _structure_table(type_, converter))
    return converter


def describe_model(model: Any, hidden: str) -> dict[str, Any]:
    """Turn a model into plain data for a log; what its ``repr`` leaves out is ``hidden``, where there is any."""
    data: dict[str, Any] = {}
    for field in attrs.fields(type(model)):
        value = getattr(model, field.name)
        if attrs.has(type(value)):
            data[field.name] = describe_model(value, hidden)
        elif not field.repr and value:
            data[field.name] = dict.fromkeys(value, hidden) if isinstance(value, dict) else hidden
        else:
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


def first_fault(error: BaseException, path: str) -> tuple[str, str]:
    """Find the first fault of a failed structuring: the path of its key, and what was expected and found there."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            path = f"{path}.{note.name}".lstrip(".")
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        name = sorted(error.extra_fields)[0]
        known = ", ".join(field.name for field in attrs.fields(error.cl))
        return f"{path}.{name}".lstrip("."), f"expected one of {known}, got an unknown key"
    if isinstance(error, BaseExceptionGroup):
        return first_fault(error.exceptions[0], path)
    if isinstance(error, ConfigError):
        return f"{path}.{error.path}".lstrip("."), error.reason
    if isinstance(error, ValueError | TypeError):
        return path, str(error)
    raise error
