"""What formats an acknowledgement confirms: the very ones, or none."""

from __future__ import annotations

from typing import Any

import pytest
from vendor_types import decode, ga_session

from voxpipe.audio import ALAW8, PCM24, ULAW8
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.realtime import SessionUpdated

BOTH = pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
PCM_24: Wire = {"type": "audio/pcm", "rate": 24000}
GA_FORMATS: list[tuple[str, Any, Any]] = [
    ("equal", PCM_24, PCM24),
    ("equal, with a key more", {**PCM_24, "channels": 1}, PCM24),
    ("mu-law", {"type": "audio/pcmu"}, ULAW8),
    ("A-law", {"type": "audio/pcma"}, ALAW8),
    ("mu-law with its rate", {"type": "audio/pcmu", "rate": 8000}, ULAW8),
    ("other rate", {"type": "audio/pcm", "rate": 16000}, "{'type': 'audio/pcm', 'rate': 16000}"),
    ("mu-law at another rate", {"type": "audio/pcmu", "rate": 16000}, "{'type': 'audio/pcmu', 'rate': 16000}"),
    ("no rate", {"type": "audio/pcm"}, "{'type': 'audio/pcm'}"),
    ("rate as text", {"type": "audio/pcm", "rate": "24000"}, "{'type': 'audio/pcm', 'rate': '24000'}"),
    ("other encoding", {"type": "audio/opus"}, "{'type': 'audio/opus'}"),
    ("the old name", "pcm16", "'pcm16'"),
    ("type in capitals", {"type": "AUDIO/PCM", "rate": 24000}, "{'type': 'AUDIO/PCM', 'rate': 24000}"),
    ("nothing in it", {}, "{}"),
    ("null", None, "no format"),
    ("a list", [PCM_24], "[{'type': 'audio/pcm', 'rate': 24000}]"),
]
BETA_FORMATS: list[tuple[str, Any, Any]] = [
    ("equal", "pcm16", PCM24),
    ("mu-law", "g711_ulaw", ULAW8),
    ("A-law", "g711_alaw", ALAW8),
    ("other encoding", "opus", "'opus'"),
    ("a rate in the name", "pcm16_16k", "'pcm16_16k'"),
    ("the new shape", PCM_24, "{'type': 'audio/pcm', 'rate': 24000}"),
    ("null", None, "no format"),
    ("a number", 16, "16"),
    ("a list", ["pcm16"], "['pcm16']"),
]


@pytest.mark.parametrize(("name", "confirmed", "expected"), GA_FORMATS, ids=[row[0] for row in GA_FORMATS])
def test_a_confirmed_format_is_read_exactly(name: str, confirmed: Any, expected: Any) -> None:
    """Only the very format is it; anything else stays in the provider's own words, for the mismatch to show."""
    session = ga_session(confirmed, PCM_24)
    assert decode("openai", {"type": "session.updated", "session": session}) == SessionUpdated(expected, PCM24)
    session = ga_session(PCM_24, confirmed)
    assert decode("openai", {"type": "session.updated", "session": session}) == SessionUpdated(PCM24, expected)


@pytest.mark.parametrize(("name", "confirmed", "expected"), BETA_FORMATS, ids=[row[0] for row in BETA_FORMATS])
def test_a_confirmed_format_of_the_old_shape_is_read_exactly(name: str, confirmed: Any, expected: Any) -> None:
    """The same for the flat session."""
    session = {"input_audio_format": confirmed, "output_audio_format": "pcm16"}
    assert decode("openai-beta", {"type": "session.updated", "session": session}) == SessionUpdated(expected, PCM24)
    session = {"input_audio_format": "pcm16", "output_audio_format": confirmed}
    assert decode("openai-beta", {"type": "session.updated", "session": session}) == SessionUpdated(PCM24, expected)


@BOTH
@pytest.mark.parametrize(
    "session", [{}, {"audio": {}}, {"audio": None}, {"audio": []}, {"audio": {"input": 1}}, None, 5]
)
def test_a_session_without_formats_confirms_none(dialect: str, session: Any) -> None:
    """An acknowledgement that says nothing of formats is a mismatch in the making, never an assumption."""
    assert decode(dialect, {"type": "session.updated", "session": session}) == SessionUpdated("no format", "no format")


@BOTH
def test_an_acknowledgement_in_the_other_shape_confirms_nothing(dialect: str) -> None:
    """A server that echoes the other shape has confirmed nothing that was asked of it."""
    ga = ga_session(PCM_24, PCM_24)
    beta = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
    session = {"openai": beta, "openai-beta": ga}[dialect]
    assert decode(dialect, {"type": "session.updated", "session": session}) == SessionUpdated("no format", "no format")
