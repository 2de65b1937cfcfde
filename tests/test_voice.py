"""Whole calls with the voice detected here, in virtual time: what is sent, what is heard, what the log says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from echoes import Loud
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe import testing
from voxpipe.audio import SLIN8
from voxpipe.config_check import check_config
from voxpipe.config_file import load_config
from voxpipe.dsp import Converter, speech
from voxpipe.errors import ConfigError
from voxpipe.testing.scenario import SCENARIOS, Scenario
from voxpipe.wav import read_wav

COMMIT, ASK, CANCEL = "input_audio_buffer.commit", "response.create", "response.cancel"
TRUNCATE, DELETE, CLEAR = "conversation.item.truncate", "conversation.item.delete", "input_audio_buffer.clear"
STARTED, STOPPED = "voice.started", "voice.stopped"
HELD, RESUMED, HOLD_CUT, CUT = "playout.held", "playout.resumed", "playout.hold_cut", "playout.cut"

REAL = dict(speech.PACKAGES)
TURN = tone(2000) + silence(1600)
"""Two seconds of words, and time until the answer to them is being heard."""
COUGH = tone(200, amplitude=4000)
"""Loud enough for us, and not for the provider."""
WORDS = tone(900)
REST = silence(6000)
PARROT = SCENARIOS["parrot"]
NO_WORDS = attrs.evolve(PARROT, transcripts=("Hello?", "", "Well."))
SOME_WORDS = attrs.evolve(PARROT, transcripts=("Hello?", "Stop."))
SERVER_VAD = {"turn_detection": {"threshold": 1.0}}
OURS = {"turn_detection": {"type": "none"}}
UNWRITTEN = {**OURS, "transcription": {"model": ""}}


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes what is loud for speech: the tones of these callers."""
    monkeypatch.setattr(speech, "PACKAGES", {"json": Loud})
    monkeypatch.setattr(speech, "_idle", [])


def sent(call: VirtualCall) -> list[str]:
    """What was asked of the provider, in order."""
    return [r.event_type for r in call.of(COMMIT, ASK, CANCEL, TRUNCATE, DELETE, CLEAR, direction="sent")]


def told(call: VirtualCall) -> list[str]:
    """What the log says of voices and holds, in order."""
    return [r.event_type for r in call.of(STARTED, STOPPED, HELD, RESUMED, HOLD_CUT, CUT)]


VOICE = [STARTED, STOPPED]
CASES: list[tuple[str, bytes, dict[str, Any], dict[str, Any], Scenario, list[str], list[str], dict[str, int]]] = [
    (
        "a turn",
        TURN + REST,
        OURS,
        {},
        PARROT,
        [COMMIT, ASK],
        VOICE,
        {"caller": 1, "agent": 1, "cut": 0},
    ),
    (
        "the provider hears words",
        TURN + WORDS + REST,
        SERVER_VAD,
        {},
        PARROT,
        [TRUNCATE],
        [*VOICE, STARTED, HELD, HOLD_CUT, CUT, STOPPED],
        {"caller": 2, "agent": 2, "cut": 1},
    ),
    (
        "the provider hears nothing",
        TURN + COUGH + REST,
        SERVER_VAD,
        {},
        PARROT,
        [],
        [*VOICE, STARTED, HELD, STOPPED, RESUMED],
        {"caller": 1, "agent": 1, "cut": 0},
    ),
    (
        "no hold",
        TURN + COUGH + REST,
        SERVER_VAD,
        {"resume_after_s": 0},
        PARROT,
        [TRUNCATE],
        [*VOICE, STARTED, CUT, STOPPED],
        {"caller": 1, "agent": 1, "cut": 1},
    ),
    (
        "words by our own ear",
        TURN + WORDS + REST,
        OURS,
        {},
        SOME_WORDS,
        [COMMIT, ASK, COMMIT, TRUNCATE, ASK],
        [*VOICE, STARTED, HELD, STOPPED, HOLD_CUT, CUT],
        {"caller": 2, "agent": 2, "cut": 1},
    ),
    (
        "no words by our own ear",
        TURN + WORDS + REST,
        OURS,
        {},
        NO_WORDS,
        [COMMIT, ASK, COMMIT, DELETE],
        [*VOICE, STARTED, HELD, STOPPED, RESUMED],
        {"caller": 1, "agent": 1, "cut": 0},
    ),
    (
        "too short for words",
        TURN + COUGH + REST,
        UNWRITTEN,
        {},
        PARROT,
        [COMMIT, ASK, CLEAR],
        [*VOICE, STARTED, HELD, STOPPED, RESUMED],
        {"caller": 1, "agent": 1, "cut": 0},
    ),
    (
        "long enough for words",
        TURN + WORDS + REST,
        UNWRITTEN,
        {},
        PARROT,
        [COMMIT, ASK, TRUNCATE, COMMIT, ASK],
        [*VOICE, STARTED, HELD, STOPPED, HOLD_CUT, CUT],
        {"caller": 2, "agent": 2, "cut": 1},
    ),
]


