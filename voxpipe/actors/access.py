"""How a provider is reached: its URL and headers filled in, and the URL as the log may show it."""

from __future__ import annotations

import os
import ssl
from typing import Any
from urllib.parse import quote_plus, urlencode

import attrs

from voxpipe.audio import FormatPair
from voxpipe.config import Config, ProviderConfig
from voxpipe.dialects import get_dialect
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.records import REDACTED
from voxpipe.structuring import describe_model
from voxpipe.websocket import Dial

SECRET_LETTERS = 16
"""Keys and tokens are longer; a shorter word of a header may be one that the log needs, such as ``realtime=v1``."""


@attrs.frozen
class Door:
    """Where one session with its formats is asked for."""

    url: str = attrs.field(repr=False)
    shown: str
    """The URL as the log has it: of the query only the names, and of the dialect's own parameters the values."""
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)


@attrs.frozen
class Access:
    """How a provider is reached: what the leg's configuration and the surroundings give."""

    dialect: Dialect
    provider: ProviderConfig = attrs.field(repr=False)
    api_key: str = attrs.field(repr=False)
    dial: Dial
    ssl_context: ssl.SSLContext | None

    def door(self, formats: FormatPair) -> Door:
        """Fill URL, query and headers in; what is empty then is left out, and a header that wants a key without one."""
        provider, dialect = self.provider, self.dialect
        values = {"model": provider.model or dialect.default_model, "api_key": self.api_key}
        for side in ("uplink", "downlink"):
            format_ = getattr(formats, side)
            values[f"{side}_format"] = dialect.format_names.get(format_, format_.name)
            values[f"{side}_rate"] = str(format_.rate_hz)
        query = {name: value.format_map(values) for name, value in {**dialect.query, **provider.query}.items()}
        url = (provider.url or dialect.url).format_map(values)
        if given := {name: value for name, value in query.items() if value}:
            url += ("&" if "?" in url else "?") + urlencode(given)
        templates = {name: value for name, value in {**dialect.headers, **provider.headers}.items() if value}
        headers = tuple(
            (name, value.format_map(values))
            for name, value in templates.items()
            if self.api_key or "{api_key}" not in value
        )
        return Door(url, _without_secrets(url, frozenset(dialect.query)), headers)


TEMPLATE_KEYS = ("model", "api_key", "uplink_format", "uplink_rate", "downlink_format", "downlink_rate")
"""What may stand in braces in a URL, a query parameter and a header."""


def find_api_key(provider: ProviderConfig) -> str:
    """Return the provider's key, from the configuration or else the environment; empty when there is none."""
    key = provider.api_key or os.environ.get(get_dialect(provider.dialect).api_key_env, "")
    return key.strip()  # from a file, it has a line break at its end, which no header may have


def known_secrets(provider: ProviderConfig) -> frozenset[str]:
    """Return what a peer could repeat to us and no log may hold: the key, and the long words of further headers."""
    api_key = find_api_key(provider)
    words = [word for value in provider.headers.values() for word in value.split() if len(word) >= SECRET_LETTERS]
    return frozenset({api_key, quote_plus(api_key), *words} - {""})  # the key also as it stands in a URL


def _without_secrets(url: str, open_names: frozenset[str]) -> str:
    base, question, query = url.partition("?")
    pairs = [text.partition("=") for text in query.split("&") if text]
    shown = [f"{name}={value if name in open_names else REDACTED}" for name, _, value in pairs]
    return base + question + "&".join(shown)


def describe_config(config: Config) -> dict[str, Any]:
    """Say in a record's words by what configuration a call goes, secrets and the URL's parameters left out."""
    described = describe_model(config, REDACTED)
    url = config.provider.url.partition("?")[0]
    described["provider"]["url"] = REDACTED if "@" in url else url
    return described
