"""OpenAI Live: exact messages, the vendor's own types as their judge, and what its stream of sound means."""

from __future__ import annotations

import base64
import json
import typing
from pathlib import Path
from typing import Any

import pytest
from vendor_types import decode, unknown_keys, vendor_names, vendor_parse

from voxpipe.audio import ALAW8, SLIN16, SLIN24, ULAW8, AudioFormat, FormatPair
from voxpipe.config import structure_config
from voxpipe.dialects import get_dialect
from voxpipe.dsp import ulaw_encode
from voxpipe.sansio.command_words import (
    AddMessage,
    Command,
    ConfigureSession,
    CreateResponse,
    InstructSession,
    RecallConversation,
    SpeakWords,
)
from voxpipe.sansio.dialect import Mark, Wire
from voxpipe.sansio.realtime import (
    UNTOLD,
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    CommandAcknowledged,
    ErrorReported,
    OutputItemAdded,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptReceived,
    UnknownEvent,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolCallRequested, ToolSchema

LIVE = get_dialect("openai-live")
ROWS = [
    json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "openai_live.jsonl").read_text().splitlines()
]
FORMATS: list[tuple[AudioFormat, Wire]] = [
    (SLIN24, {"type": "audio/pcm", "rate": 24000}),
    (SLIN16, {"type": "audio/pcm", "rate": 16000}),
    (ULAW8, {"type": "audio/pcmu", "rate": 8000}),
    (ALAW8, {"type": "audio/pcma", "rate": 8000}),
]


def encode(command: Command) -> Wire:
    """Spell a command, and have the vendor's types read what would go over the socket."""
    message: Wire = json.loads(LIVE.serialize(LIVE.encode(command, "vx_7")))
    assert list(unknown_keys(vendor_parse("openai-live", "client", message))) == []
    assert message.pop("event_id") == "vx_7"
    return message


def start(tree: dict[str, Any], format_: AudioFormat = SLIN24, tools: tuple[ToolSchema, ...] = ()) -> Wire:
    """The session that is asked for by a configuration."""
    session = structure_config({"session": tree}).session
    message = encode(ConfigureSession(session, FormatPair(format_, format_), tools, "gpt-live-1"))
    assert message["type"] == "session.start"
    asked: Wire = message["session"]
    return asked


def appended(kind: str, content: str) -> Wire:
    """A message that adds text to the session."""
    return {"type": f"session.{kind}.append", "delegation_id": None, "content": content}


PLAIN: list[tuple[Command, Wire]] = [
    (InstructSession("be kind."), appended("instructions", "From now on: be kind.")),
    (
        RecallConversation("Be brief.", ("caller: Hi.",), ("caller: Hello.", "agent: Hello, too.")),
        appended(
            "thinking",
            "Earlier in this call, before the connection was renewed:\ncaller: Hello.\nagent: Hello, too.",
        ),
    ),
    (SpeakWords("One moment."), appended("commentary", "One moment.")),
    (AddMessage("vx_item_1", "caller", "The caller pressed 42."), appended("instructions", "The caller pressed 42.")),
    (CreateResponse("Say hello."), appended("instructions", "Say hello.")),
    (CreateResponse(), {"type": "response.create"}),
    (
        SendToolResult("call_1", "4 m", "look_up"),
        {
            "type": "response.item.create",
            "item": {"type": "function_call_output", "call_id": "call_1", "output": "4 m"},
        },
    ),
]


@pytest.mark.parametrize(("command", "expected"), PLAIN, ids=lambda value: type(value).__name__)
def test_a_command_is_spelled_exactly_so(command: Command, expected: Wire) -> None:
    """Each command is this JSON and no other."""
    assert encode(command) == expected


def test_every_command_that_has_a_word_is_here() -> None:
    """There is nothing to cut, to commit or to delete, and the voice stays."""
    assert set(LIVE.commands) == {type(command) for command, _ in PLAIN} | {ConfigureSession}
    assert set(LIVE.commands) < set(typing.get_args(Command))


@pytest.mark.parametrize(("format_", "wire"), FORMATS, ids=str)
def test_a_session_is_asked_for_with_model_and_format(format_: AudioFormat, wire: Wire) -> None:
    """One format with its rate; what confirms it is the same one with both."""
    instructions = "You are a friendly assistant on the telephone. Be brief."
    assert start({}, format_) == {"model": "gpt-live-1", "instructions": instructions, "audio": {"format": wire}}
    told = {"type": "session.started", "session": {"audio": {"format": wire}}}
    assert read(told)[1:] == [SessionUpdated(format_, format_)]


