"""The simulated Live: its events are the vendor's own, it is as strict as the real one, and sounds all the time."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from openai.types.responses import ResponseOutputItemDoneEvent
from telephone_line import TelephoneLine, likeness
from trio.testing import MockClock
from vendor_types import assert_vendor_knows, unknown_keys, vendor_names, with_value

from voxpipe.audio import ALAW8, PCM24, ULAW8, AudioFormat, Encoding
from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import SCENARIOS, CallTool, Say, Scenario, Step, Trigger
from voxpipe.websocket import WebSocketClosed

Connect = Callable[..., Any]
Json = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors" / "openai_live.jsonl"
CLIENT_ROWS = [row for row in map(json.loads, VECTORS.read_text().splitlines()) if row["direction"] == "client"]
APPEND, DELTA = "session.input_audio.append", "session.output_audio.delta"
SLIN16 = AudioFormat(Encoding.SLIN, 16_000)
FORMATS: dict[str, tuple[Json, AudioFormat]] = {
    "pcm-16000": ({"type": "audio/pcm", "rate": 16_000}, SLIN16),
    "pcm-24000": ({"type": "audio/pcm", "rate": 24_000}, PCM24),
    "pcmu": ({"type": "audio/pcmu", "rate": 8_000}, ULAW8),
    "pcma": ({"type": "audio/pcma", "rate": 8_000}, ALAW8),
}
BACKEND = {"type": "responses", "responses": {"model": "gpt-6-luna"}}
SESSION: Json = {
    "model": "gpt-live-1",
    "instructions": "Be brief.",
    "audio": {"format": FORMATS["pcm-24000"][0], "output": {"voice": "marin"}},
    "delegation": BACKEND,
}
START: Json = {"type": "session.start", "event_id": "mine", "session": SESSION}
ASKS = Scenario("asks", "calls a tool", (Step(Trigger.READY, 1.0, CallTool("look_up", '{"n":1}', hold_s=1.0)),))
NEVER_SENT = {
    "decision.event",
    "decision.item.created",
    "decision.item.deleted",
    "info",
    APPEND,
    "session.output_audio.fixture.played",
    "session.output_audio.fixture.playing",
    "session.usage.updated",
    "transport.answered",
    "transport.dtmf.received",
    "transport.dtmf.send",
    "transport.dtmf.sent",
    "transport.failed",
    "transport.ringing",
}
"""What the simulated server leaves out: decisions, fixtures, and what goes over other transports or beside."""


def changed(path: str, value: Any) -> Json:
    """A good session.start, but for the value at a path of its session; None takes the key away."""
    return with_value(START, f"session.{path}", value)


def append(audio: bytes) -> Json:
    """A piece of the client's sound."""
    return {"type": APPEND, "audio": base64.b64encode(audio).decode()}


def words(kind: str, content: str, event_id: str | None = None) -> Json:
    """Something appended to the session."""
    return {"type": f"session.{kind}.append", "content": content, "delegation_id": None, "event_id": event_id}


async def settle(client: Any, event: Json = START) -> Json:
    """Start the session and wait until it is."""
    await client.send(event)
    started = await client.until("session.started")
    return dict(started["session"])


def result(request: Json) -> Json:
    """The result of a call."""
    item = {"type": "function_call_output", "call_id": request["event"]["item"]["call_id"], "output": "done"}
    return {"type": "response.item.create", "item": item}


@pytest.fixture
def pick_up(nursery: trio.Nursery) -> Callable[..., TelephoneLine]:
    """Begin to send sound."""

    def begin(client: Any, format_: AudioFormat = PCM24) -> TelephoneLine:
        line = TelephoneLine(lambda audio: client.send(append(audio)), format_)
        nursery.start_soon(line.run)
        return line

    return begin


