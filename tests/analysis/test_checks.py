"""The checklist: each verdict is triggered by a log that has the fault, and quiet on logs that have not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty_logs as logs
import numpy as np
import pytest
from faulty_logs import plain
from judged import ONLY_OURS, TALK, failing, judge, log_of
from plain_log import PCM, VAD, PlainLog, conversation, ga_session
from virtual_call import CallMaker

from voxpipe.analysis.call import read_call
from voxpipe.analysis.checks import CHECKS, faults
from voxpipe.analysis.verdict import NO_TRANSCRIPTION, NO_TURNS, WRONG_FORMAT, Verdict
from voxpipe.audio import SLIN8, SLIN24
from voxpipe.dsp import ulaw_encode
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH

# --- logs that have no fault ------------------------------------------------------------------------------------------

QUIET_ON_PLAIN = {
    "session: acknowledged",
    "session: no audio before the acknowledgement",
    "session: formats as requested",
    "session: bytes a second fit the format",
    "audio: no gaps",
    "audio: no drift",
    "audio: no clipping",
    "audio: no DC offset",
    "audio: level",
    "audio: sounds like its format",
    "transcription: configured",
    "transcription: transcripts arrive",
    "conversation: turn detection",
    "conversation: turns are answered",
    "conversation: answer latency",
    "conversation: tool latency",
    "conversation: no dead air",
    "errors: no errors",
    "errors: ended in peace",
    "errors: tools answered",
}
QUIET_ON_OURS = {
    "audio: nothing dropped",
    "audio: played smoothly",
    "conversation: turn latency",
    "conversation: interruptions are exact",
    "errors: the log is complete",
}


@pytest.mark.parametrize("camel", [False, True], ids=["event_type", "eventType"])
def test_a_good_plain_call_has_no_fault(tmp_path: Path, camel: bool) -> None:
    """Real speech inline, five turns and a tool: everything a plain log can tell holds, the rest is unknown."""
    log = PlainLog(camel=camel, audio="inline")
    log.configure(ga_session())
    log.tool()
    conversation(log, voice=load_speech(SPEECH, SLIN24))
    verdicts = judge(log.write(tmp_path / "good.jsonl"))
    assert {name for name, verdict in verdicts.items() if verdict.status == "holds"} == QUIET_ON_PLAIN
    assert failing(verdicts) == []


async def test_a_good_call_of_ours_has_no_fault(make_call: CallMaker, autojump_clock: Any) -> None:
    """A virtual call with an interruption: what only our own logs tell holds, and nothing fails."""
    call = await make_call(TALK)
    assert len(call.of("playout.cut")) == 1
    verdicts = judge(log_of(call))
    assert {name for name, verdict in verdicts.items() if verdict.status == "holds"} >= QUIET_ON_OURS
    assert failing(verdicts) == []


def test_the_good_logs_cover_the_checklist() -> None:
    """Each check of the list is seen to hold by one of the two tests above."""
    assert len(QUIET_ON_PLAIN | QUIET_ON_OURS) == len(CHECKS)


def test_a_log_that_tells_nothing_fails_nothing(tmp_path: Path) -> None:
    """One line is enough to know nothing: every verdict is unknown, but that no error is in it."""
    log = PlainLog()
    log.add("connection.opened")
    verdicts = judge(log.write(tmp_path / "short.jsonl"))
    known = {name: verdict.status for name, verdict in verdicts.items() if verdict.status != "unknown"}
    assert known == {"errors: no errors": "holds"}


# --- plain logs with a fault ------------------------------------------------------------------------------------------

PLAIN_FAULTS: list[tuple[Callable[[], PlainLog], str, str, str]] = [
    (logs.early_append, "session: no audio before the acknowledgement", WRONG_FORMAT, "before session.updated"),
    (logs.late_ack, "session: acknowledged", "", "after 3000 ms, expected at most 2000"),
    (logs.refusal, "session: acknowledged", "", "invalid_value: No."),
    (logs.other_format, "session: formats as requested", WRONG_FORMAT, "expected slin24 .* got ulaw8"),
    (logs.other_beta_format, "session: formats as requested", WRONG_FORMAT, "uplink: expected slin24 .* got ulaw8"),
    (logs.changed_format, "session: formats as requested", WRONG_FORMAT, "changed the formats in mid-call"),
    (logs.strange_format, "session: formats as requested", WRONG_FORMAT, "confirmed {'type': 'audio/opus'}"),
    (logs.refused_transcription, "transcription: configured", NO_TRANSCRIPTION, "the provider left it off"),
    (logs.noisy_turn, "conversation: turn detection", NO_TURNS, "did not end for .* silence_duration_ms 500"),
    (logs.narrowband_as_wideband, "session: bytes a second fit the format", WRONG_FORMAT, "got 16000, as of slin8"),
    (lambda: logs.paused(plain()), "audio: no gaps", "", "the longest 2000 ms"),
    (logs.starved, "audio: no gaps", "", "waited 2[0-9]{3} ms"),
    (lambda: conversation(plain(), pace_s=0.021), "audio: no drift", "", r"-4\.\d+ %"),
    (logs.no_transcription, "transcription: configured", NO_TRANSCRIPTION, "switched off"),
    (logs.no_transcription, "transcription: transcripts arrive", NO_TRANSCRIPTION, "0 of 2 turns have one"),
    (logs.null_transcripts, "transcription: transcripts arrive", "", "2 null"),
    (logs.failed_transcription, "transcription: transcripts arrive", "", "1 failed: Not understood."),
    (logs.no_turns, "conversation: turn detection", NO_TURNS, "no turn was heard in 20.0 s"),
    (logs.no_turns_at_the_wrong_rate, "conversation: turn detection", NO_TURNS, "do not fit slin24"),
    (logs.no_turns_of_unknown_audio, "conversation: turn detection", NO_TURNS, "of unknown level"),
    (lambda: logs.no_turns(threshold=0.9), "conversation: turn detection", NO_TURNS, "threshold is too high"),
    (logs.detection_off, "conversation: turn detection", NO_TURNS, "turn detection is off, and nothing was committed"),
    (logs.endless_turn, "conversation: turn detection", NO_TURNS, "silence_duration_ms 4000"),
    (logs.unanswered, "conversation: turns are answered", "", "0 of 1"),
    (logs.slow_answer, "conversation: answer latency", "", "p95 40[0-9]{2} ms"),
    (logs.slow_tool, "conversation: tool latency", "", "max 12000 ms"),
    (logs.impossible_truncation, "conversation: interruptions are exact", "", "9100 ms, and only 500 ms"),
    (logs.untold_interruption, "conversation: interruptions are exact", "", "the provider was not told"),
    (logs.silent_minute, "conversation: no dead air", "", "the longest 12"),
    (logs.forgotten_tool, "errors: tools answered", "", "look_up: no result"),
    (logs.server_error, "errors: no errors", "", "3 x error server_error: Oh. .the call went on"),
    (logs.lost_connection, "errors: no errors", "", "connection.closed 1006"),
]


@pytest.mark.parametrize(
    ("make", "name", "fault", "words"), PLAIN_FAULTS, ids=[f"{name} {words}" for _, name, _, words in PLAIN_FAULTS]
)
def test_a_fault_of_a_plain_log_is_named(
    tmp_path: Path, make: Callable[[], PlainLog], name: str, fault: str, words: str
) -> None:
    """The verdict fails with its words, the lines to look at, and the classic fault where it is one."""
    verdict = judge(make().write(tmp_path / "bad.jsonl"))[name]
    assert verdict.status == "fails", verdict
    assert verdict.fault == fault
    assert verdict.lines != ()
    assert_matches(verdict, words)


def test_every_check_is_seen_to_fail() -> None:
    """Each one that a plain log can fail is failed by one above or below; test_checks_calls.py has the others."""
    triggered = {name for _, name, _, _ in PLAIN_FAULTS} | {name for _, name, _, _ in AUDIO_FAULTS}
    assert triggered | ONLY_OURS == QUIET_ON_PLAIN | QUIET_ON_OURS
    assert triggered & ONLY_OURS == set()


def test_errors_that_change_nothing_are_harmless(tmp_path: Path) -> None:
    """What a client meets when its command crosses the provider's event is counted, and fails nothing."""
    log = plain()
    for code, words in HARMLESS:
        log.add("error", {"error": {"code": code, "message": words}}, after_s=0.1)
    verdict = judge(conversation(log).write(tmp_path / "harmless.jsonl"))["errors: no errors"]
    assert (verdict.status, verdict.evidence) == ("holds", f"none, {len(HARMLESS)} harmless")


