"""The checklist on logs of real calls: for each fault what fails, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from edited_log import edited, with_data, without, write_records
from judged import ONLY_OURS, TALK, failing, judge, log_of
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, silence, tone

from voxpipe.analysis.checks import faults, passed
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import NO_TRANSCRIPTION, NO_TURNS, WRONG_FORMAT
from voxpipe.audio import SLIN8
from voxpipe.sansio.records import Record
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH
from voxpipe.testing.scenario import CallTool, Scenario, Step, Trigger
from voxpipe.tools import Tool
from voxpipe.wav import write_wav

SCENARIO_FAULTS = [
    ("no-ack", {"session: acknowledged", "audio: nothing dropped", "errors: ended in peace"}),
    ("no-created", {"session: acknowledged", "audio: nothing dropped", "errors: ended in peace"}),
    ("refused", {"session: acknowledged", "errors: no errors", "errors: ended in peace"}),
    ("wrong-format", {"session: formats as requested", "errors: ended in peace"}),
    ("format-drift", {"session: formats as requested", "errors: ended in peace"}),
    ("early-audio", {"session: no audio before the acknowledgement", "audio: nothing dropped"}),
    ("slow-ack", {"audio: nothing dropped"}),
    ("stall", {"audio: no gaps", "audio: played smoothly"}),
    ("vanish", {"errors: no errors", "errors: ended in peace"}),
    ("close-1011", {"errors: no errors", "errors: ended in peace"}),
    ("expired", {"errors: no errors", "errors: ended in peace"}),
    ("error-mid", {"errors: no errors"}),
    ("garbage", {"errors: no errors"}),
    ("silent", {"conversation: turns are answered"}),
    ("parrot", set()),
    ("greeting", set()),
    ("unknown-events", set()),
    ("undercount", set()),
]


@pytest.mark.parametrize(("scenario", "names"), SCENARIO_FAULTS, ids=[name for name, _ in SCENARIO_FAULTS])
async def test_the_faults_of_a_real_call_are_all_that_fails(
    make_call: CallMaker, autojump_clock: Any, scenario: str, names: set[str]
) -> None:
    """For each way in which the provider misbehaves: what is wrong fails, and nothing else."""
    call = await make_call(Script(audio=tone(1000) + silence(6500)), scenario, provider={"reconnect_s": 0.0})
    assert set(failing(judge(log_of(call)))) == names


@pytest.mark.parametrize("scenario", ["vanish", "close-1011", "expired"])
async def test_a_session_that_was_replaced_is_an_error_and_no_end(
    make_call: CallMaker, autojump_clock: Any, scenario: str
) -> None:
    """The call went on and ended in peace: the loss is among the errors, and the hole in a torn answer is a gap."""
    call = await make_call(Script(audio=tone(1000) + silence(6500)), (scenario, "parrot"))
    torn = set() if scenario == "expired" else {"audio: no gaps"}
    assert set(failing(judge(log_of(call)))) == {"errors: no errors"} | torn


async def test_a_prompt_that_is_cut_is_nothing_to_tell_the_provider(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path
) -> None:
    """The caller speaks over leg.welcome_wav: the cut is exact, though no item is truncated."""
    write_wav(tmp_path / "welcome.wav", tone(3000), SLIN8)
    script = Script(audio=silence(1000) + tone(1000) + silence(5000))
    call = await make_call(script, leg={"welcome_wav": str(tmp_path / "welcome.wav")})
    assert call.data("playout.cut")[0]["begun"][0]["played_ms"] == 1080
    assert failing(judge(log_of(call))) == []


OWN_FAULTS: list[tuple[Callable[[list[Record]], list[Record]], str, str]] = [
    (
        lambda records: edited(records, with_data("audio.level", clipped_samples=100)),
        "audio: no clipping",
        "uplink 1.250 %",
    ),
    (lambda records: edited(records, with_data("audio.level", dc_offset_lsb=-500.0)), "audio: no DC offset", "-500.0"),
    (lambda records: edited(records, with_data("audio.level", rms_dbfs=-60.0)), "audio: level", "-60.0 dBFS"),
    (
        lambda records: edited(records, with_data("conversation.item.truncate", audio_end_ms=640)),
        "conversation: interruptions are exact",
        "the provider was told 640",
    ),
    (
        lambda records: edited(records, without("conversation.item.truncate")),
        "conversation: interruptions are exact",
        "the provider was told nothing",
    ),
    (
        lambda records: edited(records, with_data("audiosocket.sent", samples=80)),
        "conversation: interruptions are exact",
        "the frames in the log",
    ),
    (lambda records: frames_after_the_cut(records, 3), "conversation: interruptions are exact", "3 frames were played"),
    (lambda records: cut_late(records, 400_000_000), "conversation: interruptions are exact", "silent 400 ms after"),
    (
        lambda records: [
            attrs.evolve(record, event_type="playout.finished") if record.event_type == "playout.cut" else record
            for record in cut_late(records, 700_000_000)
        ],
        "conversation: interruptions are exact",
        "silent 700 ms after",
    ),
    (
        lambda records: [*records[:-1], attrs.evolve(records[-1], event_type="playout.slip")] * 6,
        "audio: played smoothly",
        "6 slips",
    ),
    (lambda records: records[:-1], "errors: the log is complete", "no leg.summary"),
    (lambda records: records * 2, "errors: the log is complete", "time goes back 1 times"),
    (
        lambda records: [*records[:9], told(records, "records.lost", records=7), *records[9:]],
        "errors: the log is complete",
        "7 records were lost",
    ),
    (
        lambda records: [*records, told(records, "leg.failed", error="RemoteProtocolError", message="half a frame")],
        "errors: ended in peace",
        "leg.failed: half a frame",
    ),
    (
        lambda records: [*records, told(records, "playout.overrun", bytes=4_800)],
        "audio: nothing dropped",
        "4800 bytes of the agent's audio",
    ),
]


def told(call: list[Record], event_type: str, **data: Any) -> Record:
    """A further record of our own, at the end of the call."""
    return attrs.evolve(call[-1], event_type=event_type, event_data=data)


def frames_after_the_cut(records: list[Record], count: int) -> list[Record]:
    """Play some more frames of the answer that was cut."""
    at = next(index for index, record in enumerate(records) if record.event_type == "playout.cut")
    frame = next(record for record in records if record.event_type == "audiosocket.sent")
    late = attrs.evolve(frame, t_ns=records[at].t_ns)
    return [*records[: at + 1], *[late] * count, *records[at + 1 :]]


def cut_late(records: list[Record], late_ns: int) -> list[Record]:
    """Let the agent fall silent so much later than the caller spoke."""
    at = next(index for index, record in enumerate(records) if record.event_type == "playout.cut")
    after = [attrs.evolve(record, t_ns=record.t_ns + late_ns) for record in records[at:]]
    return [*records[:at], *after]


@pytest.mark.parametrize(
    ("change", "name", "words"), OWN_FAULTS, ids=[f"{name} {words}" for _, name, words in OWN_FAULTS]
)
async def test_a_fault_in_a_log_of_ours_is_named(
    make_call: CallMaker,
    autojump_clock: Any,
    tmp_path: Path,
    change: Callable[[list[Record]], list[Record]],
    name: str,
    words: str,
) -> None:
    """A good call's log, with what a fault would have left in it: the verdict fails and says so."""
    call = await make_call(TALK)
    verdict = judge(write_records(tmp_path / "bad.jsonl", change(call.records)))[name]
    assert verdict.status == "fails", verdict
    assert words in verdict.evidence