async def test_every_event_of_a_call_is_the_vendors_own_type(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes
) -> None:
    """A call with turns, a tool, words, muting, an update, an error and an end: no field is unknown to the vendor."""
    provider = Provider("openai-live", ASKS)
    client = await connect(provider)
    await settle(client)
    line = pick_up(client)
    request = await client.until("response.event")
    nested = ResponseOutputItemDoneEvent.model_validate(request["event"])
    assert list(unknown_keys(nested)) == []
    assert nested.item.name == "look_up"
    assert request["delegation_id"] == client.of("session.delegation.created")[0]["delegation"]["id"]
    await client.send(result(request))
    await client.send({"type": "response.create"})
    await client.until("session.output_transcript.delta")
    line.say(utterance * 2, PCM24)
    await client.until("session.input_transcript.delta", 2)
    for event in (
        words("commentary", "One moment please.", "e1"),
        words("thinking", "The order was sent.", "e2"),
        words("instructions", "From now on be brief.", "e3"),
        {"type": "session.update", "event_id": "e4", "session": {"delegation": BACKEND}},
        {"type": "session.input_audio.mute", "event_id": "e5"},
        {"type": "session.input_audio.unmute", "event_id": "e6"},
        {"type": "response.cancel", "event_id": "e7"},
    ):
        await client.send(event)
    await trio.sleep(5)
    line.connected = False
    await client.send({"type": "session.close", "event_id": "e8"})
    assert await client.until_closed() == (1000, "")
    assert client.types()[-1] == "session.closed"
    assert_vendor_knows("openai-live", client.events)
    assert set(client.types()) == vendor_names("openai-live", "server") - NEVER_SENT
    told = [event["client_event_id"] for event in client.events if event.get("client_event_id")]
    assert told == ["mine", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"]
    assert "One moment please." in "".join(event["delta"] for event in client.of("session.output_transcript.delta"))
    assert [complaint.code for complaint in provider.complaints] == ["invalid_value"]


# The vendor's acknowledgement always tells the format; one without is a compatible server's.
@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"unknown-events", "garbage", "silent-ack"}))
async def test_whatever_the_scenario_the_events_are_the_vendors(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, name: str
) -> None:
    """Trouble is in what happens, not in how it is spelled."""
    client = await connect(Provider("openai-live", SCENARIOS[name]))
    with trio.move_on_after(12), contextlib.suppress(WebSocketClosed):
        await client.send(START)
        await trio.sleep(3)
        for start in range(0, 2 * len(utterance), 960):
            await client.send(append((utterance * 2)[start : start + 960]))
            await trio.sleep(0.02)
        await client.until_closed()
    assert_vendor_knows("openai-live", client.events)


OTHERS: list[tuple[Json, list[str]]] = [
    (words("commentary", "Hello."), ["session.commentary.appended", "session.output_transcript.delta"]),
    (words("instructions", "Greet the caller."), ["session.instructions.appended", "session.output_transcript.delta"]),
    (words("instructions", "From now on be brief."), ["session.instructions.appended"]),
    (words("thinking", "It rains."), ["session.thinking.appended"]),
    ({"type": "session.input_audio.mute"}, ["session.input_audio.muted"]),
    ({"type": "session.input_audio.unmute"}, ["session.input_audio.unmuted"]),
    ({"type": "session.update", "session": {"triggers": []}}, ["session.updated"]),
    ({"type": "response.create"}, ["session.output_transcript.delta"]),
]
ANSWERS: list[tuple[Json, list[str]]] = [
    *((row["event"], ["session.started"]) for row in CLIENT_ROWS if row["type"] == "session.start"),
    *((row["event"], []) for row in CLIENT_ROWS if row["type"] == APPEND),
    *((row["event"], ["session.closed"]) for row in CLIENT_ROWS if row["type"] == "session.close"),
    *OTHERS,
]


@pytest.mark.parametrize(("event", "expected"), ANSWERS, ids=[event["type"] for event, _ in ANSWERS])
async def test_every_client_event_is_answered(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, event: Json, expected: list[str]
) -> None:
    """Those of the vectors, and the others there are: each gets its confirmation, words, or nothing at all."""
    provider = Provider("openai-live")
    client = await connect(provider)
    if event["type"] != "session.start":
        await settle(client)
        client.events.clear()
    if event["type"] not in ("session.close", "session.start"):
        pick_up(client)
    await client.send(event)
    await trio.sleep(5)
    assert list(dict.fromkeys(kind for kind in client.types() if kind != DELTA)) == expected
    confirmation = next((told for told in client.events if told["type"] != DELTA), {})
    assert confirmation.get("client_event_id") == (event.get("event_id") if expected else None)
    assert_vendor_knows("openai-live", client.events)
    assert provider.complaints == []