def test_voice_tools_and_further_keys_reach_their_places() -> None:
    """Tools are a second model's, to which ``session.extra`` may give another name; unknown formats stay words."""
    tool = ToolSchema("look_up", "Look it up.", {"type": "object", "properties": {}})
    extra = {"store": True, "delegation": {"responses": {"model": "gpt-5.5"}}}
    made = start({"voice": "cedar", "instructions": "Grüße.", "extra": extra}, tools=(tool,))
    assert made["audio"]["output"] == {"voice": "cedar"}
    assert made["store"] is True
    function = {"type": "function", "name": "look_up", "description": "Look it up."}
    assert made["delegation"] == {
        "type": "responses",
        "responses": {
            "model": "gpt-5.5",
            "instructions": "Grüße.",
            "tools": [{**function, "parameters": {"type": "object", "properties": {}}}],
        },
    }
    odd = {"type": "session.started", "session": {"audio": {"format": {"type": "audio/pcm", "rate": 8000}}}}
    assert read(odd)[1:] == [
        SessionUpdated("{'type': 'audio/pcm', 'rate': 8000}", "{'type': 'audio/pcm', 'rate': 8000}")
    ]


def test_every_message_of_the_vendor_is_read() -> None:
    """Those of the vectors, and every type there is, are events, marks, or harmless."""
    for row in ROWS:
        if row["direction"] == "server":
            decoded = decode("openai-live", row["event"])
            assert isinstance(decoded, UnknownEvent) is not (row["type"] in LIVE.events), row["type"]
    for wire_type in vendor_names("openai-live", "server") - set(LIVE.events):
        assert decode("openai-live", {"type": wire_type}) == UnknownEvent(wire_type)


# --- the stream of sound ----------------------------------------------------------------------------------------------

LOUD, QUIET, FAINT = (value.to_bytes(2, "little") * 2_400 for value in (3_000, 0, 20))
"""Chunks of 100 ms at 24 kHz: -21 dBFS, silence, and -64 dBFS."""
STARTED = {"type": "session.started", "session": {"audio": {"format": {"type": "audio/pcm", "rate": 24000}}}}
OPEN: list[ProviderEvent] = [SessionCreated(None), SessionUpdated(SLIN24, SLIN24)]
BEGUN: list[ProviderEvent] = [ResponseCreated("answer_1"), OutputItemAdded("answer_1", "sound_1", "message")]
OVER: list[ProviderEvent] = [AudioCompleted("answer_1", "sound_1", 0), ResponseDone("answer_1", "completed", None)]


def sound(audio: bytes) -> Wire:
    """A chunk as it comes."""
    return {"type": "session.output_audio.delta", "delta": base64.b64encode(audio).decode()}


def said(words: str, start_ms: int, end_ms: int) -> Wire:
    """A fragment of the caller's words."""
    return {"type": "session.input_transcript.delta", "delta": words, "start_ms": start_ms, "end_ms": end_ms}


def told(words: str) -> Wire:
    """A fragment of the agent's words."""
    return {"type": "session.output_transcript.delta", "delta": words, "start_ms": 0, "end_ms": 0}


def read(*messages: Wire) -> list[ProviderEvent]:
    """What a session's messages mean, all of them from its beginning."""
    reader = LIVE.reader(1)
    events = reader.begin()
    for message in messages:
        events += reader.read(LIVE.decode(LIVE.parse(json.dumps(message))))
    assert not any(isinstance(event, Mark) for event in events)
    return events


def heard(*chunks: bytes) -> list[ProviderEvent]:
    """Chunks of the first answer."""
    return [AudioReceived("answer_1", "sound_1", 0, chunk) for chunk in chunks]


def test_silence_is_no_answer() -> None:
    """Nor is a faint noise: nothing begins, and nothing is played."""
    assert read(STARTED, *map(sound, (QUIET, FAINT, QUIET))) == OPEN


def test_an_answer_is_from_the_first_sound_to_a_silence() -> None:
    """With the chunk before it, its pauses, and the silence that tells that it is over; then it is quiet again."""
    chunks = [QUIET, FAINT, LOUD, QUIET, LOUD, *[QUIET] * 8]
    expected = [*OPEN, *BEGUN, *heard(FAINT, LOUD, QUIET, LOUD, *[QUIET] * 6), *OVER]
    assert read(STARTED, *map(sound, chunks)) == expected


def test_the_next_answer_is_another_one() -> None:
    """Ids are never used again."""
    events = read(STARTED, *map(sound, [LOUD, *[QUIET] * 6, LOUD]))
    assert [event.response_id for event in events if isinstance(event, ResponseCreated)] == ["answer_1", "answer_2"]


