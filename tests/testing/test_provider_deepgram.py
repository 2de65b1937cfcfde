"""The simulated Deepgram: its messages are the vendor's own, and it is as strict as the real one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from telephone_line import TelephoneLine, likeness
from trio.testing import MockClock
from vendor_types import assert_vendor_knows, vendor_names, with_value

from voxpipe.audio import ALAW8, PCM24, ULAW8, AudioFormat, Encoding
from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import PARROT, SCENARIOS, CallTool, Pace, Scenario, Step, Trigger
from voxpipe.websocket import WebSocketClosed

Connect = Callable[..., Any]
Json = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors" / "deepgram.jsonl"
CLIENT_ROWS = [row for row in map(json.loads, VECTORS.read_text().splitlines()) if row["direction"] == "client"]
GREETED: Json = next(row["event"] for row in CLIENT_ROWS if row["variant"] == "linear16_24k")
FLUX: Json = {**GREETED, "agent": {key: value for key, value in GREETED["agent"].items() if key != "greeting"}}
SLIN48 = AudioFormat(Encoding.SLIN, 48_000)
FORMATS = {
    "linear16-8000": AudioFormat(Encoding.SLIN, 8_000),
    "linear16-16000": AudioFormat(Encoding.SLIN, 16_000),
    "linear16-24000": PCM24,
    "linear16-48000": SLIN48,
    "mulaw-8000": ULAW8,
    "alaw-8000": ALAW8,
}
CALL = Step(Trigger.READY, 0.1, CallTool("lookup_order", '{"order_no":"7"}'))
ASKS = Scenario("asks", "calls a tool, and speaks slowly", (CALL,), pace=Pace(speed=1.0))
SPOKEN = ["ConversationText", "AgentStartedSpeaking", "LatencyReport", "AgentAudioDone"]
INJECT = {"type": "InjectAgentMessage", "message": "One moment please."}
NEVER_SENT = {
    "AgentThinking",
    "FrustrationDetected",
    "FunctionCallCancelled",
    "FunctionCallResponse",
    "History",
    "__customFromThinkProvider",
}
"""What the simulated server leaves out: the real one sends each only at times."""


def settings(uplink: str = "linear16-24000", downlink: str = "linear16-24000", **agent: Any) -> Json:
    """Settings with these formats."""
    ways = {"input": uplink, "output": downlink}
    audio = {way: dict(zip(("encoding", "sample_rate"), name.split("-"), strict=True)) for way, name in ways.items()}
    for wire in audio.values():
        wire["sample_rate"] = int(wire["sample_rate"])
    return {**FLUX, "audio": audio, "agent": {**FLUX["agent"], **agent}}


def changed(path: str, value: Any) -> Json:
    """Good settings, but for the value at a path; None takes the key away."""
    return with_value(FLUX, path, value)


async def settle(client: Any, event: Json = FLUX) -> None:
    """Send settings and wait for the acknowledgement."""
    await client.until("Welcome")
    await client.send(event)
    await client.until("SettingsApplied")


def sound(client: Any) -> bytes:
    """All audio that came."""
    return b"".join(message for message in client.raw if isinstance(message, bytes))


@pytest.fixture
def pick_up(nursery: trio.Nursery) -> Callable[..., TelephoneLine]:
    """Begin to send sound."""

    def begin(client: Any, format_: AudioFormat = PCM24) -> TelephoneLine:
        line = TelephoneLine(client.send, format_)
        nursery.start_soon(line.run)
        return line

    return begin


async def test_every_message_of_a_call_is_the_vendors_own_type(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes
) -> None:
    """A call with turns, barge-in, a tool, injections, updates, a warning and an error: no field is unknown to it."""
    provider = Provider("deepgram", ASKS)
    client = await connect(provider)
    await settle(client)
    (function,) = (await client.until("FunctionCallRequest"))["functions"]
    assert (function["name"], function["arguments"]) == ("lookup_order", '{"order_no":"7"}')
    result = {"type": "FunctionCallResponse", "id": function["id"], "name": function["name"], "content": "sent"}
    await client.send(result)
    await client.until("AgentAudioDone")
    line = pick_up(client)
    line.say(utterance * 2, PCM24)
    await client.until("AgentStartedSpeaking", 2)
    await client.send(INJECT)
    await client.until("InjectionRefused")
    await client.until("UserStartedSpeaking", 2)
    await client.until("AgentAudioDone", 2)
    assert len(client.of("AgentStartedSpeaking")) == 3, "the first answer was interrupted, and is never done"
    await client.send({"type": "UpdatePrompt", "prompt": "x" * 25_001})
    for row in CLIENT_ROWS:
        if row["type"].startswith("Update"):
            await client.send(row["event"])
    await client.send(INJECT)
    await client.until("AgentAudioDone", 3)
    await client.send({"type": "InjectUserMessage", "content": "Where is my order?"})
    await client.until("AgentAudioDone", 4)
    assert [text["role"] for text in client.of("ConversationText")] == [
        *("assistant", "user", "assistant", "user", "assistant", "assistant", "assistant")
    ]
    assert client.of("ConversationText")[5]["content"] == "One moment please."
    await client.send({"type": "Goodbye"})
    assert await client.until_closed() == (1000, "")
    assert client.types()[-1] == "Error"
    assert_vendor_knows("deepgram", client.events)
    assert set(client.types()) == vendor_names("deepgram", "server") - NEVER_SENT
    assert [str(complaint.code) for complaint in provider.complaints] == [
        "PROMPT_TOO_LONG",
        "UNPARSABLE_CLIENT_MESSAGE",
    ]


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"unknown-events", "garbage"}))
async def test_whatever_the_scenario_the_messages_are_the_vendors(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, name: str
) -> None:
    """Trouble is in what happens, not in how it is spelled."""
    client = await connect(Provider("deepgram", SCENARIOS[name]))
    with trio.move_on_after(12), contextlib.suppress(WebSocketClosed):
        await client.send(GREETED)
        await trio.sleep(3)
        for start in range(0, len(utterance), 960):
            await client.send(utterance[start : start + 960])
            await trio.sleep(0.02)
        await client.until_closed()
    assert_vendor_knows("deepgram", client.events)


def name_of(row: Json) -> str:
    """The name of a row."""
    return f"{row['type']}-{row['variant']}"


ANSWERS: dict[str, list[str]] = {
    "Settings-mp3_bitrate_aura_only": ["Error"],
    "Settings-agent_uuid": ["SettingsApplied"],
    "Settings": ["SettingsApplied", *SPOKEN],
    "KeepAlive": [],
    "UpdatePrompt": ["PromptUpdated"],
    "UpdateSpeak": ["SpeakUpdated"],
    "UpdateListen": ["ListenUpdated"],
    "UpdateThink": ["ThinkUpdated"],
    "UpdateThink_Live": ["ThinkLiveUpdated"],
    "InjectAgentMessage": SPOKEN,
    "InjectUserMessage": SPOKEN,
    "FunctionCallResponse": ["Error"],
    "ForceEndTurn": [],
    "__customToThinkProvider": [],
}


@pytest.mark.parametrize("row", CLIENT_ROWS, ids=name_of)
async def test_every_client_message_of_the_vectors_is_answered(
    autojump_clock: MockClock, connect: Connect, row: Json
) -> None:
    """Each one gets its confirmation, the agent's words, silence, or the error the real server gives."""
    client = await connect(Provider("deepgram"))
    await client.until("Welcome")
    if row["type"] != "Settings":
        await settle(client)
    known = len(client.events)
    await client.send(row["event"])
    await trio.sleep(6)
    assert [event["type"] for event in client.events[known:]] == ANSWERS.get(name_of(row), ANSWERS.get(row["type"]))
    codes = {"Settings": "INVALID_SETTINGS", "FunctionCallResponse": "NON_EXISTENT_FUNCTION_CALLED"}
    assert {error["code"] for error in client.of("Error")} <= {codes.get(row["type"])}
    assert_vendor_knows("deepgram", client.events)


