"""Streams of audio, summed up: bytes, seconds, speed and gaps; what is not known is not a number."""

from __future__ import annotations

import pytest

from voxpipe.analysis.flow import Flow, FlowStatistics
from voxpipe.analysis.turns import AgentTurn, ToolUse
from voxpipe.audio import SLIN8, AudioFormat

MS = 1_000_000


def flow(
    times_ms: list[float], size_bytes: int | None = 320, *, format_: AudioFormat | None = SLIN8, continuous: bool = True
) -> FlowStatistics:
    """A stream of chunks at these times."""
    stream = Flow("a stream", continuous=continuous)
    stream.format = format_
    for line_no, time_ms in enumerate(times_ms, 1):
        stream.add(round(time_ms * MS), size_bytes, line_no)
    return stream.statistics()


def test_a_steady_stream_runs_at_the_speed_of_time() -> None:
    """Ten seconds of frames, one each 20 ms: no gap, factor 1, the format's own bytes a second."""
    found = flow([20 * number for number in range(500)])
    assert (found.chunks, found.bytes, found.seconds) == (500, 160_000, 10.0)
    assert (found.real_time_factor, found.rate_factor, found.bytes_per_s, found.steady) == (1.0, 1.0, 16_000, 1.0)
    assert (found.gaps, found.longest_gap_ms, found.longest_gap_line) == (0, 0.0, None)


def test_jitter_is_no_gap_and_a_hole_is() -> None:
    """Frames that come in bursts of five are on time; half a second of nothing is one gap, at its line."""
    bursts = [100 * (number // 5) for number in range(100)]
    assert flow(bursts).gaps == 0
    found = flow([*bursts, *(time + 2_500 for time in bursts)])
    assert (found.gaps, found.longest_gap_ms, found.longest_gap_line) == (1, 500.0, 101)


def test_the_rate_of_another_format_shows() -> None:
    """8 kHz audio taken for 24 kHz: a third of the speed, and the bytes a second of what it is."""
    found = flow([20 * number for number in range(500)], 320, format_=AudioFormat.parse("slin24"))
    assert found.rate_factor == pytest.approx(1 / 3, abs=0.02)
    assert found.bytes_per_s == 16_000


def test_a_burst_at_the_beginning_does_not_hide_the_rate() -> None:
    """A second of audio that had waited goes out at once: the typical second is what counts."""
    found = flow([*[0.0] * 50, *(20.0 * number for number in range(300))])
    assert (found.rate_factor, found.bytes_per_s) == (1.0, 16_000)


@pytest.mark.parametrize(("size_bytes", "format_"), [(None, SLIN8), (320, None)])
def test_without_sizes_or_format_seconds_are_unknown(size_bytes: int | None, format_: AudioFormat | None) -> None:
    """Chunks are counted, and nothing is made up about how long they are."""
    found = flow([20 * number for number in range(500)], size_bytes, format_=format_)
    assert found.chunks == 500
    assert (found.seconds, found.real_time_factor, found.rate_factor) == (None, None, None)


def test_a_stream_without_chunks_is_empty() -> None:
    """No audio is zero seconds, and has no speed."""
    found = flow([])
    assert (found.chunks, found.seconds, found.real_time_factor, found.first_line) == (0, 0.0, None, None)


def test_pauses_between_answers_are_no_gaps() -> None:
    """Two answers a minute apart, each four times faster than real time: that is the factor."""
    stream = Flow("a stream", continuous=False)
    stream.format = SLIN8
    for begin_ms in (0, 60_000):
        stream.begin()
        for number in range(9):
            stream.add((begin_ms + 50 * number) * MS, 3_200, number)
    found = stream.statistics()
    assert (found.gaps, found.seconds) == (0, 3.6)
    assert found.real_time_factor == pytest.approx(4.5)
    assert found.rate_factor is None


def test_what_was_not_played_is_told_by_arrival() -> None:
    """Without playout a turn begins with its first audio and ends when all of it would have been spoken."""
    turn = AgentTurn(1, "resp_1", 0, received_ns=5, audio_ns=10)
    assert (turn.begin_ns, turn.end_ns) == (5, 15)
    turn.playout_ns, turn.ended_ns = 7, 12
    assert (turn.begin_ns, turn.end_ns) == (7, 12)
    assert ToolUse(1, "call_1", None, 5).duration_ns is None
