"""The checklist: every question that is asked of a call, in the order in which a fault of one explains the next."""

from __future__ import annotations

from voxpipe.analysis import checks_audio, checks_conversation, checks_session, checks_turns
from voxpipe.analysis.call import Call
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.troubles import FATAL, Trouble
from voxpipe.analysis.verdict import FAILS, Judge, Verdict

GROUP = "errors"
NORMAL_CLOSE = 1000


def no_errors(call: Call, slo: Slo) -> Verdict:
    """Nobody reported an error that matters."""
    judge = Judge(GROUP, "no errors")
    kinds = [kind for kind in call.troubles if kind.kind not in FATAL and kind.kind != "tool.failed"]
    harmful = [kind for kind in kinds if not kind.harmless]
    lines = [line for kind in harmful for line in kind.lines]
    if sum(kind.count for kind in harmful) > slo.errors:
        words = "; ".join(_describe(kind, call) for kind in harmful[:4])
        more = f" and {len(harmful) - 4} other kinds" if len(harmful) > 4 else ""
        return judge.fails(words + more, lines, "the code names the cause; what was not recovered from comes first")
    harmless = sum(kind.count for kind in kinds if kind.harmless)
    words = "; ".join(_describe(kind, call) for kind in harmful) or "none"
    return judge.holds(f"{words}, {harmless} harmless" if harmless else words, lines)


def _describe(kind: Trouble, call: Call) -> str:
    minutes = call.duration_ns / 60e9
    often = (
        f"{kind.count} x" if kind.count == 1 or minutes < 1 else f"{kind.count} x ({kind.count / minutes:.1f} a minute)"
    )
    went_on = {True: "the call went on", False: "not recovered", None: "unknown whether the call went on"}[
        kind.recovered
    ]
    return f"{often} {kind.kind} {kind.words} ({went_on})"


def ended_in_peace(call: Call, _slo: Slo) -> Verdict:
    """The session and the leg ended because somebody wanted it."""
    judge = Judge(GROUP, "ended in peace")
    fatal = [kind for kind in call.troubles if kind.kind in FATAL and kind.recovered is not True]
    if fatal:
        words = "; ".join(f"{kind.kind}: {kind.message or kind.code}" for kind in fatal)
        lines = [line for kind in fatal for line in kind.lines]
        return judge.fails(words, lines, "the message says what was expected and what came")
    because, closed = call.accounts.because, call.accounts.closed
    if because is None:
        return judge.unknown("the log does not tell why the call ended")
    if call.accounts.summary is not None:
        return judge.holds(because, [call.lines])
    if closed is not None and closed[1] == NORMAL_CLOSE:
        return judge.holds(because, [closed[0]])
    return judge.unknown(because, [closed[0] if closed else None])


def tools_answered(call: Call, slo: Slo) -> Verdict:
    """Each tool the model asked for gave a result."""
    judge = Judge(GROUP, "tools answered")
    uses = call.accounts.tools.found
    if not uses:
        return judge.unknown("no tool was asked for")
    failed = [use for use in uses if use.outcome == "failed" or (use.outcome == "unknown" and use.answered_ns is None)]
    if len(failed) > slo.failed_tools:
        words = ", ".join(f"{use.name}: {use.message or 'no result'}" for use in failed[:4])
        advice = "the model waits for a result of every call it makes, an error included"
        return judge.fails(words, [use.line_no for use in failed], advice)
    return judge.holds(f"{len(uses)} calls, {len(failed)} failed", [use.line_no for use in uses])


def evidence_complete(call: Call, _slo: Slo) -> Verdict:
    """The log has every line that was meant for it."""
    judge = Judge(GROUP, "the log is complete")
    lost = call.accounts.troubles.losses["records.lost"]
    faults = [
        f"{call.skipped} lines are no records ({'; '.join(call.skipped_faults)})" if call.skipped else "",
        f"{lost.total} records were lost for want of room" if lost.total else "",
        f"{call.missing_lines} lines are missing" if call.missing_lines and not lost.total else "",
        f"time goes back {call.steps_back} times, as in a file of several calls"
        if call.own and call.steps_back
        else "",
        "the last line is torn" if call.torn else "",
        "there is no leg.summary at its end" if call.own and call.accounts.summary is None else "",
    ]
    found = [fault for fault in faults if fault]
    if found:
        advice = "the process was killed, the disk was full, or the file was changed; sums are of what is there"
        return judge.fails("; ".join(found), [*lost.lines, call.lines], advice)
    if not call.own:
        back = f", and its clock went back {call.steps_back} times" if call.steps_back else ""
        return judge.unknown(f"a plain log has no numbers to tell it by{back}")
    return judge.holds(f"{call.lines} lines, the last is the summary", [call.lines])


CHECKS = (
    *checks_session.CHECKS,
    *checks_audio.CHECKS,
    *checks_turns.CHECKS,
    *checks_conversation.CHECKS,
    no_errors,
    ended_in_peace,
    tools_answered,
    evidence_complete,
)


def check(call: Call, slo: Slo | None = None) -> list[Verdict]:
    """Ask every question of a call."""
    limits = slo or Slo()
    return [ask(call, limits) for ask in CHECKS]


def passed(verdicts: list[Verdict]) -> bool:
    """Whether nothing fails; what is unknown does not."""
    return all(verdict.status != FAILS for verdict in verdicts)


def faults(verdicts: list[Verdict]) -> list[str]:
    """The classic faults that were found, each once, the root first."""
    return list(dict.fromkeys(verdict.fault for verdict in verdicts if verdict.fault))