@pytest.mark.parametrize("format_name", FORMATS)
async def test_the_start_is_confirmed_with_what_was_asked_for(
    autojump_clock: MockClock, connect: Connect, format_name: str
) -> None:
    """The resolved session has the very format, with its rate, the voice and the model."""
    session = await settle(await connect(Provider("openai-live")), changed("audio.format", FORMATS[format_name][0]))
    assert session["audio"] == {"format": FORMATS[format_name][0], "output": {"voice": "marin"}}
    assert (session["model"], session["status"], session["delegation"]) == ("gpt-live-1", "active", BACKEND)


BEFORE: list[tuple[str, Any, str, str | None]] = [
    ("audio", append(b"\0\0"), "invalid_state", None),
    ("words", words("commentary", "Hello."), "invalid_state", None),
    ("another vendor's type", {"type": "session.updated"}, "invalid_value", "type"),
    ("binary", b"\0\0", "invalid_message", None),
    ("no JSON", "{", "invalid_json", None),
    ("no type", "{}", "missing_required_parameter", "type"),
    ("no session", {"type": "session.start"}, "missing_required_parameter", "session"),
    ("no model", changed("model", None), "missing_required_parameter", "session.model"),
    ("no format", changed("audio.format", None), "missing_required_parameter", "session.audio.format"),
    ("no rate", changed("audio.format.rate", None), "missing_required_parameter", "session.audio.format.rate"),
    ("48 kHz", changed("audio.format.rate", 48_000), "integer_above_max_value", "session.audio.format.rate"),
    ("8 kHz PCM", changed("audio.format.rate", 8_000), "invalid_value", "session.audio.format.rate"),
    ("mu-law at 24 kHz", changed("audio.format.type", "audio/pcmu"), "invalid_value", "session.audio.format.rate"),
    ("opus", changed("audio.format.type", "audio/opus"), "invalid_value", "session.audio.format.type"),
    ("two formats", changed("audio.input", {}), "unknown_parameter", "session.audio.input"),
    ("unknown key", changed("temperature", 0.8), "unknown_parameter", "session.temperature"),
    ("voice", changed("audio.output.voice", "bogus"), "invalid_value", "session.audio.output.voice"),
    (
        "backend",
        changed("delegation", {"type": "responses"}),
        "missing_required_parameter",
        "session.delegation.responses",
    ),
]
AFTER: list[tuple[str, Any, str, str | None]] = [
    ("start again", START, "invalid_state", None),
    ("unknown type", {"type": "input_audio_buffer.append", "audio": ""}, "invalid_value", "type"),
    ("binary", b"\0\0", "invalid_message", None),
    ("half a sample", append(b"\0\0\0"), "invalid_audio", "audio"),
    ("no base64", {"type": APPEND, "audio": "?"}, "invalid_value", "audio"),
    ("no audio", {"type": APPEND}, "missing_required_parameter", "audio"),
    ("format again", {"type": "session.update", "session": {"audio": {}}}, "unknown_parameter", "session.audio"),
    (
        "no delegation",
        {"type": "session.thinking.append", "content": ""},
        "missing_required_parameter",
        "delegation_id",
    ),
    ("unknown call", result({"event": {"item": {"call_id": "call_x"}}}), "invalid_tool_call_id", "item"),
]


async def refused(client: Any, provider: Provider, message: Any, code: str, param: str | None) -> None:
    """The message is refused with this code, by its id, and complained of."""
    count = len(client.of("error"))
    named = {**message, "event_id": "wrong"} if isinstance(message, dict) else message
    await client.send(named)
    error = await client.until("error", count + 1)
    event_id = "wrong" if isinstance(message, dict) else None
    assert (error["error"]["code"], error["error"]["param"]) == (code, param)
    assert (error["client_event_id"], error["error"]["client_event_id"]) == (event_id, event_id)
    complaint = provider.sessions[-1].complaints[-1]
    assert (complaint.code, complaint.message) == (code, error["error"]["message"])
    assert not complaint.harmless


@pytest.mark.parametrize(("what", "message", "code", "param"), BEFORE, ids=[row[0] for row in BEFORE])
async def test_what_is_wrong_before_the_start_is_refused(
    autojump_clock: MockClock, connect: Connect, what: str, message: Any, code: str, param: str | None
) -> None:
    """The error names code, parameter and event; the session is not started by it, and can still be."""
    provider = Provider("openai-live")
    client = await connect(provider)
    await refused(client, provider, message, code, param)
    assert client.types() == ["error"]
    await settle(client)
    assert len(provider.complaints) == 1
    assert_vendor_knows("openai-live", client.events)


