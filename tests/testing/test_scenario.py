"""Each named scenario, as a client lives through it."""

from __future__ import annotations

import itertools
import json

import attrs
import pytest
import trio

from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import SCENARIOS, Acknowledge, Pace, Say, Scenario, SendEvent, Step, Trigger

UPDATE = {"type": "session.update", "event_id": "u1", "session": {"type": "realtime"}}
CREATE = {"type": "response.create", "response": {"instructions": "Greet."}}
PCM = {"type": "audio/pcm", "rate": 24000}
ULAW = {"type": "audio/pcmu"}
DELTA = "response.output_audio.delta"


def formats(direction, format_):
    """A session that asks for a format in one direction."""
    return {"type": "realtime", "audio": {direction: {"format": format_}}}


def test_every_scenario_is_named_and_described():
    """The table is keyed by name, and each name says what it is in one line."""
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert 10 < len(scenario.description) < 100
    asked = (
        "parrot greeting wrong-format no-ack refused refused-anonymous early-audio format-drift stall vanish "
        "close-1011 expired no-created error-mid unknown-events garbage second-format-only"
    )
    assert set(asked.split()) <= set(SCENARIOS)


def test_a_scenario_is_a_value():
    """It cannot be changed, only copied with a difference."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        SCENARIOS["parrot"].parrot = False
    assert attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=1.0)).pace.speed == 1.0


async def test_greeting_speaks_first(autojump_clock, connect):
    """Two seconds of audio come without a word of the client but its configuration."""
    client = await connect(Provider(scenario=SCENARIOS["greeting"]))
    await client.configure()
    await client.until("response.done")
    assert len(client.audio()) == 2 * 48_000


@pytest.mark.parametrize(("asked", "confirmed"), [(PCM, ULAW), (ULAW, PCM)])
async def test_wrong_format_confirms_and_sends_another(autojump_clock, connect, asked, confirmed):
    """The downlink is never what was asked; the uplink is."""
    client = await connect(Provider(scenario=SCENARIOS["wrong-format"]))
    session = await client.configure(formats("output", asked))
    assert session["audio"]["output"]["format"] == confirmed
    assert session["audio"]["input"]["format"] == PCM
    await client.send(CREATE)
    await client.until("response.done")
    assert len(client.audio()) == 2 * (48_000 if confirmed == PCM else 8_000)


@pytest.mark.parametrize("name", ["no-ack", "no-created"])
async def test_silence_is_silence(autojump_clock, connect, name):
    """A session.update is never answered, and without a creation there is not one message."""
    client = await connect(Provider(scenario=SCENARIOS[name]))
    await client.send(UPDATE)
    await trio.sleep(60)
    assert client.types() == ([] if name == "no-created" else ["session.created", "conversation.created"])
    assert client.closed is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("refused", ("unknown_parameter", "session.audio", "u1")),
        ("refused-anonymous", ("invalid_value", None, None)),
    ],
)
async def test_a_refusal_names_the_event_or_nothing(autojump_clock, connect, name, expected):
    """Refused says whose event and which parameter; anonymous neither; the client is not to blame in either."""
    provider = Provider(scenario=SCENARIOS[name])
    client = await connect(provider)
    await client.send(UPDATE)
    error = (await client.until("error"))["error"]
    assert (error["code"], error["param"], error["event_id"]) == expected
    assert provider.complaints == []


async def test_early_audio_comes_before_the_acknowledgement(autojump_clock, connect):
    """A delta first, session.updated later."""
    client = await connect(Provider(scenario=SCENARIOS["early-audio"]))
    await client.configure()
    assert client.types().index(DELTA) < client.types().index("session.updated")


async def test_slow_ack_takes_its_time(autojump_clock, connect):
    """The acknowledgement comes 1.5 s after the update."""
    client = await connect(Provider(scenario=SCENARIOS["slow-ack"]))
    await client.until("session.created")
    before_s = trio.current_time()
    await client.configure()
    assert trio.current_time() - before_s == pytest.approx(1.5)


async def test_format_drift_changes_the_downlink_in_the_call(autojump_clock, connect):
    """A second session.updated, 3 s after the first, has another downlink format."""
    client = await connect(Provider(scenario=SCENARIOS["format-drift"]))
    await client.configure()
    drifted = await client.until("session.updated", 2)
    assert drifted["session"]["audio"]["output"]["format"] == ULAW
    updated = [
        time for event, time in zip(client.events, client.times, strict=True) if event["type"] == "session.updated"
    ]
    assert updated[1] - updated[0] == pytest.approx(3.0)


async def test_stall_pauses_in_the_middle_and_loses_nothing(autojump_clock, connect):
    """Between two deltas nothing comes for 4 s; the answer is complete all the same."""
    client = await connect(Provider(scenario=SCENARIOS["stall"]))
    await client.configure()
    await client.send(CREATE)
    await client.until("response.done")
    came = [time for event, time in zip(client.events, client.times, strict=True) if event["type"] == DELTA]
    assert max(later - earlier for earlier, later in itertools.pairwise(came)) >= 4.0
    assert len(client.audio()) == 2 * 48_000


@pytest.mark.parametrize(("name", "code"), [("vanish", 1006), ("close-1011", 1011)])
async def test_an_end_in_mid_answer(autojump_clock, connect, name, code):
    """At least half of the audio has come, and no end of the response."""
    provider = Provider(scenario=SCENARIOS[name])
    client = await connect(provider)
    await client.configure()
    await client.send(CREATE)
    assert (await client.until_closed())[0] == code
    assert 48_000 <= len(client.audio()) < 2 * 48_000
    assert client.of("response.done") == []
    assert provider.sessions[0].closed[0] == code


@pytest.mark.parametrize("how", ["scenario", "limit"])
async def test_an_expired_session_says_so_and_is_closed(autojump_clock, connect, how):
    """The error comes first, then close 1001: after 5 s by the scenario, after an hour with any."""
    client = await connect(Provider(scenario=SCENARIOS["expired" if how == "scenario" else "parrot"]))
    await client.configure()
    code, reason = await client.until_closed(4000)
    assert client.of("error")[-1]["error"]["code"] == "session_expired"
    assert (code, reason) == (1001, "Your session hit the maximum duration of 60 minutes.")
    assert trio.current_time() == pytest.approx(5 if how == "scenario" else 3600, abs=0.1)


async def test_error_mid_is_an_error_and_nothing_else(autojump_clock, connect):
    """An error that answers nothing, after which the session goes on."""
    client = await connect(Provider(scenario=SCENARIOS["error-mid"]))
    await client.configure()
    error = (await client.until("error"))["error"]
    assert (error["type"], error["event_id"]) == ("server_error", None)
    await client.configure()


async def test_unknown_events_are_sprinkled_over_a_whole_call(autojump_clock, connect, utterance):
    """Every event has keys nobody knows, and events nobody knows come between; the call works all the same."""
    client = await connect(Provider(scenario=SCENARIOS["unknown-events"]))
    await client.configure()
    await client.append(utterance)
    await client.until("response.done")
    assert all(event["x_region"] == "moon" for event in client.events)
    assert len(client.of("session.weather.updated")) >= 4


async def test_garbage_is_no_json_and_no_event(autojump_clock, connect):
    """Three messages nobody can use, and the session goes on."""
    client = await connect(Provider(scenario=SCENARIOS["garbage"]))
    await client.configure()
    client.events.clear()
    with trio.move_on_after(2):
        await trio.sleep_forever()
    assert client.raw[-3:] == ["{not json", "[]", '{"no": "type"}']
    client.events.clear()
    assert await client.configure()


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_second_format_only_takes_mu_law(autojump_clock, connect, dialect):
    """PCM is refused with what is supported; mu-law is confirmed."""
    provider = Provider(dialect, SCENARIOS["second-format-only"])
    client = await connect(provider)
    ga = dialect == "openai"
    await client.send({**UPDATE, "session": formats("input", PCM) if ga else {"input_audio_format": "pcm16"}})
    error = (await client.until("error"))["error"]
    supported = "audio/pcmu" if ga else "g711_ulaw"
    assert error["message"].endswith(f"Supported values are: '{supported}'.")
    assert error["param"] == ("session.audio.input.format.type" if ga else "session.input_audio_format")
    session = await client.configure(formats("input", ULAW) if ga else {"input_audio_format": "g711_ulaw"})
    assert (session["audio"]["input"]["format"] == ULAW) if ga else session["input_audio_format"] == "g711_ulaw"


async def test_undercount_refuses_the_last_85_ms(autojump_clock, connect):
    """All that was sent is too much, and the number in the message is not."""
    client = await connect(Provider(scenario=SCENARIOS["undercount"]))
    await client.configure()
    await client.send(CREATE)
    item_id = (await client.until("response.done"))["response"]["output"][0]["id"]
    cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
    await client.send({**cut, "audio_end_ms": 2000})
    message = (await client.until("error"))["error"]["message"]
    assert message == "Audio content of 1915ms is already shorter than 2000ms"
    await client.send({**cut, "audio_end_ms": 1915})
    await client.until("conversation.item.truncated")


async def test_silent_hears_and_does_not_answer(autojump_clock, connect, utterance):
    """The turn is committed, and no response follows."""
    client = await connect(Provider(scenario=SCENARIOS["silent"]))
    await client.configure()
    await client.append(utterance)
    await trio.sleep(10)
    assert client.of("input_audio_buffer.committed")
    assert client.of("response.created") == []


async def test_a_scenario_of_ones_own(autojump_clock, connect):
    """Steps are played by their delays; ``once`` steps at the first occasion only, the others at each."""
    clip = b"\1\0" * 4800
    beep = SendEvent({"type": "beep"})
    scenario = Scenario(
        "own",
        "says a clip of its own, and beeps after every answer",
        (
            Step(Trigger.READY, 2.0, Say(clip)),
            Step(Trigger.READY, 1.0, beep),
            Step(Trigger.ANSWERED, 0.5, beep, once=False),
        ),
        on_update=Acknowledge(uplink_instead=("audio/pcma",)),
    )
    client = await connect(Provider(scenario=scenario))
    assert (await client.configure())["audio"]["input"]["format"] == {"type": "audio/pcma"}
    await client.until("response.done")
    await client.send(CREATE)
    await client.until("response.done", 2)
    await trio.sleep(1)
    assert len(client.of("beep")) == 3
    assert client.audio()[: len(clip)] == clip
    assert json.dumps(client.types()).index("beep") < json.dumps(client.types()).index("response.created")


async def test_a_short_answer_has_a_middle_too(autojump_clock, connect):
    """An answer of one chunk is cut off after its audio, before its end is told."""
    scenario = attrs.evolve(SCENARIOS["vanish"], pace=Pace(chunk_ms=(60_000.0,)))
    client = await connect(Provider(scenario=scenario))
    await client.configure()
    await client.send(CREATE)
    assert (await client.until_closed())[0] == 1006
    assert len(client.of(DELTA)) == 1
    assert client.of("response.output_audio.done") == []
