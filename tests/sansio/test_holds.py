"""Holds, as the machine makes them: what is told of the voice and the provider, and when; what is done about it."""

from __future__ import annotations

import pytest
from session_machine import CHUNK, MS, OK, PART, PCM, feed

from voxpipe.config import SessionConfig, TranscriptionConfig, TurnDetectionConfig
from voxpipe.dialects import get_dialect
from voxpipe.sansio.effects import CutPlayout, Effect, HoldPlayout, Note, ResumePlayout, Send
from voxpipe.sansio.ledger import CutPoint, PartCut
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import (
    AudioCommitted,
    Connected,
    DrainRequested,
    ErrorReported,
    Event,
    LegEnded,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionFailed,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.voice_words import VoiceStarted, VoiceStopped
from voxpipe.voice_config import VoiceConfig

VOICE = VoiceConfig(detect="on", resume_after_s=2.0, min_words_ms=400)
HASTY = VoiceConfig(detect="on", resume_after_s=1.0)
AT_ONCE = VoiceConfig(detect="on", resume_after_s=0)
NONE = SessionConfig(turn_detection=TurnDetectionConfig(type="none"))
UNWRITTEN = SessionConfig(turn_detection=TurnDetectionConfig(type="none"), transcription=TranscriptionConfig(model=""))
SERVER = SessionConfig()
STOPPED = VoiceStopped(300)
LONG = VoiceStopped(900)
OVER, IDLE = VoiceStarted(agent_speaks=True), VoiceStarted(agent_speaks=False)
HEARD = PlayoutCut(CutPoint((PartCut(PART, 12_000, 24_000, 500),), (), 12_000, 1))
NO_WORDS, WORDS = TranscriptionCompleted("u1", " "), TranscriptionCompleted("u1", "Stop!")
COMMITTED = AudioCommitted("u1")
ITEM_2, WORDS_2 = AudioCommitted("u2"), TranscriptionCompleted("u2", "I said stop!")

Script = list[tuple[int, Event | None]]


def answering(config: SessionConfig, voice: VoiceConfig) -> Session:
    """A machine whose agent's first answer is being generated and heard."""
    machine = Session(get_dialect("openai"), config, PCM, SessionTimeouts(), voice=voice)
    feed(machine, Connected(), SessionCreated("sess_1"), OK, ResponseCreated("resp_1"), CHUNK)
    return machine


def word(effect: Effect) -> str | None:
    """One effect in one word."""
    match effect:
        case HoldPlayout():
            return "hold"
        case ResumePlayout():
            return "resume"
        case CutPlayout():
            return "cut"
        case Send(_, command):
            named = getattr(command, "item_id", None) or getattr(command, "response_id", "")
            return f"{type(command).__name__} {named}".rstrip()
    return None


def run(machine: Session, script: Script) -> list[tuple[int, str]]:
    """Feed events at times in ms, deadlines in between; a cut is answered at once with half a second played."""
    done: list[tuple[int, str]] = []

    def take(effects: list[Effect], at_ns: int) -> None:
        for effect in effects:
            if (said := word(effect)) is not None:
                done.append((at_ns // MS, said))
            if isinstance(effect, CutPlayout):
                take(machine.receive(HEARD, at_ns), at_ns)

    for at_ms, event in script:
        while (due_ns := machine.deadline_ns) is not None and due_ns <= at_ms * MS:
            take(machine.expire(due_ns), due_ns)
        if event is not None:
            take(machine.receive(event, at_ms * MS), at_ms * MS)
    return done


DONE = ResponseDone("resp_1", "completed", None)
CASES: list[tuple[str, SessionConfig, VoiceConfig, Script, list[tuple[int, str]]]] = [
    # The provider makes the turns.
    (
        "the provider hears it too",
        SERVER,
        VOICE,
        [(100, OVER), (400, SpeechStarted("u1", 0)), (3000, None)],
        [(100, "hold"), (400, "cut"), (400, "TruncateItem item_1")],
    ),
    ("the provider hears nothing", SERVER, VOICE, [(100, OVER), (3000, None)], [(100, "hold"), (2100, "resume")]),
    (
        "a voice that stops waits on",
        SERVER,
        VOICE,
        [(100, OVER), (400, STOPPED), (3000, None)],
        [(100, "hold"), (2100, "resume")],
    ),
    (
        "a second voice waits anew",
        SERVER,
        VOICE,
        [(100, OVER), (400, STOPPED), (1500, OVER), (4000, None)],
        [(100, "hold"), (3500, "resume")],
    ),
    (
        "held twice",
        SERVER,
        VOICE,
        [(100, OVER), (2500, STOPPED), (2600, OVER), (5000, None)],
        [(100, "hold"), (2100, "resume"), (2600, "hold"), (4600, "resume")],
    ),
    ("the agent is silent", SERVER, VOICE, [(50, DONE), (100, IDLE), (400, LONG), (3000, None)], []),
    ("the agent is about to speak", SERVER, VOICE, [(100, IDLE), (3000, None)], [(100, "hold"), (2100, "resume")]),
    (
        "without a hold",
        SERVER,
        AT_ONCE,
        [(100, OVER), (400, SpeechStarted("u1", 0)), (3000, None)],
        [
            (100, "cut"),
            (100, "CancelResponse resp_1"),
            (100, "TruncateItem item_1"),
            (400, "cut"),
            (400, "TruncateItem item_1"),
        ],
    ),
    (
        "a response begins while it is held",
        SERVER,
        VOICE,
        [(50, DONE), (100, OVER), (500, ResponseCreated("resp_2")), (3000, None)],
        [(100, "hold"), (500, "cut"), (500, "TruncateItem item_1")],
    ),
    (
        "the leg ends",
        SERVER,
        VOICE,
        [(100, OVER), (500, LegEnded("hung up")), (3000, None)],
        [(100, "hold"), (500, "resume")],
    ),
    (
        "the session is drained",
        SERVER,
        VOICE,
        [(100, OVER), (500, DrainRequested("goodbye")), (600, OVER), (3000, None)],
        [(100, "hold"), (500, "resume")],
    ),
    # The voice makes the turns.
    (
        "a turn in silence",
        NONE,
        VOICE,
        [(50, DONE), (100, IDLE), (900, LONG), (950, COMMITTED), (3000, None)],
        [(900, "CommitAudio"), (950, "CreateResponse")],
    ),
    (
        "words over the agent",
        NONE,
        VOICE,
        [
            (100, OVER),
            (900, STOPPED),
            (950, COMMITTED),
            (1300, WORDS),
            (1400, ResponseDone("resp_1", "cancelled", None)),
        ],
        [
            (100, "hold"),
            (900, "CommitAudio"),
            (1300, "cut"),
            (1300, "CancelResponse resp_1"),
            (1300, "TruncateItem item_1"),
            (1400, "CreateResponse"),
        ],
    ),
    (
        "no words over the agent",
        NONE,
        VOICE,
        [(50, DONE), (100, OVER), (900, STOPPED), (950, COMMITTED), (1300, NO_WORDS), (5000, None)],
        [(100, "hold"), (900, "CommitAudio"), (1300, "DeleteItem u1"), (1300, "resume")],
    ),
    (
        "words that could not be written down",
        NONE,
        VOICE,
        [(50, DONE), (100, OVER), (900, STOPPED), (950, COMMITTED), (1300, TranscriptionFailed("u1", "noise"))],
        [(100, "hold"), (900, "CommitAudio"), (1300, "DeleteItem u1"), (1300, "resume")],
    ),
    (
        "no transcript in time",
        NONE,
        VOICE,
        [(50, DONE), (100, OVER), (900, STOPPED), (950, COMMITTED), (4000, WORDS)],
        [(100, "hold"), (900, "CommitAudio"), (2900, "DeleteItem u1"), (2900, "resume")],
    ),
    (
        "an item that comes too late",
        NONE,
        HASTY,
        [(50, DONE), (100, OVER), (900, STOPPED), (2500, COMMITTED), (2600, WORDS)],
        [(100, "hold"), (900, "CommitAudio"), (1900, "resume"), (2500, "DeleteItem u1")],
    ),
    (
        "a commit that is refused",
        NONE,
        VOICE,
        [(50, DONE), (100, OVER), (900, STOPPED), (950, ErrorReported("empty", "", None, "vx_2")), (4000, None)],
        [(100, "hold"), (900, "CommitAudio"), (2900, "resume")],
    ),
    (
        "words while the caller goes on",
        NONE,
        VOICE,
        [
            (50, DONE),
            (100, OVER),
            (900, STOPPED),
            (950, COMMITTED),
            (1200, OVER),
            (1300, WORDS),
            (2000, LONG),
            (2050, ITEM_2),
            (2400, WORDS_2),
        ],
        [
            (100, "hold"),
            (900, "CommitAudio"),
            (1300, "cut"),
            (1300, "TruncateItem item_1"),
            (2000, "CommitAudio"),
            (2050, "CreateResponse"),
        ],
    ),
    (
        "words of the second of two items",
        NONE,
        VOICE,
        [
            (50, DONE),
            (100, OVER),
            (900, STOPPED),
            (950, COMMITTED),
            (1200, OVER),
            (1300, NO_WORDS),
            (1700, STOPPED),
            (1750, ITEM_2),
            (2000, WORDS_2),
        ],
        [
            (100, "hold"),
            (900, "CommitAudio"),
            (1300, "DeleteItem u1"),
            (1700, "CommitAudio"),
            (2000, "cut"),
            (2000, "TruncateItem item_1"),
            (2000, "CreateResponse"),
        ],
    ),
    (
        "words of the first while the second is under way",
        NONE,
        VOICE,
        [
            (50, DONE),
            (100, OVER),
            (900, STOPPED),
            (950, COMMITTED),
            (1000, OVER),
            (1200, STOPPED),
            (1250, WORDS),
            (1300, ITEM_2),
        ],
        [
            (100, "hold"),
            (900, "CommitAudio"),
            (1200, "CommitAudio"),
            (1250, "cut"),
            (1250, "TruncateItem item_1"),
            (1300, "CreateResponse"),
        ],
    ),
    (
        "a voice without end",
        NONE,
        VOICE,
        [(50, DONE), (100, OVER), (12_000, LONG), (12_050, COMMITTED)],
        [
            (100, "hold"),
            (10_100, "cut"),
            (10_100, "TruncateItem item_1"),
            (12_000, "CommitAudio"),
            (12_050, "CreateResponse"),
        ],
    ),
    (
        "without a hold, by the voice",
        NONE,
        AT_ONCE,
        [(50, DONE), (100, OVER), (900, STOPPED), (950, COMMITTED)],
        [
            (100, "cut"),
            (100, "TruncateItem item_1"),
            (900, "CommitAudio"),
            (950, "CreateResponse"),
        ],
    ),
    # The voice makes the turns, and nothing is transcribed.
    (
        "long enough for words",
        UNWRITTEN,
        VOICE,
        [(50, DONE), (100, OVER), (1000, VoiceStopped(400)), (1050, COMMITTED)],
        [
            (100, "hold"),
            (1000, "cut"),
            (1000, "TruncateItem item_1"),
            (1000, "CommitAudio"),
            (1050, "CreateResponse"),
        ],
    ),
    (
        "too short for words",
        UNWRITTEN,
        VOICE,
        [(50, DONE), (100, OVER), (900, VoiceStopped(399)), (5000, None)],
        [(100, "hold"), (900, "ClearAudio"), (900, "resume")],
    ),
]


@pytest.mark.parametrize(
    ("config", "voice", "script", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_hold_becomes_a_cut_or_goes_on(
    config: SessionConfig, voice: VoiceConfig, script: Script, expected: list[tuple[int, str]]
) -> None:
    """Whatever is told of voice, words and provider: the playout is held at once, and cut only where somebody spoke."""
    assert run(answering(config, voice), script) == expected


def test_the_log_says_how_long_the_playout_was_held() -> None:
    """Held, resumed or cut: each is a note, with the time it was held and why."""
    machine = answering(SERVER, VOICE)
    effects = machine.receive(OVER, 100 * MS)
    assert machine.deadline_ns is not None
    effects += machine.expire(2100 * MS)
    effects += machine.receive(OVER, 3000 * MS)
    effects += machine.receive(SpeechStarted("u1", 0), 3300 * MS)
    told = [(effect.event_type, effect.data) for effect in effects if isinstance(effect, Note)]
    assert told == [
        ("playout.held", {}),
        ("timer.due", {"event": "HoldOver"}),
        ("playout.resumed", {"held_ms": 2000, "because": "the provider heard no speech"}),
        ("playout.held", {}),
        ("playout.hold_cut", {"held_ms": 300}),
    ]


def test_the_new_response_is_not_of_the_cut_that_it_makes() -> None:
    """A response that begins while the playout is held is not cancelled, and what it says is played."""
    machine = answering(SERVER, VOICE)
    done = run(machine, [(50, DONE), (100, OVER), (500, ResponseCreated("resp_2"))])
    assert "CancelResponse resp_2" not in [said for _, said in done]
    assert machine.epoch == 1
    assert feed(machine, SpeechStopped("u1", 0)) == []


def test_without_the_voice_a_commit_of_ours_is_answered() -> None:
    """Where nothing is held, the item of a turn is answered at once, words or none."""
    machine = answering(NONE, VOICE)
    done = run(machine, [(50, DONE), (100, IDLE), (300, STOPPED), (320, COMMITTED), (400, NO_WORDS)])
    assert [said for _, said in done] == ["CommitAudio", "CreateResponse"]