@pytest.mark.parametrize(("what", "message", "code", "param"), AFTER, ids=[row[0] for row in AFTER])
async def test_what_is_wrong_in_a_call_is_refused(
    autojump_clock: MockClock, connect: Connect, what: str, message: Any, code: str, param: str | None
) -> None:
    """As before the start, and the session goes on."""
    provider = Provider("openai-live")
    client = await connect(provider)
    await settle(client)
    await refused(client, provider, message, code, param)
    await client.send({"type": "session.close"})
    await client.until("session.closed")
    assert len(provider.complaints) == 1
    assert_vendor_knows("openai-live", client.events)


async def test_a_format_the_server_does_not_take_can_be_followed_by_another(
    autojump_clock: MockClock, connect: Connect
) -> None:
    """The refusal is in Live's words, and a session that was refused was not started."""
    provider = Provider("openai-live", SCENARIOS["second-format-only"])
    client = await connect(provider)
    await refused(client, provider, START, "invalid_value", "session.audio.format.type")
    session = await settle(client, changed("audio.format", FORMATS["pcmu"][0]))
    assert session["audio"]["format"] == FORMATS["pcmu"][0]


async def test_a_query_is_refused(autojump_clock: MockClock, connect: Connect) -> None:
    """The model is in the session, not in the URL."""
    provider = Provider("openai-live")
    client = await connect(provider, url="ws://provider.test/v1/live/sessions?model=gpt-live-1")
    assert await client.until_closed() == (4000, "invalid_request_error.unexpected_query")
    assert [error["error"]["code"] for error in client.of("error")] == ["unexpected_query"]
    assert [complaint.code for complaint in provider.sessions[-1].complaints] == ["unexpected_query"]
    assert_vendor_knows("openai-live", client.events)


async def test_audio_before_the_acknowledgement_is_complained_of(autojump_clock: MockClock, connect: Connect) -> None:
    """The server takes it, and the evidence says that the client did not wait."""
    provider = Provider("openai-live", SCENARIOS["slow-ack"])
    client = await connect(provider)
    await client.send(START)
    await client.send(append(bytes(960)))
    await client.until("session.started")
    assert [complaint.code for complaint in provider.sessions[-1].complaints] == ["audio_before_ack"]


async def test_what_follows_the_clients_goodbye_is_complained_of(autojump_clock: MockClock, connect: Connect) -> None:
    """Nothing of it is answered: session.closed is the last event."""
    provider = Provider("openai-live")
    client = await connect(provider)
    await settle(client)
    await client.send({"type": "session.close", "event_id": "bye"})
    await client.send(append(bytes(960)))
    await client.send(words("commentary", "Wait!"))
    assert await client.until_closed() == (1000, "")
    assert client.types() == ["session.started", "session.closed"]
    assert (client.events[-1]["reason"], client.events[-1]["client_event_id"]) == ("close_requested", "bye")
    assert {complaint.code for complaint in provider.sessions[-1].complaints} == {"message_after_close"}


async def test_a_session_lasts_two_hours(autojump_clock: MockClock, connect: Connect) -> None:
    """Then it is closed as expired, at the time that was told when it started."""
    client = await connect(Provider("openai-live"))
    start_s, now_s = trio.current_time(), time.time()
    session = await settle(client)
    assert session["expires_at"] == pytest.approx(now_s + 7_200, abs=5)
    closed = await client.until("session.closed", timeout_s=10_000)
    assert (closed["reason"], trio.current_time() - start_s) == ("expired", pytest.approx(7_200, abs=0.1))
    assert (await client.until_closed())[0] == 1001
    assert_vendor_knows("openai-live", client.events)


@pytest.mark.parametrize("refused", [False, True])
async def test_a_session_that_was_not_started_can_be_left(
    autojump_clock: MockClock, connect: Connect, refused: bool
) -> None:
    """The server says goodbye as ever, and nothing was wrong with leaving."""
    provider = Provider("openai-live")
    client = await connect(provider)
    if refused:
        await client.send(changed("model", None))
    await client.send({"type": "session.close"})
    assert await client.until_closed() == (1000, "")
    assert client.types() == [*["error"] * refused, "session.closed"]
    assert_vendor_knows("openai-live", client.events)
    assert len(provider.complaints) == refused