@pytest.mark.parametrize(
    ("audio", "session", "voice", "scenario", "commands", "records", "turns"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
async def test_a_voice_holds_the_agent_and_words_cut_it(
    autojump_clock: MockClock,
    make_call: CallMaker,
    audio: bytes,
    session: dict[str, Any],
    voice: dict[str, Any],
    scenario: Scenario,
    commands: list[str],
    records: list[str],
    turns: dict[str, int],
) -> None:
    """What is sent, what the log tells, and the turns; held or cut, the provider has nothing to complain of."""
    call = await make_call(Script(audio=audio), scenario, session=session, voice={"detect": "on", **voice})
    assert call.outcome.error is None
    assert (sent(call), told(call)) == (commands, records)
    assert call.outcome.summary["turns"] == turns
    assert call.session.complaints == []


def heard_times(call: VirtualCall) -> list[float]:
    """When the frames of the agent's voice were sent, in seconds."""
    return [record.t_ns / 1e9 for record in call.of("audiosocket.sent")]


async def test_a_resumed_answer_is_heard_whole(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With a hold in it the answer is played to its last frame, later by as long as the hold."""
    quiet = await make_call(Script(audio=TURN + REST), session=SERVER_VAD, voice={"detect": "on"})
    held = await make_call(Script(audio=TURN + COUGH + REST), session=SERVER_VAD, voice={"detect": "on"})
    spoken = [b"".join(frame for _, frame in call.phone.frames if any(frame)) for call in (quiet, held)]
    assert len(spoken[0]) > 30_000
    assert spoken[0] == spoken[1]
    (resumed,) = held.data(RESUMED)
    assert resumed["held_ms"] == 2000
    pauses_s = [later - sooner for sooner, later in zip(heard_times(held), heard_times(held)[1:], strict=False)]
    assert max(pauses_s) == pytest.approx(2.0, abs=0.041)
    (finished,) = held.data("playout.finished")
    assert finished == quiet.data("playout.finished")[0]


@pytest.mark.parametrize(("session", "scenario"), [(SERVER_VAD, PARROT), (OURS, SOME_WORDS)], ids=["theirs", "ours"])
async def test_a_cut_after_a_hold_is_exact(
    autojump_clock: MockClock, make_call: CallMaker, session: dict[str, Any], scenario: Scenario
) -> None:
    """The provider is told what was played until the hold, however long it took to know that somebody spoke."""
    call = await make_call(Script(audio=TURN + WORDS + REST), scenario, session=session, voice={"detect": "on"})
    (held,) = call.of(HELD)
    (cut,) = call.of(HOLD_CUT)
    before = [record for record in call.of("audiosocket.sent") if record.seq < cut.seq]
    assert max(record.t_ns for record in before) <= held.t_ns + 20_000_000
    (truncated,) = call.data(TRUNCATE)
    assert truncated["audio_end_ms"] == sum(record.event_data["samples"] for record in before) // 8
    assert cut.event_data["held_ms"] == (cut.t_ns - held.t_ns) // 1_000_000 > 0


async def test_only_the_voice_is_sent_where_it_makes_the_turns(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A turn is what was said and 600 ms from before; the quiet minutes between two turns are in neither."""
    audio = silence(3000) + tone(2000) + silence(20_000) + tone(1500) + silence(3000)
    call = await make_call(Script(audio=audio), session=OURS, voice={"detect": "on"})
    lengths_ms = [turn.end_ms - turn.start_ms for turn in call.session.turns]
    assert len(lengths_ms) == 2
    for length_ms, said_ms in zip(lengths_ms, (2000, 1500), strict=True):
        assert said_ms + 500 + 300 < length_ms <= said_ms + 500 + 600


async def test_words_are_heard_by_the_real_model(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo caller's words make a turn by the model that the extra installs; a tone makes none."""
    monkeypatch.setattr(speech, "PACKAGES", REAL)
    audio, format_ = read_wav(Path(testing.__file__).with_name("caller.wav"))
    words = Converter(format_, SLIN8).convert(audio)[: 16 * 3000]
    call = await make_call(Script(audio=words + silence(4000)), session=OURS, voice={"detect": "on"})
    assert sent(call)[:2] == [COMMIT, ASK]
    assert call.data(STARTED)[0]["probability"] >= 0.5
    call = await make_call(Script(audio=tone(3000) + silence(2000)), session=OURS, voice={"detect": "on"})
    assert (sent(call), told(call)) == ([], [])


@pytest.mark.every_dialect
async def test_each_voice_is_a_record(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With what was heard of it, and what is known of the agent's echo."""
    call = await make_call(Script(audio=tone(1000) + REST), "silent", voice={"detect": "on"})
    (started,), (stopped,) = call.data(STARTED), call.data(STOPPED)
    assert set(started) == set(stopped) == {
        "voice_ms", "probability", "level_dbfs", "unexplained", "echo_coupling_db", "echo_delay_ms",
    }  # fmt: skip
    assert started["voice_ms"] == 60
    assert stopped["voice_ms"] == pytest.approx(1000, abs=40)
    assert started["echo_delay_ms"] is None


@pytest.mark.every_dialect
async def test_a_call_gives_its_model_back(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """What one call used serves the next; without detection none is taken."""
    await make_call(Script(audio=silence(200)), voice={"detect": "off"})
    assert speech._idle == []
    for _ in range(2):
        await make_call(Script(audio=silence(200)), voice={"detect": "on"})
        assert len(speech._idle) == 1


async def test_the_agent_speaks_up_in_a_silence_of_our_own(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where the voice makes the turns, silence is known here too, and the agent is asked to speak up after it."""
    leg = {"idle_timeout_s": 3.0}
    audio = tone(1000) + silence(12_000)
    call = await make_call(Script(audio=audio), session=OURS, leg=leg, voice={"detect": "on"})
    finished, due = call.of("playout.finished")[0], call.of("timer.due")[0]
    assert (due.t_ns - finished.t_ns) / 1e9 == pytest.approx(3.0, abs=0.05)
    assert sent(call)[:3] == [COMMIT, ASK, ASK]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"voice.detect": "maybe"}, "voice.detect: expected"),
        ({"voice.resume_after_s": 0.05}, "voice.resume_after_s: expected 0, or 0.1 to 30, got 0.05"),
        ({"voice.min_speech_ms": 10}, "voice.min_speech_ms: expected 20 to 2000, got 10"),
        (
            {"voice.detect": "on", "session.push_to_talk": "*", "session.turn_detection.type": "none"},
            "voice.detect: expected off with session.push_to_talk: one of them ends the turns",
        ),
    ],
)
def test_the_table_is_checked(overrides: dict[str, Any], expected: str) -> None:
    """A value that does not fit, or a second way to end turns, is refused by name."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides=overrides)
    assert str(caught.value).startswith(expected)


def test_a_missing_package_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the first call: the gateway does not come up, and says what to install; without detection it does."""
    monkeypatch.setattr(speech, "PACKAGES", {"no_such_module": Loud})
    url = {"provider.url": "ws://127.0.0.1:1/"}
    check_config(load_config(environ={}, overrides=url))
    with pytest.raises(ConfigError, match=r"pip install 'voxpipe\[voice\]'"):
        check_config(load_config(environ={}, overrides={**url, "voice.detect": "on"}))
