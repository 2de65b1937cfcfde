"""Two calls or two sets of calls side by side: what differs is told, and chance is not taken for a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faulty_logs import no_transcription, other_format, plain, server_error
from plain_log import VAD, PlainLog, beta_session, conversation

from voxpipe.analysis.call import read_call
from voxpipe.analysis.comparison import CallFacts, Comparison, NumberPair, compare_calls


def facts(log: PlainLog, path: Path) -> CallFacts:
    """Write a log and read what is compared of it."""
    return CallFacts.of(read_call(log.write(path)))


@pytest.fixture
def good(tmp_path: Path) -> CallFacts:
    """A good call."""
    return facts(conversation(plain()), tmp_path / "good.jsonl")


def talk(answers_s: list[float], **session: Any) -> PlainLog:
    """A call whose answers begin so long after each turn."""
    log = plain(**session)
    for number, after_s in enumerate(answers_s):
        log.turn(number)
        log.answer(number, after_s=after_s)
    log.uplink(log.at_s, from_s=0.31)
    log.add("connection.closed", {"code": 1000, "reason": ""}, after_s=0.1)
    return log


def number(comparison: Comparison, name: str) -> NumberPair:
    """One number of a comparison."""
    return next(pair for pair in comparison.numbers if pair.name == name)


def test_a_call_does_not_differ_from_itself(good: CallFacts) -> None:
    """Nothing is listed, and every number is within its spread, or has too few values to tell."""
    comparison = compare_calls([good], [good])
    assert (comparison.settings, comparison.errors, comparison.verdicts) == ((), (), ())
    assert {pair.finding for pair in comparison.numbers} == {"within the spread", "too few to tell"}


def test_settings_are_pairs_of_expected_and_actual(good: CallFacts, tmp_path: Path) -> None:
    """Turn detection key by key, and what one side switches off."""
    other = conversation(plain(turn_detection={**VAD, "silence_duration_ms": 900}, transcription=None))
    found = {
        one.name: (one.expected, one.actual) for one in compare_calls([good], [facts(other, tmp_path / "b")]).settings
    }
    assert found == {
        "requested: turn_detection.silence_duration_ms": ("500", "900"),
        "in force: turn_detection.silence_duration_ms": ("500", "900"),
        "requested: transcription.model": ("whisper-1", "absent"),
        "in force: transcription.model": ("whisper-1", "absent"),
        "requested: transcription": ("absent", "off"),
        "in force: transcription": ("absent", "off"),
    }


def test_a_format_that_was_confirmed_instead_is_a_difference(good: CallFacts, tmp_path: Path) -> None:
    """As requested the same, in force another, and the check that fails for it is named with its evidence."""
    comparison = compare_calls([good], [facts(other_format(), tmp_path / "other.jsonl")])
    names = {one.name for one in comparison.settings}
    assert "in force: downlink" in names
    assert "requested: downlink" not in names
    (verdict,) = [one for one in comparison.verdicts if one.worse and "format" in one.name and one.expected["holds"]][
        :1
    ]
    assert verdict.log.endswith("other.jsonl")
    assert verdict.evidence


def test_other_providers_are_compared_by_what_is_common(good: CallFacts, tmp_path: Path) -> None:
    """A log of another shape and dialect: models and voices differ, the latencies are side by side."""
    log = PlainLog(camel=True)
    log.configure(beta_session())
    for turn in range(5):
        log.turn(turn)
        log.answer(turn, beta=True)
    log.uplink(log.at_s, from_s=0.31)
    comparison = compare_calls([good], [facts(log, tmp_path / "beta.jsonl")])
    found = {one.name: (one.expected, one.actual) for one in comparison.settings}
    assert found["in force: model"] == ("gpt-realtime", "gpt-4o-realtime-preview")
    assert found["in force: voice"] == ("marin", "alloy")
    assert "in force: uplink" not in found
    assert number(comparison, "first_audio_ms").actual.count == 5


def test_slower_answers_are_found(tmp_path: Path) -> None:
    """Eight turns a side, half a second apart: medians, the middle half, the count, and a p that allows to say so."""
    before = talk([0.40, 0.42, 0.44, 0.46, 0.48, 0.50, 0.52, 0.54])
    after = talk([0.90, 0.92, 0.94, 0.96, 0.98, 1.00, 1.02, 1.04])
    pair = number(compare_calls([facts(before, tmp_path / "a")], [facts(after, tmp_path / "b")]), "first_audio_ms")
    assert (pair.expected.count, pair.expected.low, pair.expected.median, pair.expected.high) == (8, 440, 480, 520)
    assert pair.actual.median == 980
    assert pair.finding == "higher"
    assert pair.p is not None
    assert pair.p < 0.05


def test_a_difference_within_the_spread_is_none(tmp_path: Path) -> None:
    """Medians 20 ms apart that each vary by hundreds."""
    before = talk([0.2, 0.9, 0.4, 0.6, 0.5, 0.8])
    after = talk([0.22, 0.85, 0.42, 0.7, 0.52, 0.75])
    pair = number(compare_calls([facts(before, tmp_path / "a")], [facts(after, tmp_path / "b")]), "first_audio_ms")
    assert pair.expected.median != pair.actual.median
    assert pair.finding == "within the spread"


def test_two_turns_are_too_few_to_tell(tmp_path: Path) -> None:
    """However far apart they are."""
    pair = number(
        compare_calls([facts(talk([0.2, 0.3]), tmp_path / "a")], [facts(talk([2.0, 3.0]), tmp_path / "b")]),
        "first_audio_ms",
    )
    assert pair.finding == "too few to tell"
    assert pair.p is None


def test_sets_of_calls_are_distributions(tmp_path: Path) -> None:
    """Settings, errors and verdicts are counted by call, latencies are of all turns."""
    a = [facts(conversation(plain(), turns=2), tmp_path / f"a{index}.jsonl") for index in range(3)]
    b = [
        facts(no_transcription(), tmp_path / "b0.jsonl"),
        facts(conversation(plain(), turns=2), tmp_path / "b1.jsonl"),
        facts(server_error(), tmp_path / "b2.jsonl"),
    ]
    comparison = compare_calls(a, b)
    found = {one.name: (one.expected, one.actual) for one in comparison.settings}
    assert found["in force: transcription.model"] == ("whisper-1", "whisper-1 (2 calls), absent (1 calls)")
    assert [(one.name, one.expected, one.actual) for one in comparison.errors] == [
        ("error server_error", "0", "3 in 1 of 3 calls")
    ]
    configured = next(one for one in comparison.verdicts if one.name == "transcription: configured")
    assert configured.expected == {"holds": 3, "fails": 0, "unknown": 0}
    assert configured.actual == {"holds": 2, "fails": 1, "unknown": 0}
    assert configured.worse is True
    assert configured.log.endswith("b0.jsonl")
    assert number(comparison, "first_audio_ms").expected.count == 6


def test_as_often_a_call_is_no_difference(tmp_path: Path) -> None:
    """One error a call on both sides, though one side has twice as many calls."""
    a = [facts(server_error(), tmp_path / "a.jsonl")]
    comparison = compare_calls(a, a * 2)
    assert comparison.errors == ()
    assert comparison.verdicts == ()


def test_better_is_told_from_worse(good: CallFacts, tmp_path: Path) -> None:
    """A check that fails on the first side only is an improvement."""
    comparison = compare_calls([facts(no_transcription(), tmp_path / "a.jsonl")], [good])
    configured = next(one for one in comparison.verdicts if one.name == "transcription: configured")
    assert configured.worse is False
