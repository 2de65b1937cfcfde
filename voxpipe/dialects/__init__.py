"""The dialects by name. Each is data: nothing outside this package asks which one it is."""

from __future__ import annotations

from voxpipe.dialects.deepgram import DEEPGRAM
from voxpipe.dialects.openai import OPENAI
from voxpipe.dialects.openai_beta import OPENAI_BETA
from voxpipe.dialects.openai_live import OPENAI_LIVE
from voxpipe.errors import ConfigError
from voxpipe.sansio.dialect import Dialect

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (OPENAI, OPENAI_BETA, OPENAI_LIVE, DEEPGRAM)}


def get_dialect(name: str) -> Dialect:
    """Return the dialect of that name; ``ConfigError`` names those there are."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigError("provider.dialect", f"expected one of {', '.join(DIALECTS)}, got {name!r}") from None


__all__ = ["DIALECTS", "get_dialect"]
