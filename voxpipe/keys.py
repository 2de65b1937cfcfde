"""How the configuration's models declare their keys: default, meaning, and what a value must fulfil."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from voxpipe.errors import AudioError, ConfigError

Check: TypeAlias = Callable[[Any], object]
"""Raises ``ValueError`` or ``AudioError`` for a value that does not fit."""


def key(default: Any, help_: str, *, check: Check | None = None, secret: bool = False) -> Any:
    """Declare a key: its default, what it means, and what its value must fulfil."""

    def validate(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        try:
            if check is not None:
                check(value)
        except (ValueError, AudioError) as error:
            raise ConfigError(attribute.name, str(error)) from None

    metadata = {"help": help_}
    if isinstance(default, type):
        return attrs.field(factory=default, metadata=metadata, repr=not secret)
    return attrs.field(default=default, metadata=metadata, validator=validate, repr=not secret)


def between(low: float, high: float) -> Check:
    """Check a number's range, both ends included."""

    def check(value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"expected {low:g} to {high:g}, got {value:g}")

    return check


def zero_or(low: float, high: float) -> Check:
    """Check a number's range where 0 stands for "not set"."""

    def check(value: float) -> None:
        if value != 0 and not low <= value <= high:
            raise ValueError(f"expected 0, or {low:g} to {high:g}, got {value:g}")

    return check
