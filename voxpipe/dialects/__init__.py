"""The dialects by name. Each is data: nothing outside this package asks which one it is."""

from __future__ import annotations

from voxpipe.dialects.azure import AZURE_OPENAI
from voxpipe.dialects.deepgram import DEEPGRAM
from voxpipe.dialects.openai import OPENAI, RENAMED, counted_ms
from voxpipe.dialects.openai_beta import OPENAI_BETA
from voxpipe.dialects.openai_live import OPENAI_LIVE
from voxpipe.errors import ConfigError
from voxpipe.sansio.dialect import Dialect

REFERENCE, REFERENCE_FLAT = OPENAI, OPENAI_BETA
"""In whose words a log is read, and in which it may be written besides."""
DEFAULT = OPENAI.name
DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (OPENAI, OPENAI_BETA, OPENAI_LIVE, AZURE_OPENAI, DEEPGRAM)
}


def get_dialect(name: str) -> Dialect:
    """Return the dialect of that name, the default for none; ``ConfigError`` names those there are."""
    try:
        return DIALECTS[name or DEFAULT]
    except KeyError:
        raise ConfigError("provider.dialect", f"expected one of {', '.join(DIALECTS)}, got {name!r}") from None


__all__ = ["DEFAULT", "DIALECTS", "REFERENCE", "REFERENCE_FLAT", "RENAMED", "counted_ms", "get_dialect"]
