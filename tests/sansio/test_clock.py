"""The playout clock, driven with literal times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxpipe.sansio.clock import PTIME_NS, Clock

MS = 1_000_000


def test_due_times_do_not_drift() -> None:
    """Frames written a little late, each time, still fall due on the grid of the first one."""
    clock = Clock(1000 * MS)
    for n in range(1, 1001):
        assert clock.tick(clock.due_ns + 7 * MS) == 0
        assert clock.due_ns == 1000 * MS + n * 20 * MS
    assert clock.statistics().late_max_ns == 7 * MS
    assert clock.statistics().ticks == 1000


def test_a_late_frame_is_caught_up_within_the_jitter_buffer() -> None:
    """After 50 ms of delay the missed frames are due at once, and the grid holds."""
    clock = Clock(0)
    clock.tick(0)
    assert clock.tick(70 * MS) == 0
    assert clock.due_ns == 40 * MS


def test_a_long_gap_is_a_slip_and_no_burst() -> None:
    """After more than 60 ms the clock re-anchors and says by how much."""
    clock = Clock(0)
    clock.tick(0)
    assert clock.tick(520 * MS) == 500 * MS
    assert clock.due_ns == 540 * MS
    assert clock.statistics().slips == 1
    assert clock.statistics().slipped_ns == 500 * MS


def test_restart_makes_the_next_frame_due_now() -> None:
    """The first frame of an answer does not wait for the tick of the silence before it."""
    clock = Clock(0)
    clock.tick(0)
    clock.restart(7 * MS)
    assert clock.due_ns == 7 * MS
    assert clock.tick(7 * MS) == 0
    assert clock.due_ns == 27 * MS


@given(st.lists(st.integers(0, 400 * MS), max_size=200))
def test_the_next_frame_is_never_more_than_one_ptime_away(gaps_ns: list[int]) -> None:
    """However late frames are written, no wait is longer than a ptime, and lateness is never negative."""
    clock, now_ns = Clock(0), 0
    for gap_ns in gaps_ns:
        now_ns = max(now_ns, clock.due_ns) + gap_ns
        assert clock.tick(now_ns) >= 0
        assert clock.due_ns <= now_ns + PTIME_NS
        assert now_ns - clock.due_ns <= 2 * PTIME_NS
