"""The session's configuration: requested beside confirmed, in either shape, and unknown where a log is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from judged import log_of
from plain_log import PlainLog, beta_session, ga_session
from virtual_call import HELLO_AND_WAIT, CallMaker

from voxpipe.analysis.call import read_call
from voxpipe.analysis.configuration import OFF, UNKNOWN, Configuration, describe_format, format_words
from voxpipe.analysis.events import LogEvent
from voxpipe.audio import ALAW8, PCM24, ULAW8


def after(*messages: tuple[str, dict[str, Any]]) -> Configuration:
    """The configuration after some messages, a millisecond apart."""
    configuration = Configuration()
    for number, (event_type, data) in enumerate(messages, 1):
        configuration.take(LogEvent(number, number * 1_000_000, "received", event_type, data))
    return configuration


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_what_we_asked_for_and_got_is_told(make_call: CallMaker, autojump_clock: Any, dialect: str) -> None:
    """Formats, turn detection, transcription, modalities and model of a real call, in both dialects."""
    call = await make_call(HELLO_AND_WAIT, dialect=dialect, provider={"formats": ["ulaw8/pcm24"]})
    configuration = read_call(log_of(call)).accounts.configuration
    requested, confirmed = configuration.requested, configuration.confirmed
    assert requested is not None
    assert confirmed is not None
    assert requested.formats == confirmed.formats == (ULAW8, PCM24)
    assert isinstance(confirmed.turn_detection, dict)
    assert confirmed.turn_detection["silence_duration_ms"] == 500
    assert confirmed.transcription == {"model": "gpt-transcribe"}
    assert confirmed.modalities in ("audio", "audio and text", "text and audio")
    assert UNKNOWN not in (confirmed.model, confirmed.voice)


async def test_each_session_of_a_call_is_its_own(make_call: CallMaker, autojump_clock: Any) -> None:
    """After a refusal the next formats are asked for; what is in force is that of the last session."""
    call = await make_call(HELLO_AND_WAIT, "second-format-only", provider={"formats": ["pcm24", "ulaw8"]})
    configuration = read_call(log_of(call)).accounts.configuration
    assert configuration.sessions == 2
    assert configuration.confirmed is not None
    assert configuration.confirmed.formats == (ULAW8, ULAW8)
    assert configuration.changes == []
    assert len(configuration.ack_ns) == 1


def test_a_later_update_of_one_key_keeps_the_rest() -> None:
    """New instructions in mid-call do not unask the formats."""
    found = after(
        ("session.update", {"session": ga_session()}),
        ("session.updated", {"session": ga_session()}),
        ("session.update", {"session": {"type": "realtime", "instructions": "Be brief."}}),
        ("session.updated", {"session": ga_session()}),
    )
    assert found.requested is not None
    assert found.requested.formats == (PCM24, PCM24)
    assert found.ack_ns == [1_000_000, 1_000_000]
    assert found.unanswered == 0


def test_a_null_is_off_and_a_missing_key_is_unknown() -> None:
    """The two are not the same: one was said, the other was not."""
    (ga,) = [after(("session.updated", {"session": ga_session(transcription=None)})).confirmed]
    (beta,) = [after(("session.updated", {"session": beta_session(turn_detection=None)})).confirmed]
    (bare,) = [after(("session.updated", {"session": {"id": "sess_1"}})).confirmed]
    assert ga is not None
    assert beta is not None
    assert bare is not None
    assert (ga.transcription, beta.turn_detection) == (OFF, OFF)
    facts = (bare.turn_detection, bare.transcription, bare.uplink, bare.voice, bare.model, bare.modalities)
    assert set(facts) == {UNKNOWN}


def test_a_confirmation_that_leaves_formats_out_changes_nothing() -> None:
    """What is not told did not change."""
    found = after(
        ("session.updated", {"session": ga_session()}), ("session.updated", {"session": {"instructions": "x"}})
    )
    assert found.changes == []


def test_a_change_of_formats_within_a_session_is_kept() -> None:
    """The line of the confirmation that differs."""
    found = after(
        ("session.updated", {"session": beta_session()}),
        ("session.updated", {"session": beta_session(downlink="g711_alaw")}),
    )
    assert [(change.line_no, change.downlink) for change in found.changes] == [(2, ALAW8)]


def test_a_request_without_an_answer_is_counted() -> None:
    """Neither acknowledged nor refused."""
    assert after(("session.update", {"session": ga_session()})).unanswered == 1
    assert after(("session.update", {"session": ga_session()}), ("error", {})).unanswered == 0


def test_the_model_may_be_in_the_url_only(tmp_path: Path) -> None:
    """A configuration without a model has that of the connection; a URL that is none has none."""
    log = PlainLog()
    log.add("connection.opened", {"url": "wss://host/v1/realtime?model=gpt-realtime-mini"})
    log.add("session.updated", {"session": {"voice": {"id": "voice_9f"}}})
    confirmed = read_call(log.write(tmp_path / "url.jsonl")).accounts.configuration.confirmed
    assert confirmed is not None
    assert (confirmed.model, confirmed.voice) == ("gpt-realtime-mini", "voice_9f")
    assert after(("connection.opened", {"url": "wss://[oops?model=x"}), ("session.updated", {"session": {}})).confirmed


@pytest.mark.parametrize(
    ("format_", "words"),
    [
        (PCM24, "slin24 (16-bit linear, little-endian, 24000 Hz)"),
        (ULAW8, "ulaw8 (G.711 mu-law, one byte a sample, 8000 Hz)"),
        (ALAW8, "alaw8 (G.711 A-law, one byte a sample, 8000 Hz)"),
        ("opus", "opus"),
    ],
)
def test_a_format_is_told_with_encoding_byte_order_and_rate(format_: Any, words: str) -> None:
    """What is confirmed in words of the provider's own stays in them."""
    assert format_words(format_) == words
    assert (describe_format(format_)["rate_hz"] is None) == isinstance(format_, str)


def of_session(number: int, event_type: str, data: dict[str, Any] | None = None) -> LogEvent:
    """An event of one of a leg's sessions."""
    return LogEvent(number, number * 1_000_000, "received", event_type, data or {}, number)


def test_a_session_that_stands_by_changes_nothing() -> None:
    """Opened beside the one that serves, it counts from when it took over; one that never does, never."""
    configuration = Configuration()
    narrow = ga_session(downlink={"type": "audio/pcmu"})
    begun = [of_session(1, "session.created", {"session": ga_session()})]
    begun += [of_session(1, "session.updated", {"session": ga_session()}), of_session(1, "session.ready")]
    assert [configuration.take(event) for event in begun] == [True, False, False]
    for number in (2, 3):
        for name in ("session.created", "session.update", "session.updated"):
            assert not configuration.take(of_session(number, name, {"session": narrow}))
        assert configuration.requested is None
        assert configuration.downlink == PCM24
        assert configuration.serves(of_session(1, "session.failed"))
        assert not configuration.serves(of_session(number, "session.failed"))
    assert configuration.take(of_session(3, "session.took_over"))
    assert configuration.downlink == ULAW8
    assert configuration.requested is not None
    assert (configuration.sessions, configuration.changes) == (3, [])