BEFORE: list[tuple[str, Any, str, str]] = [
    ("audio", b"\0\0", "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "got Audio"),
    ("keep-alive", {"type": "KeepAlive"}, "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "got KeepAlive"),
    ("no JSON", "{", "UNPARSABLE_CLIENT_MESSAGE", "JSON"),
    ("no type", "{}", "UNPARSABLE_CLIENT_MESSAGE", "'type'"),
    ("opus", changed("audio.output.encoding", "opus"), "INVALID_SETTINGS", "'opus'"),
    ("another rate", changed("audio.input.sample_rate", 44_100), "INVALID_SETTINGS", "audio.input.sample_rate"),
    ("mu-law at 24 kHz", changed("audio.output.encoding", "mulaw"), "INVALID_SETTINGS", "24000 is not supported"),
    ("rate as text", changed("audio.input.sample_rate", "24000"), "INVALID_SETTINGS", "audio.input.sample_rate"),
    ("no rate", changed("audio.input.sample_rate", None), "INVALID_SETTINGS", "'audio.input.sample_rate'"),
    ("container", changed("audio.output.container", "wav"), "INVALID_SETTINGS", "'wav'"),
    ("no audio", changed("audio", None), "INVALID_SETTINGS", "'audio'"),
    ("no agent", changed("agent", None), "INVALID_SETTINGS", "'agent'"),
    ("unknown key", changed("agent.instructions", "Be brief."), "INVALID_SETTINGS", "'agent.instructions'"),
    ("no provider", changed("agent.speak", {}), "INVALID_SETTINGS", "agent.speak.provider"),
]
AFTER: list[tuple[str, Any, str, str]] = [
    ("settings again", FLUX, "SETTINGS_ALREADY_APPLIED", "before"),
    ("unknown type", {"type": "session.update"}, "UNPARSABLE_CLIENT_MESSAGE", "'session.update'"),
    ("no JSON", "hello", "UNPARSABLE_CLIENT_MESSAGE", "JSON"),
    ("no prompt", {"type": "UpdatePrompt"}, "UNPARSABLE_CLIENT_MESSAGE", "'prompt'"),
    ("no words", {"type": "InjectAgentMessage"}, "UNPARSABLE_CLIENT_MESSAGE", "'message'"),
    ("behavior", {**INJECT, "behavior": "rude"}, "UNPARSABLE_CLIENT_MESSAGE", "'rude'"),
    ("half a sample", b"\0\0\0", "USER_AUDIO_FORMAT", "whole samples"),
]


@pytest.mark.parametrize(("what", "message", "code", "text"), BEFORE, ids=[row[0] for row in BEFORE])
async def test_what_is_wrong_before_settings_ends_the_session(
    autojump_clock: MockClock, connect: Connect, what: str, message: Any, code: str, text: str
) -> None:
    """The error has the vendor's code and says what is wrong, the server closes, and a complaint is left."""
    provider = Provider("deepgram")
    client = await connect(provider)
    await client.until("Welcome")
    await client.send(message)
    assert await client.until_closed() == (1000, "")
    assert client.types() == ["Welcome", "Error"]
    assert_error(provider, client, code, text)


@pytest.mark.parametrize(("what", "message", "code", "text"), AFTER, ids=[row[0] for row in AFTER])
async def test_what_is_wrong_in_a_call_ends_the_session(
    autojump_clock: MockClock, connect: Connect, what: str, message: Any, code: str, text: str
) -> None:
    """As before settings; and what still comes of the client is answered no more."""
    provider = Provider("deepgram")
    client = await connect(provider)
    await settle(client)
    for again in (message, message, {"type": "Goodbye"}):
        with contextlib.suppress(WebSocketClosed):
            await client.send(again)
    assert await client.until_closed() == (1000, "")
    assert client.types() == ["Welcome", "SettingsApplied", "Error"]
    assert_error(provider, client, code, text)


def assert_error(provider: Provider, client: Any, code: str, text: str) -> None:
    """The client got this error, and the provider complains of the same."""
    (error,) = client.of("Error")
    assert error["code"] == code
    assert text in error["description"]
    assert [complaint.message for complaint in provider.sessions[-1].complaints] == [error["description"]]
    assert not provider.complaints[0].harmless
    assert_vendor_knows("deepgram", client.events)


async def test_a_result_is_taken_once(autojump_clock: MockClock, connect: Connect) -> None:
    """A second result is one for a function that was not called."""
    provider = Provider("deepgram", ASKS)
    client = await connect(provider)
    await settle(client)
    function = (await client.until("FunctionCallRequest"))["functions"][0]
    result = {"type": "FunctionCallResponse", "id": function["id"], "name": function["name"], "content": "sent"}
    await client.send(result)
    await client.until("AgentAudioDone")
    assert provider.complaints == []
    await client.send(result)
    await client.until_closed()
    assert_error(provider, client, "NON_EXISTENT_FUNCTION_CALLED", function["id"])


async def test_audio_before_the_acknowledgement_is_complained_of(autojump_clock: MockClock, connect: Connect) -> None:
    """The server takes it, and the evidence says that the client did not wait."""
    provider = Provider("deepgram", SCENARIOS["slow-ack"])
    client = await connect(provider)
    await client.send(FLUX)
    await client.send(bytes(960))
    await client.until("SettingsApplied")
    (complaint,) = provider.sessions[-1].complaints
    assert (complaint.code, complaint.message) == (
        "audio_before_ack",
        "Audio was sent before the session was acknowledged.",
    )


async def test_a_silent_client_is_given_up(autojump_clock: MockClock, connect: Connect) -> None:
    """KeepAlive every 8 s holds a session; 10 s after the last one the server says so and closes."""
    provider = Provider("deepgram")
    client = await connect(provider)
    await settle(client)
    for _ in range(8):
        await trio.sleep(8)
        await client.send({"type": "KeepAlive"})
    last_s = trio.current_time()
    assert provider.complaints == []
    assert await client.until_closed() == (1000, "")
    assert trio.current_time() - last_s == pytest.approx(10, abs=0.1)
    assert_error(provider, client, "CLIENT_MESSAGE_TIMEOUT", "We waited too long for a websocket message.")


async def test_a_session_lasts_two_hours(autojump_clock: MockClock, connect: Connect) -> None:
    """Five minutes before its end there is a warning; a client that is there all the time does not make it longer."""
    provider = Provider("deepgram")
    client = await connect(provider)
    start_s = trio.current_time()
    await settle(client)
    while client.closed is None:
        with contextlib.suppress(WebSocketClosed):
            await client.send({"type": "KeepAlive"})
        await trio.sleep(5)
    assert client.types() == ["Welcome", "SettingsApplied", "Warning", "Error"]
    assert [time - start_s for time in client.times[2:]] == pytest.approx([6_900, 7_200], abs=0.1)
    codes = [event["code"] for event in client.events[2:]]
    assert codes == ["MAXIMUM_SESSION_LENGTH_APPROACHING", "MAXIMUM_SESSION_LENGTH_REACHED"]
    assert provider.complaints == []
    assert_vendor_knows("deepgram", client.events)


async def test_a_prompt_too_long_is_cut(autojump_clock: MockClock, connect: Connect) -> None:
    """The server warns, and goes on with what there was room for."""
    provider = Provider("deepgram")
    client = await connect(provider)
    await settle(client, changed("agent.think.prompt", "x" * 25_001))
    warning = await client.until("Warning")
    assert warning["code"] == "PROMPT_TOO_LONG"
    await client.send({"type": "UpdatePrompt", "prompt": "y" * 30_000})
    await client.until("PromptUpdated")
    assert [complaint.code for complaint in provider.sessions[-1].complaints] == ["PROMPT_TOO_LONG"] * 2
    assert (provider.sessions[-1].configuration or {})["instructions"] == "y" * 25_000


@pytest.mark.parametrize(("behavior", "done"), [("default", 1), ("queue", 2), ("interrupt", 1)])
async def test_words_for_a_speaking_agent_wait_cut_in_or_are_refused(
    autojump_clock: MockClock, connect: Connect, behavior: str, done: int
) -> None:
    """By its behavior: by default refused, queued after the words that run, or in their place."""
    client = await connect(Provider("deepgram"))
    await settle(client)
    await client.send({**INJECT, "message": "First."})
    await client.until("AgentStartedSpeaking")
    await client.send({**INJECT, "message": "Second.", "behavior": behavior})
    await trio.sleep(6)
    said = [text["content"] for text in client.of("ConversationText")]
    assert said == (["First."] if behavior == "default" else ["First.", "Second."])
    assert len(client.of("AgentAudioDone")) == done
    assert len(client.of("InjectionRefused")) == (behavior == "default")


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_turn_is_ended_by_hand_with_flux_only(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, version: str
) -> None:
    """Else the server warns, and the turn goes on to its own end."""
    provider = Provider("deepgram")
    client = await connect(provider)
    await settle(client, changed("agent.listen.provider.version", version))
    pick_up(client).say(utterance, PCM24)
    await client.until("UserStartedSpeaking")
    await client.send({"type": "ForceEndTurn"})
    ended_s = trio.current_time()
    await client.until("ConversationText")
    assert (trio.current_time() - ended_s < 0.2) is (version == "v2")
    warnings = [warning["code"] for warning in client.of("Warning")]
    assert warnings == ([] if version == "v2" else ["FORCE_END_TURN_UNSUPPORTED"])
    assert [complaint.code for complaint in provider.complaints] == warnings


@pytest.mark.parametrize("downlink", FORMATS)
@pytest.mark.parametrize("uplink", ["linear16-8000", "linear16-48000", "mulaw-8000", "alaw-8000"])
async def test_the_parrot_repeats_what_it_heard_in_the_format_asked_for(
    autojump_clock: MockClock, connect: Connect, pick_up: Connect, utterance: bytes, uplink: str, downlink: str
) -> None:
    """The answer lasts as long as the turn, and decoded as what was asked for it is what was said."""
    provider = Provider("deepgram", PARROT)
    client = await connect(provider)
    await settle(client, settings(uplink, downlink))
    pick_up(client, FORMATS[uplink]).say(utterance, PCM24)
    await client.until("AgentAudioDone")
    (turn,) = provider.sessions[-1].turns
    answer = sound(client)
    assert FORMATS[downlink].duration_ms(len(answer)) == pytest.approx(turn.end_ms - turn.start_ms, abs=0.2)
    assert likeness(answer, FORMATS[downlink], utterance, PCM24) > 0.99
    assert provider.complaints == []


@pytest.mark.parametrize("downlink", FORMATS)
async def test_a_greeting_lasts_as_long_in_every_format(
    autojump_clock: MockClock, connect: Connect, downlink: str
) -> None:
    """Its words are those of the settings; two seconds are two seconds at every rate."""
    client = await connect(Provider("deepgram"))
    await settle(client, settings(downlink=downlink, greeting="North Bikes, good morning."))
    await client.until("AgentAudioDone")
    assert client.of("ConversationText")[0]["content"] == "North Bikes, good morning."
    assert FORMATS[downlink].duration_ms(len(sound(client))) == 2_000


async def test_formats_that_are_left_out_are_the_vendors_defaults(autojump_clock: MockClock, connect: Connect) -> None:
    """Linear at 24 kHz both ways; G.711 has but one rate, and needs none."""
    for audio, expected in (
        ({}, {"type": "audio/pcm", "rate": 24_000}),
        ({"output": {"encoding": "alaw"}}, {"type": "audio/pcma"}),
    ):
        provider = Provider("deepgram")
        await settle(await connect(provider), {**FLUX, "audio": audio})
        confirmed = (provider.sessions[-1].configuration or {})["audio"]
        assert confirmed["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert confirmed["output"]["format"] == expected
