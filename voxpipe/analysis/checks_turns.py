"""Checks of transcription and turn detection: the caller's words written down, and turns heard at all."""

from __future__ import annotations

from collections import Counter

from voxpipe.analysis.call import Call
from voxpipe.analysis.checks_session import rate_of
from voxpipe.analysis.configuration import OFF, UNKNOWN, Setting
from voxpipe.analysis.events import dig
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.turns import COMPLETED, CallerTurn
from voxpipe.analysis.verdict import NO_TRANSCRIPTION, NO_TURNS, Judge, Verdict
from voxpipe.audio import NS_PER_S

GROUP = "transcription"
SETTLED_NS = 3 * NS_PER_S
"""A transcript comes within seconds of its turn; the log of a call that ended sooner cannot have it."""
HIGH_THRESHOLD = 0.7
LONG_SILENCE_MS = 1_500


def transcription_configured(call: Call, slo: Slo) -> Verdict:
    """The provider was asked to write down what the caller says, and has agreed."""
    judge = Judge(GROUP, "configured")
    configuration = call.accounts.configuration
    facts = configuration.effective
    if facts is None:
        return judge.unknown("no session configuration in force")
    asked = configuration.requested.transcription if configuration.requested else UNKNOWN
    if isinstance(facts.transcription, dict):
        return judge.holds(f"model {facts.transcription.get('model', UNKNOWN)}", [facts.line_no])
    if any(turn.transcription == COMPLETED for turn in call.accounts.caller.turns):
        lines = [turn.transcript_line for turn in call.accounts.caller.turns]
        return judge.holds("the configuration does not tell, and transcripts came", lines)
    if slo.missing_transcripts_percent >= 100:
        return judge.holds("transcription is not configured, and the limits allow it", [facts.line_no])
    if facts.transcription == OFF or asked == OFF:
        refused = isinstance(asked, dict)
        words = "it was asked for and the provider left it off" if refused else "the session has it switched off"
        advice = (
            "set session.transcription.model (audio.input.transcription; in the beta input_audio_transcription): "
            "without it the caller's words are never written down"
        )
        lines = [configuration.requested.line_no if configuration.requested else None, facts.line_no]
        return judge.fails(words, lines, advice, NO_TRANSCRIPTION)
    return judge.unknown("the configuration in the log does not tell", [facts.line_no])


def transcripts_arrive(call: Call, slo: Slo) -> Verdict:
    """Each turn of the caller has a transcript."""
    judge = Judge(GROUP, "transcripts arrive")
    settled = [turn for turn in call.accounts.caller.turns if _is_settled(call, turn) or turn.transcript]
    if not settled:
        return judge.unknown("no turn of the caller ended early enough for its transcript to be in the log")
    missing = [turn for turn in settled if not turn.transcript]
    words = f"{len(settled) - len(missing)} of {len(settled)} turns have one"
    if not missing:
        return judge.holds(words, [turn.transcript_line for turn in settled])
    reasons = Counter(_why(turn) for turn in missing)
    words += " (" + ", ".join(f"{count} {why}" for why, count in reasons.items()) + ")"
    lines = [turn.transcript_line or turn.line_no for turn in missing]
    if 100 * len(missing) / len(settled) <= slo.missing_transcripts_percent:
        return judge.holds(words, lines)
    facts = call.accounts.configuration.effective
    if facts is not None and facts.transcription == OFF:
        advice = "configure a transcription model: see the check before"
        return judge.fails(words, lines, advice, NO_TRANSCRIPTION)
    advice = "empty ones are silence, noise or misread audio; failed ones name their reason: check model and format"
    return judge.fails(words, lines, advice)


def _is_settled(call: Call, turn: CallerTurn) -> bool:
    return turn.ended_ns is not None and call.duration_ns - turn.ended_ns >= SETTLED_NS


def _why(turn: CallerTurn) -> str:
    if turn.trouble is not None:
        return f"failed: {turn.trouble}"
    if turn.transcription == COMPLETED:
        return "null" if turn.transcript is None else "empty"
    return "failed" if turn.transcription == "failed" else "never came"


