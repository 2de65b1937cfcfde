"""Messages that are not as they should be, in a whole call: they never take a leg down by surprise."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock
from virtual_call import CallMaker, Script, silence, tone

from voxpipe.errors import SessionError
from voxpipe.testing.scenario import Scenario, SendEvent, SendText, Step, Trigger

HELLO_AND_WAIT = Script(audio=tone(1000) + silence(3500))
IDS = {"response_id": "resp_x", "item_id": "item_x", "output_index": 0, "content_index": 0}
MALFORMED: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": {"a": 1}}},
    {"type": "response.created", "response": {"id": ["a"]}},
    {"type": "response.created", "response": []},
    {"type": "response.done", "response": {"id": {}}},
    {"type": "response.output_item.added", "response_id": [], "item": {"id": {}, "type": "message"}},
    {"type": "response.output_audio.delta", **IDS, "item_id": {}, "delta": "AAAA"},
    {"type": "response.output_audio.delta", **IDS, "content_index": "x", "delta": "AAAA"},
    {"type": "response.output_audio.delta", **IDS, "delta": "?"},
    {"type": "response.output_audio.done", **IDS, "response_id": {}},
    {"type": "response.output_audio_transcript.done", **IDS, "transcript": {"a": 1}},
    {"type": "input_audio_buffer.speech_started", "item_id": {}, "audio_start_ms": "soon"},
]


@pytest.mark.parametrize("event", MALFORMED, ids=lambda event: f"{event['type']}-{len(str(event))}")
async def test_a_malformed_event_is_recorded_and_survived(
    autojump_clock: MockClock, make_call: CallMaker, event: dict[str, Any]
) -> None:
    """An event whose ids or audio are of the wrong kind is in the log with what was expected; the answer is heard."""
    scenario = Scenario("malformed", "one bad event", steps=(Step(Trigger.READY, 0.1, SendEvent(event)),))
    call = await make_call(HELLO_AND_WAIT, scenario)
    assert call.outcome.error is None
    (parsing,) = call.data("error.parsing")
    assert parsing["type"] == event["type"]
    assert "expected" in parsing["message"]
    assert call.outcome.summary["turns"]["agent"] == 1


@pytest.mark.parametrize("audio", ["digest", "inline", "sidecar"])
async def test_half_a_sample_ends_the_session_loudly(
    autojump_clock: MockClock, make_call: CallMaker, audio: str
) -> None:
    """Audio that is no whole number of samples contradicts the confirmed format: not a note of it is played."""
    delta = {"type": "response.output_audio.delta", **IDS, "delta": "AAAAAAAA/w=="}
    scenario = Scenario("half", "half a sample", steps=(Step(Trigger.READY, 0.1, SendEvent(delta)),))
    call = await make_call(Script(audio=silence(500), stays=True), scenario, log={"audio": audio})
    assert isinstance(call.outcome.error, SessionError)
    assert str(call.outcome.error) == "expected whole samples of slin24, got 7 bytes"
    assert call.phone.hung_up
    assert call.phone.spoken == []
    assert call.of("response.output_audio.delta")
    assert call.records[-1].event_type == "leg.summary"


async def test_an_event_nested_without_end_is_survived(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A message of 600 levels is recorded cut off, and the call goes on."""
    deep = '{"type":"session.weather","a":' + "[" * 600 + "]" * 600 + "}"
    scenario = Scenario("deep", "a deep event", steps=(Step(Trigger.READY, 0.1, SendText(deep)),))
    call = await make_call(HELLO_AND_WAIT, scenario)
    assert call.outcome.error is None
    assert "[nested too deep]" in str(call.data("session.weather"))
    assert call.outcome.summary["turns"]["agent"] == 1


async def test_a_key_with_a_line_break_at_its_end_works(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A key that was read from a file is the key, and it is in no line of the log, not even as a URL has it."""
    call = await make_call(HELLO_AND_WAIT, provider={"api_key": "sk+1/2=\n", "query": {"k": "{api_key}"}})
    assert call.outcome.error is None
    assert call.session.headers["authorization"] == "Bearer sk+1/2="
    assert call.outcome.log is not None
    text = call.outcome.log.read_text()
    assert "sk+1/2=" not in text
    assert "sk%2B1%2F2%3D" not in text
