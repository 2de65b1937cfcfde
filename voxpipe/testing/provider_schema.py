"""What a client may write, as data, and how the real server refuses everything else.

A check is asked ``refuse(value, path)`` and answers None or the error. Codes and texts are those observed on the real
server (unknown key, missing key, value outside an enumeration, number out of range); a wrong JSON type is
``invalid_type`` there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class Refusal:
    """The content of an ``error``: code, message and the path of the parameter."""

    code: str | None
    message: str
    param: str | None = None
    kind: str = "invalid_request_error"
    event_id: str | None = None
    """That of the client's event, where it could be read."""


def as_id(event: Any) -> str | None:
    """The id that a client gave its event, if it is one."""
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None


class Check(Protocol):
    """One kind of value."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """None when the value is good."""


def _wrong_type(path: str, expected: str, value: Any) -> Refusal:
    return Refusal(
        "invalid_type", f"Invalid type for '{path}': expected {expected}, but got {_json_type(value)} instead.", path
    )


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


@attrs.frozen
class Anything:
    """Whatever it is: passed through."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        return None


@attrs.frozen
class Text:
    """A string."""

    longest: int | None = None

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, str):
            return _wrong_type(path, "a string", value)
        if self.longest is not None and len(value) > self.longest:
            return Refusal(
                "string_above_max_length",
                f"Invalid '{path}': expected a string with maximum length {self.longest}, got {len(value)}.",
                path,
            )
        return None


@attrs.frozen
class TextMap:
    """An object whose values are strings."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, dict):
            return _wrong_type(path, "an object", value)
        wrong = next((key for key, text in value.items() if not isinstance(text, str)), None)
        return None if wrong is None else _wrong_type(f"{path}.{wrong}", "a string", value[wrong])


@attrs.frozen
class Flag:
    """A boolean."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        return None if isinstance(value, bool) else _wrong_type(path, "a boolean", value)


@attrs.frozen
class Number:
    """A number within bounds."""

    least: float
    most: float
    whole: bool = False

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        wanted = int if self.whole else (int, float)
        noun = "integer" if self.whole else "decimal"
        if isinstance(value, bool) or not isinstance(value, wanted):
            return _wrong_type(path, f"a{'n' if self.whole else ''} {noun}", value)
        if value < self.least:
            return Refusal(
                f"{noun}_below_min_value",
                f"Invalid '{path}': {noun} below minimum value. Expected a value >= {self.least:g}, got {value}.",
                path,
            )
        if value > self.most:
            return Refusal(
                f"{noun}_above_max_value",
                f"Invalid '{path}': {noun} above maximum value. Expected a value <= {self.most:g}, got {value}.",
                path,
            )
        return None


@attrs.frozen
class Choice:
    """One string of a list."""

    values: Sequence[str]

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, str):
            return _wrong_type(path, "a string", value)
        return None if value in self.values else invalid_value(path, value, self.values)


@attrs.frozen
class ListOf:
    """An array of one kind."""

    each: Check
    longest: int = 1_000

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, list):
            return _wrong_type(path, "an array", value)
        if len(value) > self.longest:
            return Refusal("array_above_max_length", f"Invalid '{path}': at most {self.longest} elements.", path)
        refusals = (self.each.refuse(element, f"{path}[{index}]") for index, element in enumerate(value))
        return next((refusal for refusal in refusals if refusal), None)


@attrs.frozen
class Table:
    """An object with known keys; the unknown are refused, which is how a whole configuration gets lost."""

    keys: Mapping[str, Check]
    required: tuple[str, ...] = ()

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, dict):
            return _wrong_type(path, "an object", value)
        prefix = f"{path}." if path else ""
        for key in self.required:
            if key not in value:
                return missing(prefix + key)
        for key, content in value.items():
            if key not in self.keys:
                return Refusal("unknown_parameter", f"Unknown parameter: '{prefix}{key}'.", prefix + key)
            if refusal := self.keys[key].refuse(content, prefix + key):
                return refusal
        return None


@attrs.frozen
class Tagged:
    """One of several tables, told apart by a key."""

    tag: str
    tables: Mapping[str, Check]

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if not isinstance(value, dict):
            return _wrong_type(path, "an object", value)
        if self.tag not in value:
            return missing(f"{path}.{self.tag}")
        if refusal := Choice(tuple(self.tables)).refuse(value[self.tag], f"{path}.{self.tag}"):
            return refusal
        return self.tables[value[self.tag]].refuse(value, path)


@attrs.frozen
class Either:
    """Strings take the first check, everything else the second."""

    text: Check
    other: Check

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        return (self.text if isinstance(value, str) else self.other).refuse(value, path)


@attrs.frozen
class Nullable:
    """The check, or null."""

    check: Check

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        return None if value is None else self.check.refuse(value, path)


def invalid_value(path: str, value: str, supported: Sequence[str]) -> Refusal:
    """The refusal of a value outside an enumeration."""
    names = [f"'{name}'" for name in supported]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return Refusal("invalid_value", f"Invalid value: '{value[:100]}'. Supported values are: {listed}.", path)


def missing(path: str) -> Refusal:
    """The refusal of an object without a required key."""
    return Refusal("missing_required_parameter", f"Missing required parameter: '{path}'.", path)
