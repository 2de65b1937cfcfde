"""Two calls, or two sets of calls, side by side: what differs in configuration, numbers, errors and verdicts.

The first is what was expected, the second what is. Numbers are medians with the middle half of the values around them;
a difference is called one only where the rank test (rank_test.py) finds it at 5 %, all numbers of the comparison
together. Its weakness is said here: turns of one call are not independent of each other, so two calls may well differ
by what was said in them. Sets of calls are the remedy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs

from voxpipe.analysis.call import Call
from voxpipe.analysis.checks import check
from voxpipe.analysis.configuration import UNKNOWN, SessionFacts, format_words
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.overview import latency_values
from voxpipe.analysis.rank_test import holm, rank_p
from voxpipe.analysis.rows import answer_ns
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import FAILS, HOLDS, Verdict
from voxpipe.analysis.verdict import UNKNOWN as UNTOLD
from voxpipe.audio import NS_PER_MS, NS_PER_S

SIGNIFICANT = 0.05
ABSENT = "absent"
"""A setting that the other side has and this one does not name."""
Finding = Literal["higher", "lower", "within the spread", "too few to tell", "unknown"]


@attrs.frozen
class CallFacts:
    """What one call contributes to a comparison; small, so that a folder of calls fits into memory."""

    log: str
    settings: dict[str, str]
    """Configuration and formats by name; ``unknown`` where the log is silent."""
    numbers: dict[str, tuple[float | None, ...]]
    """Latencies by turn, sound and losses by call; ``None`` is unknown. The name ends with the unit."""
    errors: dict[str, int]
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, call: Call, slo: Slo | None = None) -> CallFacts:
        """Take what is compared of a call; its verdicts are those of the limits given."""
        errors: Counter[str] = Counter()
        for trouble in call.troubles:
            errors[f"{trouble.kind} {trouble.code}{' (harmless)' if trouble.harmless else ''}"] += trouble.count
        return cls(path_text(call.path), _settings(call), _numbers(call), dict(errors), tuple(check(call, slo)))


@attrs.frozen
class Difference:
    """Something that is not the same on both sides."""

    name: str
    expected: str
    actual: str

    def to_json(self) -> dict[str, Any]:
        """Write the pair as JSON data."""
        return attrs.asdict(self)


@attrs.frozen
class Spread:
    """Several numbers as their median and the quartiles around it (nearest rank)."""

    count: int
    unknown: int
    median: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Sum up numbers, ``None`` for an unknown one."""
        known = sorted(value for value in values if value is not None)
        ranks = [known[math.ceil(share * len(known)) - 1] if known else None for share in (0.5, 0.25, 0.75)]
        return cls(len(known), len(values) - len(known), *ranks)


@attrs.frozen
class NumberPair:
    """One number on both sides; ``finding`` says how the second stands to the first."""

    name: str
    expected: Spread
    actual: Spread
    p: float | None
    """Probability of so large a difference by chance, raised for the count of numbers compared; ``None``: too few."""

    @property
    def finding(self) -> Finding:
        """What can be said of the difference."""
        before, after = self.expected.median, self.actual.median
        if before is None or after is None:
            return "unknown"
        if self.p is None:
            return "too few to tell"
        if self.p > SIGNIFICANT or before == after:
            return "within the spread"
        return "higher" if after > before else "lower"

    def to_json(self) -> dict[str, Any]:
        """Write the pair as JSON data."""
        return {**attrs.asdict(self), "finding": self.finding}


@attrs.frozen
class VerdictPair:
    """A check whose verdicts are not the same on both sides, counted by status, with the evidence of a failure."""

    name: str
    expected: dict[str, int]
    actual: dict[str, int]
    evidence: str
    log: str
    """The log which the evidence is from."""

    @property
    def worse(self) -> bool | None:
        """Whether more fails on the second side; ``None`` where as much does."""
        before, after = (side[FAILS] / max(sum(side.values()), 1) for side in (self.expected, self.actual))
        return None if before == after else after > before

    def to_json(self) -> dict[str, Any]:
        """Write the pair as JSON data."""
        return {**attrs.asdict(self), "worse": self.worse}


@attrs.frozen
class Comparison:
    """All that was found; ``expected`` and ``actual`` are the logs of either side."""

    expected: tuple[str, ...]
    actual: tuple[str, ...]
    settings: tuple[Difference, ...]
    numbers: tuple[NumberPair, ...]
    errors: tuple[Difference, ...]
    verdicts: tuple[VerdictPair, ...]

    def to_json(self) -> dict[str, Any]:
        """Write everything as JSON data."""
        lists = ("settings", "numbers", "errors", "verdicts")
        return {
            "expected": list(self.expected),
            "actual": list(self.actual),
            **{name: [found.to_json() for found in getattr(self, name)] for name in lists},
        }


def compare_calls(a: Sequence[CallFacts], b: Sequence[CallFacts]) -> Comparison:
    """Compare calls that are as they should be with others; one of each side, or many."""
    return Comparison(
        expected=tuple(one.log for one in a),
        actual=tuple(one.log for one in b),
        settings=tuple(_different_settings(a, b)),
        numbers=tuple(_number_pairs(a, b)),
        errors=tuple(_different_errors(a, b)),
        verdicts=tuple(_different_verdicts(a, b)),
    )