def test_a_short_word_within_a_chunk_is_heard() -> None:
    """Twenty milliseconds are enough, whatever the level of the rest."""
    click = QUIET[:3_840] + LOUD[:960]
    assert read(STARTED, sound(click)) == [*OPEN, *BEGUN, *heard(click)]


def test_half_a_sample_waits_for_its_other_half() -> None:
    """Sound is one stream, wherever it is parted."""
    assert read(STARTED, sound(LOUD[:-1]), sound(LOUD[-1:])) == [*OPEN, *BEGUN, *heard(LOUD[:-2], LOUD[-2:])]


def test_g711_is_measured_as_what_it_is() -> None:
    """Silence in mu-law is bytes of 255, and a voice is heard."""
    started = {"type": "session.started", "session": {"audio": {"format": {"type": "audio/pcmu", "rate": 8000}}}}
    quiet, loud = b"\xff" * 800, ulaw_encode(LOUD[:1600])
    events = read(started, sound(quiet), sound(loud))
    assert events[2:] == [*BEGUN, *heard(quiet, loud)]


def test_sound_before_the_confirmation_is_passed_on_to_be_refused() -> None:
    """Nobody knows what it is: the gate refuses and counts it."""
    (event,) = read(sound(LOUD))[1:]
    assert isinstance(event, AudioReceived)


# --- words ------------------------------------------------------------------------------------------------------------


def turn(number: int, words: str, end_ms: int) -> list[ProviderEvent]:
    """The end of a turn of the caller's."""
    item_id = f"turn_{number}"
    return [SpeechStopped(item_id, end_ms), AudioCommitted(item_id), TranscriptionCompleted(item_id, words)]


def test_the_callers_turn_ends_when_the_agent_answers() -> None:
    """Its fragments make one transcript, and it ends at its last word in the audio that was sent."""
    events = read(STARTED, said("How high", 900, 1200), said(" is it?", 1200, 1800), sound(LOUD))
    assert events[2:] == [SpeechStarted("turn_1", 900), *turn(1, "How high is it?", 1800), *BEGUN, *heard(LOUD)]


def test_a_turn_after_a_gap_is_another_one() -> None:
    """Nobody answered the first, and the caller speaks again."""
    events = read(STARTED, said("Hello?", 900, 1200), said("Hello!", 4_000, 4_400))
    assert events[2:] == [SpeechStarted("turn_1", 900), *turn(1, "Hello?", 1200), SpeechStarted("turn_2", 4_000)]


def test_the_agents_words_are_those_of_its_answer() -> None:
    """Those that came before its sound, too."""
    events = read(STARTED, told("Four "), sound(LOUD), told("metres."), *map(sound, [QUIET] * 6))
    words = [event.delta for event in events if isinstance(event, TranscriptReceived)]
    assert words == ["Four ", "metres."]
    assert TranscriptCompleted("answer_1", "sound_1", "Four metres.") in events


def nested(item: Wire, kind: str = "response.output_item.done") -> Wire:
    """An event of the second model."""
    return {"type": "response.event", "delegation_id": "d1", "event": {"type": kind, "item": item}}


def test_a_tool_call_comes_wrapped_and_ends_the_callers_turn() -> None:
    """Only a complete call is one; reasoning, and the call while it is written, mean nothing."""
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": '{"what":"tide"}'}
    events = read(
        STARTED,
        said("How high is it?", 900, 1800),
        nested({"type": "reasoning"}),
        nested({**call, "arguments": ""}, "response.output_item.added"),
        nested(call),
    )
    asked = ToolCallRequested("call_1", None, "delegation call_1", "look_up", '{"what":"tide"}')
    assert events[2:] == [SpeechStarted("turn_1", 900), *turn(1, "How high is it?", 1800), asked]


def test_acknowledgements_errors_and_ends_name_what_they_are_about() -> None:
    """Our id comes back; a session that ends for another reason than our wish is over."""
    error = {"type": "error", "error": {"type": "e", "code": "c", "message": "m", "client_event_id": "vx_1"}}
    events = read(
        {"type": "session.commentary.appended", "client_event_id": "vx_3"},
        error,
        {"type": "session.closed", "reason": "close_requested"},
        {"type": "session.closed", "reason": "expired"},
    )
    assert events[1:] == [
        CommandAcknowledged("vx_3"),
        ErrorReported("c", "m", None, "vx_1"),
        ErrorReported("closed: expired", "the session was closed", None, None, fatal=True),
    ]
    assert read({"type": "session.started"})[1:] == [SessionUpdated(UNTOLD, UNTOLD)]
