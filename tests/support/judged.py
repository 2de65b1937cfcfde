"""The checklist of a log, for tests to look at by name."""

from __future__ import annotations

from pathlib import Path

from virtual_call import Script, VirtualCall, silence, tone

from voxpipe.analysis.call import read_call
from voxpipe.analysis.checks import check
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import Verdict

TALK = Script(audio=tone(1000) + silence(1000) + tone(1000) + silence(4000))
"""A turn, then another over its answer."""


ONLY_OURS = {
    "audio: nothing dropped",
    "audio: played smoothly",
    "conversation: turn latency",
    "errors: ended in peace",
    "errors: the log is complete",
}
"""The checks that no plain log can fail: it does not tell of such things."""


def log_of(call: VirtualCall) -> Path:
    """The log of a call that has one."""
    assert call.outcome.log is not None
    return call.outcome.log


def judge(path: Path, slo: Slo | None = None, *, lenient: bool = False) -> dict[str, Verdict]:
    """The verdicts on a log, by group and name."""
    call = read_call(path, lenient=lenient)
    verdicts = check(call, slo)
    for verdict in verdicts:
        assert all(1 <= line <= call.lines for line in verdict.lines)
        assert bool(verdict.advice) == (verdict.status == "fails")
    return {f"{verdict.group}: {verdict.name}": verdict for verdict in verdicts}


def failing(verdicts: dict[str, Verdict]) -> list[str]:
    """Which fail."""
    return [name for name, verdict in verdicts.items() if verdict.status == "fails"]