async def test_results_are_due_before_an_answer(autojump_clock: MockClock, connect: Connect, pick_up: Connect) -> None:
    """An answer is refused while a call waits, and a second result of one call, too."""
    provider = Provider("openai-live", ASKS)
    client = await connect(provider)
    await settle(client)
    pick_up(client)
    request = await client.until("response.event")
    await refused(client, provider, {"type": "response.create"}, "function_call_outputs_required", None)
    await client.send(result(request))
    await refused(client, provider, result(request), "tool_call_already_answered", "item")


@pytest.mark.parametrize("format_name", FORMATS)
async def test_the_parrot_repeats_what_it_heard_in_the_format_asked_for(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, format_name: str
) -> None:
    """Decoded as what was asked for, the sound after the turn is what was said, in as much time."""
    wire, format_ = FORMATS[format_name]
    provider = Provider("openai-live")
    client = await connect(provider)
    await settle(client, changed("audio.format", wire))
    pick_up(client, format_).say(utterance, PCM24)
    await trio.sleep(6)
    session = provider.sessions[-1]
    (turn,) = session.turns
    (answer,) = session.answers
    assert format_.duration_ms(answer.audio_bytes) == pytest.approx(turn.end_ms - turn.start_ms, abs=0.2)
    assert likeness(client.audio(DELTA), format_, utterance, PCM24) > 0.99
    assert provider.complaints == []


async def test_a_muted_client_is_not_heard(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes
) -> None:
    """Its sound is the clock as before, and silence to the model until it is unmuted."""
    provider = Provider("openai-live")
    client = await connect(provider)
    await settle(client)
    line = pick_up(client)
    await client.send({"type": "session.input_audio.mute"})
    line.say(utterance, PCM24)
    await trio.sleep(4)
    assert (len(provider.sessions[-1].turns), len(client.of(DELTA))) == (0, pytest.approx(39, abs=2))
    await client.send({"type": "session.input_audio.unmute"})
    line.say(utterance, PCM24)
    await client.until("session.input_transcript.delta")
    assert len(provider.sessions[-1].turns) == 1


SPEAKS = Scenario("speaks", "speaks, and calls a tool", (Step(Trigger.READY, 2.0, Say()), *ASKS.steps))


@pytest.mark.parametrize("format_name", FORMATS)
async def test_sound_comes_at_the_pace_of_speech(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, format_name: str
) -> None:
    """Silence, answers and a tool call make one stream without a gap, as long as the client's own, in equal pieces."""
    wire, format_ = FORMATS[format_name]
    client = await connect(Provider("openai-live", SPEAKS))
    await settle(client, changed("audio.format", wire))
    line = pick_up(client, format_)
    line.say(utterance * 2, PCM24)
    await trio.sleep(15)
    times = [time_s for time_s, event in zip(client.times, client.events, strict=True) if event["type"] == DELTA]
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert max(gaps) <= 0.2
    assert format_.duration_ms(len(client.audio(DELTA))) == pytest.approx(line.sent_ms, rel=0.05)
    sizes = {len(base64.b64decode(event["delta"])) for event in client.of(DELTA)}
    assert max(sizes) == format_.bytes_of_ms(100)


async def test_silence_is_silence(autojump_clock: MockClock, connect: Connect, pick_up: Connect) -> None:
    """Where nobody speaks the sound is of the format's own silence."""
    for wire, format_ in FORMATS.values():
        client = await connect(Provider("openai-live"))
        await settle(client, changed("audio.format", wire))
        pick_up(client, format_)
        await trio.sleep(2)
        sound = client.audio(DELTA)
        assert sound == (format_.silence * 100)[: len(sound)]
        assert format_.duration_ms(len(sound)) == pytest.approx(1_900, abs=100)


async def test_there_is_no_sound_without_the_clients(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect
) -> None:
    """Before it begins, and while it stands still, in the middle of an answer too; then the answer goes on."""
    provider = Provider("openai-live", SCENARIOS["greeting"])
    client = await connect(provider)
    await settle(client)
    await trio.sleep(5)
    assert client.of(DELTA) == []
    line = pick_up(client)
    await client.until(DELTA, 10)
    line.connected = False
    await trio.sleep(1)
    count = len(client.of(DELTA))
    assert count <= 16
    await trio.sleep(30)
    assert len(client.of(DELTA)) == count
    line.connected = True
    await trio.sleep(3)
    (answer,) = provider.sessions[-1].answers
    assert (answer.status, PCM24.duration_ms(answer.audio_bytes)) == ("completed", 2_000)
