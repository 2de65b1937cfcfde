"""A configuration out of a file, the environment and a command's flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxpipe.config import Config
from voxpipe.config_file import load_config
from voxpipe.dialects import DIALECTS
from voxpipe.errors import ConfigError

DIALECT_HELP = "How the provider spells its messages: " + ", ".join(DIALECTS) + "."


def config_of_flags(file: Path | None, flags: Mapping[str, Any], assignments: Sequence[str]) -> Config:
    """Load a configuration; flags of ``None`` were not given, and ``assignments`` are those of ``--set``."""
    overrides = {key: value for key, value in flags.items() if value is not None}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError("--set", f"expected TABLE.KEY=VALUE, got {assignment!r}")
        overrides[key] = value
    return load_config(file, overrides=overrides)