def _settings(call: Call) -> dict[str, str]:
    configuration = call.accounts.configuration
    found = {"log": call.shape}
    for name, facts in (("requested", configuration.requested), ("in force", configuration.effective)):
        found |= {f"{name}: {key}": words for key, words in _session(facts).items()}
    found |= {f"{flow.name}: format": flow.format or UNKNOWN for flow in call.flows}
    return found


def _session(facts: SessionFacts | None) -> dict[str, str]:
    if facts is None:
        return {}
    found = {name: getattr(facts, name) for name in ("model", "voice", "modalities")}
    found |= {"uplink": format_words(facts.uplink), "downlink": format_words(facts.downlink)}
    for name in ("turn_detection", "transcription"):
        setting = getattr(facts, name)
        if isinstance(setting, dict):
            found |= {f"{name}.{key}": str(value) for key, value in setting.items()}
        else:
            found[name] = setting
    return found


def _numbers(call: Call) -> dict[str, tuple[float | None, ...]]:
    marks = [turn.marks for turn in call.accounts.caller.turns]
    found: dict[str, tuple[float | None, ...]] = {
        f"{name}_ms": _in_ms(values_ns) for name, values_ns in latency_values(call).items()
    }
    found["answer_ms"] = _in_ms(answer_ns(one) for one in marks)  # in a plain log to the first audio received
    for side, heard in call.heard.items():
        known = heard.seconds > 0
        found |= {
            f"{side}_loudest_dbfs": (heard.loudest_dbfs,),
            f"{side}_peak_dbfs": (heard.peak_dbfs,),
            f"{side}_dc_offset_lsb": (heard.dc_offset_lsb if known else None,),
            f"{side}_clipped_samples": (heard.clipped_samples if known else None,),
            f"{side}_suspicions": (len(heard.suspicions) if known else None,),
        }
    for flow in call.flows:
        found[f"{flow.name}: longest_gap_ms"] = (flow.longest_gap_ms if flow.chunks else None,)
        found[f"{flow.name}: rate_factor"] = (flow.rate_factor,)
    for name, loss in call.accounts.troubles.losses.items():
        found[f"{name} ({loss.unit})"] = (loss.total if call.own else None,)
    found["duration_s"] = (call.duration_ns / NS_PER_S,)
    found["interruptions"] = (len(call.accounts.interruptions.found),)
    return found


def _in_ms(values_ns: Iterable[int | None]) -> tuple[float | None, ...]:
    return tuple(None if value is None else value / NS_PER_MS for value in values_ns)


def _different_settings(a: Sequence[CallFacts], b: Sequence[CallFacts]) -> Iterable[Difference]:
    for name in dict.fromkeys(name for one in (*a, *b) for name in one.settings):
        before, after = (Counter(one.settings.get(name, ABSENT) for one in side) for side in (a, b))
        if set(before) != set(after):
            yield Difference(name, _counted(before), _counted(after))


def _counted(values: Counter[str]) -> str:
    """Write values, with how many calls have each where there are several."""
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} ({count} calls)" for value, count in values.most_common())


def _number_pairs(a: Sequence[CallFacts], b: Sequence[CallFacts]) -> Iterable[NumberPair]:
    names = list(dict.fromkeys(name for one in (*a, *b) for name in one.numbers))
    sides = [
        {name: [value for one in side for value in one.numbers.get(name, ())] for name in names} for side in (a, b)
    ]
    known = [{name: [v for v in values if v is not None] for name, values in side.items()} for side in sides]
    chances = holm([rank_p(known[0][name], known[1][name]) for name in names])
    for name, p in zip(names, chances, strict=True):
        pair = NumberPair(name, Spread.of(sides[0][name]), Spread.of(sides[1][name]), p)
        if pair.expected.count or pair.actual.count:
            yield pair


def _different_errors(a: Sequence[CallFacts], b: Sequence[CallFacts]) -> Iterable[Difference]:
    for name in dict.fromkeys(name for one in (*a, *b) for name in one.errors):
        before, after = (
            (sum(one.errors.get(name, 0) for one in side), sum(name in one.errors for one in side), len(side))
            for side in (a, b)
        )
        # As often a call on both sides is no difference, whatever the number of calls.
        if before[0] * after[2] != after[0] * before[2]:
            yield Difference(name, _often(*before), _often(*after))


def _often(count: int, calls: int, all_calls: int) -> str:
    return str(count) if all_calls == 1 or not count else f"{count} in {calls} of {all_calls} calls"


def _different_verdicts(a: Sequence[CallFacts], b: Sequence[CallFacts]) -> Iterable[VerdictPair]:
    told = [{(v.group, v.name): v for v in one.verdicts} for one in (*a, *b)]
    for key in dict.fromkeys(key for one in told for key in one):
        verdicts = [one.get(key) for one in told]
        before, after = (_statuses(side) for side in (verdicts[: len(a)], verdicts[len(a) :]))
        if all(before[status] * len(b) == after[status] * len(a) for status in before):
            continue
        shown = [(v, one.log) for v, one in zip(verdicts, (*a, *b), strict=True) if v is not None]
        failed = [pair for pair in shown if pair[0].status == FAILS] or shown
        yield VerdictPair(": ".join(key), before, after, failed[0][0].evidence, failed[0][1])


def _statuses(verdicts: Iterable[Verdict | None]) -> dict[str, int]:
    counts = Counter(UNTOLD if verdict is None else verdict.status for verdict in verdicts)
    return {status: counts[status] for status in (HOLDS, FAILS, UNTOLD)}
