"""Every number of a leg's summary, counted again from what the two peers saw and from the lines of the log."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, appends, silence, tone

from voxpipe.audio import SLIN24
from voxpipe.testing.scenario import Pace, Scenario

BARGE_IN = Script(audio=tone(2000) + silence(1500) + tone(1200) + silence(4500))
CALLS: dict[str, tuple[Script, str, dict[str, Any]]] = {
    "an answer": (Script(audio=tone(1000) + silence(3500)), "parrot", {}),
    "a barge-in": (BARGE_IN, "parrot", {}),
    "a stall": (Script(audio=tone(3000) + silence(15_000)), "stall", {}),
    "early audio": (Script(audio=tone(1000) + silence(3500)), "early-audio", {}),
    "a late caller": (Script(audio=tone(1000) + silence(3500), speaks_after_s=3.3), "greeting", {}),
    "another rate": (Script(audio=tone(1000, 24_000) + silence(3500, 24_000), format=SLIN24), "parrot", {}),
    "a vanished provider": (Script(audio=tone(1000), stays=True), "vanish", {"provider": {"reconnect_s": 0.0}}),
    "a provider lost and replaced": (Script(audio=tone(1000) + silence(8000)), ("vanish", "parrot"), {}),
    "a refused format": (
        Script(audio=tone(1000) + silence(3500)),
        "second-format-only",
        {"provider": {"formats": ["pcm24", "ulaw8"]}},
    ),
    "a leg that ends at once": (Script(audio=tone(30)), "parrot", {}),
}


def check_playout(call: VirtualCall) -> None:
    """Frames of speech and of silence, samples, padding and ticks are those on the wire, and in the log."""
    playout = call.outcome.summary["playout"]
    sent = call.of("audiosocket.sent")
    assert playout["frames"] == len(sent)
    assert playout["played_samples"] == sum(record.event_data["samples"] for record in sent)
    assert playout["padding_samples"] == sum(record.event_data["padding_samples"] for record in sent)
    assert playout["silence_frames"] == sum(data["frames"] for data in call.data("playout.silence"))
    assert len(call.phone.frames) == playout["frames"] + playout["silence_frames"]
    dropped = sum(data["dropped_samples"] for data in call.data("playout.cut"))
    assert playout["dropped_samples"] == dropped
    last = [data["underruns"] for data in call.data("playout.underrun")][-1:]
    assert playout["underruns"] == (last[0] if last else 0)


def check_uplink(call: VirtualCall) -> None:
    """Messages and bytes from the caller, and appends to the provider."""
    uplink = call.outcome.summary["uplink"]
    messages = [data["audio"] for data in call.data("audiosocket.received") if data["message_type"] == "audio"]
    assert uplink["messages"] == len(messages)
    assert uplink["bytes"] == sum(audio["bytes"] for audio in messages)
    assert uplink["append_chunks"] == appends(call)
    assert uplink["append_bytes"] == sum(len(session.uplink) for session in call.provider.sessions)
    assert uplink["overrun_frames"] == sum(data["frames"] for data in call.data("uplink.overrun"))


def check_downlink(call: VirtualCall) -> None:
    """Chunks are played on, refused or stale, whichever session they came in; the sums are those of the deltas."""
    downlink = call.outcome.summary["downlink"]
    deltas = call.data("response.output_audio.delta")
    names = ("chunks", "refused_chunks", "stale_chunks")
    assert sum(downlink[name] for name in names) == len(deltas)
    got_bytes = sum(data["delta"]["bytes"] for data in deltas)
    assert downlink["bytes"] + downlink["refused_bytes"] + downlink["stale_bytes"] == got_bytes
    assert downlink["refused_chunks"] == len(call.of("audio.refused"))


def check_session(call: VirtualCall) -> None:
    """Turns, truncations, errors and the time to the acknowledgement."""
    summary = call.outcome.summary
    assert summary["turns"]["caller"] == len(call.of("input_audio_buffer.speech_started"))
    assert summary["session"]["truncations"] == len(call.of("conversation.item.truncate"))
    assert summary["session"]["errors"] == len(call.of("error", direction="received"))
    if summary["formats"]["confirmed"] is None:
        assert summary["ack_ms"] is None
        return
    acknowledged = call.of("session.updated")[0].t_ns
    asked = [record.t_ns for record in call.of("session.update", direction="sent") if record.t_ns <= acknowledged]
    assert summary["ack_ms"] == round((acknowledged - asked[-1]) / 1e6, 3)


def check_marks(call: VirtualCall) -> None:
    """playout.started is followed by playout.finished where the caller heard all, and by playout.cut where not.

    An answer of the next session may follow on the last frame of one of the session before: then neither is between.
    """
    marks = [r.event_type for r in call.of("playout.started", "playout.finished", "playout.cut")]
    if len(call.provider.sessions) > 1:
        marks = [
            mark for before, mark in itertools.pairwise(["", *marks]) if mark != "playout.started" or mark != before
        ]
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    assert all(first == "playout.started" and second != first for first, second in pairs), marks


@pytest.mark.parametrize("kind", CALLS)
async def test_the_summary_is_what_the_peers_saw(autojump_clock: MockClock, make_call: CallMaker, kind: str) -> None:
    """Playout, uplink, downlink, session and the marks in the log agree with the wire, however the call went."""
    script, scenario, tables = CALLS[kind]
    call = await make_call(script, scenario, **tables)
    for check in (check_playout, check_uplink, check_downlink, check_session, check_marks):
        check(call)


@pytest.mark.every_dialect
async def test_an_answer_whose_end_is_told_late_is_finished(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where the last frame was played before the provider said that it was the last, the answer has its end too."""
    slow = Scenario("slow", "speaks in real time", pace=Pace(speed=1.0, chunk_ms=(20.0,)))
    call = await make_call(Script(audio=tone(1000) + silence(5000)), slow)
    assert len(call.of("playout.started")) == len(call.of("playout.finished")) == 1
