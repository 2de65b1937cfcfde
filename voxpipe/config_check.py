"""What is wrong with a configuration that only the dialect, the disk or the network's rules can tell."""

from __future__ import annotations

import ssl
from operator import attrgetter
from pathlib import Path

from voxpipe.actors.access import TEMPLATE_KEYS, find_api_key
from voxpipe.audio import FormatPair
from voxpipe.config import Config, ProviderConfig
from voxpipe.context import check_context
from voxpipe.dialects import get_dialect
from voxpipe.dsp.speech import speech_package
from voxpipe.errors import ConfigError, VoxpipeError
from voxpipe.wav import read_wav
from voxpipe.websocket import parse_url, system_trust


def check_config(config: Config) -> None:
    """Check what only the dialect, the disk or the network's rules can tell; ``ConfigError`` names the key."""
    dialect = get_dialect(config.provider.dialect)
    for name in config.provider.formats:
        pair = FormatPair.parse(name)
        for side in (pair.uplink, pair.downlink):
            if side not in dialect.formats:
                known = ", ".join(map(str, dialect.formats))
                raise ConfigError("provider.formats", f"expected formats of {dialect.name} ({known}), got {name!r}")
        if dialect.one_format and pair.uplink != pair.downlink:
            raise ConfigError("provider.formats", f"expected one format for both directions, got {name!r}")
    for path in sorted(dialect.unknown_keys):
        value, default = (attrgetter(path)(given) for given in (config, Config()))
        if value != default:
            raise ConfigError(
                path, f"expected {default!r}, since {dialect.name} has no word for the key, got {value!r}"
            )
    _check_templates(config.provider)
    if not config.provider.url and not dialect.url:
        raise ConfigError("provider.url", f"expected a URL such as {dialect.url_example}, got none")
    if not config.provider.model and not dialect.default_model:
        raise ConfigError("provider.model", f"expected a model, since {dialect.name} has none of its own, got none")
    if config.voice.detect == "on":
        speech_package()
    check_context(config.context)
    try:
        parse_url(config.provider.url or dialect.url)
    except ValueError as error:
        raise ConfigError("provider.url", str(error)) from None
    for name in ("welcome_wav", "failure_wav", "reconnect_wav"):
        if path := getattr(config.leg, name):
            try:
                read_wav(Path(path))
            except (OSError, VoxpipeError) as error:
                raise ConfigError(f"leg.{name}", str(error)) from error
    if not config.provider.url and not find_api_key(config.provider):
        raise ConfigError("provider.api_key", f"expected a key in {dialect.api_key_env} for {dialect.url}, got none")


def _check_templates(provider: ProviderConfig) -> None:
    expected = f"expected {{{'}, {'.join(TEMPLATE_KEYS)}}} at most in braces"
    if not _is_template(provider.url):
        raise ConfigError("provider.url", f"{expected}, got {provider.url!r}")
    for table, templates in (("headers", provider.headers), ("query", provider.query)):
        for name, template in templates.items():
            if not _is_template(template):
                raise ConfigError(f"provider.{table}", f"{expected} in {name}")


def _is_template(text: str) -> bool:
    try:
        text.format_map(dict.fromkeys(TEMPLATE_KEYS, ""))
    except (LookupError, ValueError, AttributeError):
        return False
    return True


def find_trust(provider: ProviderConfig) -> ssl.SSLContext | None:
    """Return whose certificates are trusted, ``None`` without TLS; ``ConfigError`` for a file that has none."""
    ca_file = provider.ca_file
    if not ca_file:
        # Now, and not while calls are running.
        url = provider.url or get_dialect(provider.dialect).url
        return system_trust() if parse_url(url).tls else None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "provider.ca_file", f"expected a PEM file of certificates, got {ca_file!r}: {error}"
        ) from error
