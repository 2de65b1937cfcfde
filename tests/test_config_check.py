"""What no call could use is refused before the first: what only the dialect, the disk or the network can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxpipe.config import structure_config
from voxpipe.config_check import check_config
from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway

BRACES = (
    "expected {model}, {api_key}, {uplink_format}, {uplink_rate}, {downlink_format}, {downlink_rate} at most in braces"
)
CONFIGS: list[tuple[dict[str, Any], str]] = [
    (
        {"dialect": "azure"},
        "provider.dialect: expected one of openai, openai-beta, openai-live, azure-openai, deepgram, got 'azure'",
    ),
    (
        {"formats": ["pcm24", "slin16"]},
        "provider.formats: expected formats of openai (slin24, ulaw8, alaw8), got 'slin16'",
    ),
    (
        {"url": "https://x/"},
        "provider.url: expected a URL such as wss://host/path, got 'https://x/'",
    ),
    ({"url": "wss://{host}/"}, f"provider.url: {BRACES}, got 'wss://{{host}}/'"),
    ({"headers": {"X": "{token}"}}, f"provider.headers: {BRACES} in X"),
    ({"headers": {"X": "{"}}, f"provider.headers: {BRACES} in X"),
    ({"query": {"q": "{0}"}}, f"provider.query: {BRACES} in q"),
    (
        {"dialect": "azure-openai", "model": "m"},
        "provider.url: expected a URL such as wss://RESOURCE.openai.azure.com/openai/v1/realtime, got none",
    ),
    (
        {"dialect": "azure-openai", "url": "wss://x"},
        "provider.model: expected a model, since azure-openai has none of its own, got none",
    ),
    ({"query": {"q": "{model.x}"}}, f"provider.query: {BRACES} in q"),
]


@pytest.mark.parametrize(("provider", "text"), CONFIGS, ids=[str(row[0]) for row in CONFIGS])
def test_what_no_call_could_use_is_refused_at_the_start(provider: dict[str, Any], text: str) -> None:
    """A configuration that would fail in every call fails before the first, by the path of its key."""
    with pytest.raises(ConfigError) as caught:
        check_config(structure_config({"provider": provider}))
    assert str(caught.value) == text


def test_a_key_without_a_word_in_the_dialect_is_refused() -> None:
    """openai-beta has no idle timeout: the provider would refuse the whole session for it."""
    tree = {"provider": {"dialect": "openai-beta"}, "session": {"turn_detection": {"idle_timeout_ms": 6000}}}
    with pytest.raises(ConfigError) as caught:
        check_config(structure_config(tree))
    assert str(caught.value) == (
        "session.turn_detection.idle_timeout_ms: expected 0, since openai-beta has no word for the key, got 6000"
    )
    check_config(structure_config({**tree, "provider": {"dialect": "openai", "api_key": "sk-any"}}))


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem"])
def test_an_authority_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """A missing or empty file of authorities is told by its key."""
    (tmp_path / "empty.pem").write_text("")
    config = structure_config({"provider": {"api_key": "sk-any", "ca_file": str(tmp_path / name)}})
    with pytest.raises(ConfigError, match=r"^provider\.ca_file: expected a PEM file of certificates, got "):
        Gateway(config)


@pytest.mark.parametrize("content", [None, b"no sound"])
def test_a_failure_wav_that_cannot_be_played_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """It is told before the first call, not at the moment when a caller should hear it."""
    file = tmp_path / "sorry.wav"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^leg\.failure_wav: "):
        check_config(structure_config({"leg": {"failure_wav": str(file)}}))