HARMLESS = [
    ("response_cancel_not_active", "Cancellation failed: no active response found"),
    ("conversation_already_has_active_response", "Conversation already has an active response"),
    ("input_audio_buffer_commit_empty", "buffer too small"),
    ("invalid_value", "Audio content of 2650ms is already shorter than 9100ms"),
]


def assert_matches(verdict: Verdict, words: str) -> None:
    """Assert that the evidence says it."""
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(verdict.evidence)


# --- plain logs whose audio has a fault -------------------------------------------------------------------------------


def samples(audio: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
    """16-bit samples as numbers."""
    return np.frombuffer(audio, "<i2").astype(np.float64)


def packed(values: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    """Numbers as 16-bit samples, cut off at full scale."""
    return np.clip(np.rint(values), -32768, 32767).astype("<i2").tobytes()


VOICE = load_speech(SPEECH, SLIN24)
MISREAD = np.frombuffer(VOICE, "<i2").byteswap().tobytes()
AUDIO_FAULTS: list[tuple[bytes, str, str, str]] = [
    (packed(samples(VOICE) * 40), "audio: no clipping", "", "uplink [1-9]"),
    (packed(samples(VOICE) + 900), "audio: no DC offset", "", r"uplink \+9"),
    (packed(samples(VOICE) / 300), "audio: level", "", "expected at least -45 dBFS of the caller"),
    (packed(samples(VOICE) * 40), "audio: level", "", "expected at most -5 dBFS"),
    (MISREAD, "audio: sounds like its format", WRONG_FORMAT, "sounds like byte-swapped"),
    (ulaw_encode(load_speech(SPEECH, SLIN8)) * 3, "audio: sounds like its format", WRONG_FORMAT, "sounds like ulaw"),
]


@pytest.mark.parametrize(
    ("voice", "name", "fault", "words"), AUDIO_FAULTS, ids=[f"{name} {words}" for _, name, _, words in AUDIO_FAULTS]
)
def test_a_fault_of_inline_audio_is_heard(tmp_path: Path, voice: bytes, name: str, fault: str, words: str) -> None:
    """Clipped, offset, quiet, loud and misread audio are told from the bytes in the log."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    verdict = judge(conversation(log, voice=voice).write(tmp_path / "bad.jsonl"))[name]
    assert verdict.status == "fails", verdict
    assert verdict.fault == fault
    assert verdict.lines != ()
    assert_matches(verdict, words)


def test_a_quiet_caller_is_why_turn_detection_never_triggers(tmp_path: Path) -> None:
    """With the audio in the log the cause is named: the level, not the threshold."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    log.uplink(log.at_s + 20, voice=packed(samples(VOICE) / 300))
    verdict = judge(log.write(tmp_path / "quiet.jsonl"))["conversation: turn detection"]
    assert (verdict.status, verdict.fault) == ("fails", NO_TURNS)
    assert "level is too low" in verdict.evidence


def test_misread_audio_is_why_turn_detection_never_triggers(tmp_path: Path) -> None:
    """Noise is not heard as speech: the format is named as the root, before the symptom."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    log.uplink(log.at_s + 20, voice=MISREAD)
    verdicts = judge(log.write(tmp_path / "swapped.jsonl"))
    assert "sounds misread (byte-swapped)" in verdicts["conversation: turn detection"].evidence
    assert faults(list(verdicts.values())) == [WRONG_FORMAT, NO_TURNS]


def test_an_answer_may_begin_after_the_caller_went_on(tmp_path: Path) -> None:
    """The response to what was said first is created while the caller speaks again: the first turn was answered."""
    log = plain()
    log.turn(1)
    log.add("input_audio_buffer.speech_started", {"item_id": "item_c2"}, after_s=0.05)
    log.add("response.created", {"response": {"id": "resp_1"}}, after_s=0.05)
    log.add("input_audio_buffer.speech_stopped", {"item_id": "item_c2"}, after_s=3)
    log.answer(2)
    assert judge(log.write(tmp_path / "on.jsonl"))["conversation: turns are answered"].evidence.startswith("2 of 2")


def test_turn_detection_is_judged_without_a_configuration_too(tmp_path: Path) -> None:
    """A log that begins after the session was set up: no turn is no turn, and the settings are unknown."""
    log = PlainLog()
    log.uplink(20)
    verdict = judge(log.write(tmp_path / "late.jsonl"))["conversation: turn detection"]
    assert (verdict.status, verdict.fault, verdict.lines) == ("fails", NO_TURNS, (1, 1000))
    assert "turn detection unknown" in verdict.evidence
    configured = judge(logs.no_turns().write(tmp_path / "known.jsonl"))["conversation: turn detection"]
    assert configured.lines == (4, 5, 1004)


@pytest.mark.parametrize(("before_its_end_s", "truncated", "status"), [(3, True, "unknown"), (0.3, False, "unknown")])
def test_an_interruption_that_was_told_or_was_none_to_speak_of_fails_nothing(
    tmp_path: Path, before_its_end_s: float, truncated: bool, status: str
) -> None:
    """In a plain log it is an estimate what was heard: told is told, and the last moments are not worth telling."""
    log = plain()
    log.turn(1)
    log.answer(1, chunks=20)
    log.at_s -= 19 * 0.06 + 0.1 + before_its_end_s
    log.turn(2)
    if truncated:
        log.add("conversation.item.truncate", {"item_id": "item_a1", "content_index": 0, "audio_end_ms": 2000})
    verdict = judge(log.write(tmp_path / "told.jsonl"))["conversation: interruptions are exact"]
    assert verdict.status == status
    assert "1 interruptions" in verdict.evidence


def test_a_caller_whom_nobody_answers_makes_dead_air(tmp_path: Path) -> None:
    """One side's turns are enough to know of silence."""
    log = plain()
    log.turn(1)
    log.add("connection.closed", {"code": 1000}, after_s=30)
    assert judge(log.write(tmp_path / "alone.jsonl"))["conversation: no dead air"].status == "fails"


def test_without_sizes_nothing_is_judged_by_durations(tmp_path: Path) -> None:
    """A log that leaves audio out fails nothing for it: rates, gaps, levels and dead air are unknown."""
    log = PlainLog(audio="absent")
    log.configure(ga_session())
    verdicts = judge(conversation(log).write(tmp_path / "absent.jsonl"))
    unknown = {name for name, verdict in verdicts.items() if verdict.status == "unknown"}
    assert failing(verdicts) == []
    assert {"session: bytes a second fit the format", "audio: no gaps", "audio: level"} <= unknown
    assert {"conversation: no dead air", "conversation: interruptions are exact"} <= unknown


def test_half_samples_are_a_wrong_format(tmp_path: Path) -> None:
    """Chunks of an odd number of bytes cannot be 16-bit audio."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    verdict = judge(conversation(log, frame_bytes=959).write(tmp_path / "odd.jsonl"))["audio: sounds like its format"]
    assert (verdict.status, verdict.fault) == ("fails", WRONG_FORMAT)


@pytest.mark.parametrize("length", [{}, {"length": 12_000}], ids=["no length", "length"])
def test_a_note_in_the_place_of_audio_is_no_fault(tmp_path: Path, length: dict[str, int]) -> None:
    """A log that says "<omitted>" where audio was has audio left out, not a wrong format."""
    log = plain()
    log.turn(1)
    log.add("response.created", {"response": {"id": "resp_1"}}, after_s=0.1)
    for _ in range(8):
        log.add("response.output_audio.delta", {"response_id": "resp_1", "delta": "<omitted>", **length}, after_s=0.1)
    log.add("response.done", {"response": {"id": "resp_1", "status": "completed"}})
    log.add("connection.closed", {"code": 1000}, after_s=2.0)
    path = log.write(tmp_path / "notes.jsonl")
    assert judge(path)["audio: sounds like its format"].status == "unknown"
    assert read_call(path).downlink.seconds == (2.0 if length else None)


def test_speech_only_uplinks_are_not_taken_for_a_wrong_rate(tmp_path: Path) -> None:
    """A client that sends nothing in the pauses has gaps, and its rate fits all the same."""
    log = plain()
    for number in range(10):
        log.uplink(2 * number + 1.5, from_s=2 * number + 0.4)
    log.at_s = 21
    log.add("connection.closed", {"code": 1000})
    assert judge(log.write(tmp_path / "bursts.jsonl"))["session: bytes a second fit the format"].status != "fails"


def test_the_formats_of_the_provider_may_be_its_own(tmp_path: Path) -> None:
    """A client that asks for no format gets what is confirmed, and that is no fault."""
    asked = {"type": "realtime", "audio": {"input": {"turn_detection": VAD}}}
    log = PlainLog()
    log.configure(asked, ga_session(uplink=PCM))
    verdict = judge(conversation(log).write(tmp_path / "own.jsonl"))["session: formats as requested"]
    assert verdict.status == "holds"
    assert "nothing else was asked for" in verdict.evidence