def turns_heard(call: Call, slo: Slo) -> Verdict:
    """Turn detection hears the caller begin, and end."""
    judge = Judge("conversation", "turn detection")
    turns = call.accounts.caller.turns
    facts = call.accounts.configuration.effective
    detection: Setting = facts.turn_detection if facts is not None else UNKNOWN
    if turns:
        return _turns_end(call, slo, judge, detection)
    sent_s = call.uplink.span_s
    if sent_s is None:
        return judge.unknown("no caller audio was sent")
    if sent_s < slo.turn_within_s:
        return judge.unknown(
            f"no turn was heard in {sent_s:.1f} s of caller audio; judged from {slo.turn_within_s:g} s"
        )
    lines = [facts.line_no if facts is not None else None, call.uplink.first_line, call.uplink.last_line]
    words = f"no turn was heard in {sent_s:.1f} s of caller audio"
    if detection == OFF and not call.accounts.caller.commits_sent:
        advice = "switch turn detection on, or send input_audio_buffer.commit at the end of each turn"
        return judge.fails(f"{words}: turn detection is off, and nothing was committed", lines, advice, NO_TURNS)
    cause, advice = _cause(call, slo, detection)
    return judge.fails(f"{words}: {cause}", [*lines, call.heard["uplink"].loudest_line], advice, NO_TURNS)


def _cause(call: Call, slo: Slo, detection: Setting) -> tuple[str, str]:
    heard = call.heard["uplink"]
    settings = _settings(detection)
    rate = rate_of(call.uplink)
    if rate is not None and abs(rate - 1) * 100 > slo.rate_percent:
        return (
            f"its bytes a second do not fit {call.uplink.format}",
            "mend the format first, see the check of the bytes",
        )
    if heard.suspicions:
        return (
            f"the audio sounds misread ({heard.suspicions[0][0]})",
            "mend the format first: noise is not heard as speech",
        )
    if heard.seconds and (heard.loudest_dbfs is None or heard.loudest_dbfs < slo.level_low_dbfs):
        level = "digital silence" if heard.loudest_dbfs is None else f"{heard.loudest_dbfs:.1f} dBFS at most"
        return (
            f"the caller's level is too low ({level}; {settings})",
            "mend the level: the gain of the trunk, a muted line",
        )
    threshold = dig(detection, "threshold")
    if isinstance(threshold, int | float) and threshold > HIGH_THRESHOLD:
        return f"the threshold is too high ({settings})", "lower turn_detection.threshold; 0.5 is usual"
    level = "of unknown level" if not heard.seconds else f"at {heard.loudest_dbfs:.1f} dBFS"
    return (
        f"the caller's audio is {level} ({settings})",
        "compare encoding and rate of what is sent with the confirmed format; then lower turn_detection.threshold",
    )


def _turns_end(call: Call, slo: Slo, judge: Judge, detection: Setting) -> Verdict:
    turns = call.accounts.caller.turns
    settings = _settings(detection)
    endless = [turn for turn in turns if _length_s(call, turn) > slo.longest_turn_s]
    if endless:
        turn = endless[0]
        silence_ms = dig(detection, "silence_duration_ms")
        long_silence = isinstance(silence_ms, int | float) and silence_ms >= LONG_SILENCE_MS
        advice = (
            "lower turn_detection.silence_duration_ms; 500 is usual"
            if long_silence
            else "look for noise or echo on the line, which is taken for speech; raise turn_detection.threshold"
        )
        length_s = _length_s(call, turn)
        words = f"a turn did not end for {length_s:.1f} s, expected at most {slo.longest_turn_s:g} ({settings})"
        return judge.fails(words, [turn.line_no, turn.stopped_line], advice, NO_TURNS)
    ended = sum(turn.ended_ns is not None for turn in turns)
    words = f"{len(turns)} turns heard, {ended} of them to their end ({settings})"
    return judge.holds(words, [turn.line_no for turn in turns])


def _length_s(call: Call, turn: CallerTurn) -> float:
    if turn.started_ns is None:
        return 0.0
    end_ns = turn.ended_ns if turn.ended_ns is not None else call.duration_ns
    return (end_ns - turn.started_ns) / NS_PER_S


def _settings(detection: Setting) -> str:
    if isinstance(detection, str):
        return f"turn detection {detection}"
    names = ("type", "threshold", "silence_duration_ms", "eagerness")
    return ", ".join(f"{name} {detection[name]}" for name in names if name in detection) or "turn detection on"


CHECKS = (transcription_configured, transcripts_arrive, turns_heard)
