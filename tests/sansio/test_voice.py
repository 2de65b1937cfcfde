"""The gate of the caller's voice, window by window."""

from __future__ import annotations

import math

import pytest

from voxpipe.sansio.voice import VoiceGate, VoiceThresholds, VoiceWindow

LIMITS = VoiceThresholds(probability=0.5, level_dbfs=-50, unexplained=0.5, min_speech_ms=60, silence_ms=100)
VOICE = (0.9, -20.0, 1.0)
QUIET = (0.0, -math.inf, 0.0)


def changes(*windows: tuple[float, float, float]) -> list[tuple[int, bool]]:
    """Feed windows of 20 ms; return each change with the number of the window it came with, from 1."""
    gate = VoiceGate(LIMITS)
    told = [(number, gate.add(VoiceWindow(20, *window))) for number, window in enumerate(windows, 1)]
    return [(number, change) for number, change in told if change is not None]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([VOICE] * 2, []),
        ([VOICE] * 3, [(3, True)]),
        ([VOICE, QUIET] * 4 + [VOICE], [(9, True)]),
        ([VOICE, VOICE, QUIET, VOICE, VOICE], [(5, True)]),
        ([VOICE, QUIET, QUIET] * 9, []),
        ([VOICE] * 3 + [QUIET] * 4, [(3, True)]),
        ([VOICE] * 3 + [QUIET] * 5, [(3, True), (8, False)]),
        ([VOICE] * 3 + [QUIET] * 4 + [VOICE] + [QUIET] * 5, [(3, True), (13, False)]),
        ([VOICE] * 3 + [QUIET] * 5 + [VOICE] * 2, [(3, True), (8, False)]),
        ([VOICE] * 3 + [QUIET] * 5 + [VOICE] * 3, [(3, True), (8, False), (11, True)]),
    ],
    ids=[
        "too short",
        "long enough",
        "gaps",
        "a gap",
        "mostly gaps",
        "pause",
        "end",
        "pause again",
        "after the end",
        "again",
    ],
)
def test_a_voice_starts_when_it_lasts_and_stops_when_it_is_gone(
    windows: list[tuple[float, float, float]], expected: list[tuple[int, bool]]
) -> None:
    """60 ms start it, a gap takes away half of its length, 100 ms of silence stop it, and it begins anew after that."""
    assert changes(*windows) == expected


@pytest.mark.parametrize(
    "window",
    [(0.49, -20.0, 1.0), (0.9, -51.0, 1.0), (0.9, -20.0, 0.49), (0.9, -math.inf, 1.0)],
    ids=["improbable", "quiet", "explained", "digital silence"],
)
def test_what_lacks_one_thing_is_no_voice(window: tuple[float, float, float]) -> None:
    """Speech it must be, loud enough, and nothing that echo or noise explain."""
    assert changes(*[window] * 50) == []


@pytest.mark.parametrize(
    ("window", "goes_on"),
    [
        ((0.36, -20.0, 1.0), True),
        ((0.34, -20.0, 1.0), False),
        ((0.9, -20.0, 0.26), True),
        ((0.9, -20.0, 0.24), False),
        ((0.9, -51.0, 1.0), False),
    ],
)
def test_less_is_enough_to_go_on(window: tuple[float, float, float], goes_on: bool) -> None:
    """Once started, a voice goes on with 0.15 less of probability and half of what is unexplained."""
    assert (len(changes(*[VOICE] * 3, *[window] * 50)) == 1) is goes_on


def test_the_gate_tells_whether_the_caller_speaks() -> None:
    """From the start to the stop."""
    gate = VoiceGate(LIMITS)
    seen = []
    for window in [VOICE] * 3 + [QUIET] * 5:
        gate.add(VoiceWindow(20, *window))
        seen.append(gate.speaking)
    assert seen == [False, False, True, True, True, True, True, False]