def test_every_check_of_ours_is_seen_to_fail() -> None:
    """What no plain log can fail is failed by a real call, an edited log or a limit."""
    of_scenarios = {name for _, names in SCENARIO_FAULTS for name in names}
    triggered = of_scenarios | {name for _, name, _ in OWN_FAULTS} | {name for _, _, name in LIMITS}
    assert triggered >= ONLY_OURS


async def test_a_log_with_holes_is_not_complete(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """Missing numbers, a torn end and skipped lines are each told."""
    call = await make_call(HELLO_AND_WAIT)
    name = "errors: the log is complete"
    holes = write_records(tmp_path / "holes.jsonl", [*call.records[:50], *call.records[60:]], keep_seq=True)
    assert "10 lines are missing" in judge(holes)[name].evidence
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(holes.read_bytes()[:-20])
    assert "the last line is torn" in judge(torn)[name].evidence
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(log_of(call).read_bytes().replace(b"\n", b"\n{}\n", 1))
    assert "1 lines are no records (line 2: " in judge(bad, lenient=True)[name].evidence


async def test_transcription_that_is_switched_off_is_named(make_call: CallMaker, autojump_clock: Any) -> None:
    """Our own configuration without a model: the first classic fault, unless the limits allow it."""
    call = await make_call(HELLO_AND_WAIT, session={"transcription": {"model": ""}})
    verdicts = judge(log_of(call))
    assert faults(list(verdicts.values())) == [NO_TRANSCRIPTION]
    assert passed(list(judge(log_of(call), Slo(missing_transcripts_percent=100)).values()))


async def test_a_caller_whose_bytes_are_swapped_is_heard_as_such(make_call: CallMaker, autojump_clock: Any) -> None:
    """A whole call of misread speech: the detectors of the live path told it, and the checklist names the fault."""
    speech = np.frombuffer(load_speech(SPEECH, SLIN8), "<i2").byteswap().tobytes()
    call = await make_call(Script(audio=speech))
    verdict = judge(log_of(call))["audio: sounds like its format"]
    assert (verdict.status, verdict.fault) == ("fails", WRONG_FORMAT)
    assert "byte-swapped" in verdict.evidence
    assert {call.records[line - 1].event_type for line in verdict.lines} == {"audio.suspect"}


async def test_a_caller_too_quiet_to_be_heard(make_call: CallMaker, autojump_clock: Any) -> None:
    """Twenty seconds of a whisper in a real call: no turn, and the level is named as the cause."""
    call = await make_call(Script(audio=tone(20_000, amplitude=40)))
    verdicts = judge(log_of(call))
    assert set(failing(verdicts)) == {"audio: level", "conversation: turn detection"}
    assert faults(list(verdicts.values())) == [NO_TURNS]
    assert "the caller's level is too low" in verdicts["conversation: turn detection"].evidence


async def test_a_caller_who_only_listens_is_no_fault(make_call: CallMaker, autojump_clock: Any) -> None:
    """Nine seconds of digital silence under a greeting: nothing fails, and the level is unknown."""
    verdicts = judge(log_of(await make_call(Script(audio=silence(9_000)), "greeting")))
    assert failing(verdicts) == []
    assert verdicts["audio: level"].status == "unknown"


async def test_turns_that_a_key_ends_are_turns(make_call: CallMaker, autojump_clock: Any) -> None:
    """Without turn detection, and with commits: nothing about turns fails, and the answers' latency is known."""
    session = {"turn_detection": {"type": "none"}, "push_to_talk": "#"}
    script = Script(audio=tone(1000) + silence(6000), extra=((1.2, b"\x03\x00\x01#"),))
    verdicts = judge(log_of(await make_call(script, session=session)))
    assert failing(verdicts) == []
    assert verdicts["conversation: turn detection"].status == "holds"
    assert verdicts["conversation: answer latency"].status == "holds"


async def test_tools_are_judged(make_call: CallMaker, autojump_clock: Any) -> None:
    """One that answers holds, one that raises fails, with its words."""
    for tool, status in ((look_up, "holds"), (broken, "fails")):
        scenario = Scenario("asks", "calls tools", (Step(Trigger.READY, 0.1, CallTool(tool.__name__)),))
        call = await make_call(Script(audio=tone(500) + silence(5500)), scenario, own_tools=[Tool(tool)])
        verdicts = judge(log_of(call))
        assert verdicts["errors: tools answered"].status == status
        assert failing(verdicts) == (["errors: tools answered"] if status == "fails" else [])
    assert "no such order" in verdicts["errors: tools answered"].evidence


async def look_up() -> str:
    """Look up an order."""
    await trio.sleep(0.5)
    return "on its way"


async def broken() -> str:
    """Look up an order that there is not."""
    raise LookupError("no such order")


async def test_a_session_that_was_tried_again_was_survived(make_call: CallMaker, autojump_clock: Any) -> None:
    """The first formats were refused, the second taken: the refusal is an error that the call went on after."""
    call = await make_call(HELLO_AND_WAIT, "second-format-only", provider={"formats": ["pcm24", "ulaw8"]})
    verdicts = judge(log_of(call))
    assert failing(verdicts) == ["errors: no errors"]
    assert "the call went on" in verdicts["errors: no errors"].evidence


LIMITS = [
    ("ack_ms", -1.0, "session: acknowledged"),
    ("turn_p95_ms", 100.0, "conversation: turn latency"),
    ("answer_p95_ms", 100.0, "conversation: answer latency"),
    ("dead_air_s", 0.2, "conversation: no dead air"),
    ("level_low_dbfs", -3.0, "audio: level"),
    ("level_high_dbfs", -60.0, "audio: level"),
    ("gap_ms", -1.0, "audio: no gaps"),
    ("barge_in_ms", -1.0, "conversation: interruptions are exact"),
    ("longest_turn_s", 0.1, "conversation: turn detection"),
]


@pytest.mark.parametrize(("key", "limit", "name"), LIMITS, ids=[key for key, _, _ in LIMITS])
async def test_each_limit_is_asked(
    make_call: CallMaker, autojump_clock: Any, key: str, limit: float, name: str
) -> None:
    """A good call fails where its limit cannot be kept, and only there."""
    call = await make_call(TALK)
    assert failing(judge(log_of(call), Slo(**{key: limit}))) == [name]
