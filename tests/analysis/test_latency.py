"""Latencies: parts that add up to the whole, in integer nanoseconds, and unknown where a mark is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edited_log import edited, without, write_records
from hypothesis import given
from hypothesis import strategies as st
from judged import TALK, log_of
from plain_log import PlainLog, conversation, ga_session
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, silence, tone

from voxpipe.analysis.call import read_call
from voxpipe.analysis.latency import MARKS, PARTS, Distribution, Marks
from voxpipe.analysis.overview import latencies, overview_of
from voxpipe.analysis.uplink_marks import Positions, UplinkMarks
from voxpipe.testing.network import Direction, Network, NetworkStream

MS = 1_000_000


@given(st.lists(st.integers(0, 10**12), min_size=len(MARKS), max_size=len(MARKS)))
def test_the_parts_add_up_to_the_whole(instants: list[int]) -> None:
    """With all marks known, in order, the sum of the parts is the time from the first to the last, exactly."""
    marks = Marks(*sorted(instants))
    assert marks.whole_ns == max(instants) - min(instants)
    assert marks.missing == ()


@pytest.mark.parametrize("missing", MARKS)
def test_a_missing_mark_makes_the_whole_unknown(missing: str) -> None:
    """The parts beside it are unknown, the others are not, and nothing is taken for zero."""
    marks = Marks(**{name: 10 * index for index, name in enumerate(MARKS) if name != missing})
    at = MARKS.index(missing)
    assert marks.whole_ns is None
    assert marks.missing == tuple(PARTS[index] for index in (at - 1, at) if 0 <= index < len(PARTS))


def test_marks_in_the_wrong_order_are_unknown() -> None:
    """A part is never negative: what contradicts itself is not known."""
    assert Marks(stopped=20, created=10).parts()["response"] is None
    assert Marks(stopped=20, created=10).between("stopped", "created") is None


@pytest.mark.parametrize(
    ("values_ms", "expected"),
    [
        ([], (0, 0, None, None, None)),
        ([None, None], (0, 2, None, None, None)),
        ([7], (1, 0, 7.0, 7.0, 7.0)),
        ([3, 1, 2, None], (3, 1, 2.0, 3.0, 3.0)),
        (list(range(1, 101)), (100, 0, 50.0, 95.0, 100.0)),
        ([0, 0], (2, 0, 0.0, 0.0, 0.0)),
    ],
)
def test_a_distribution_counts_what_is_unknown(values_ms: list[int | None], expected: tuple[Any, ...]) -> None:
    """Median, p95 by nearest rank and maximum are of the known ones; of none they are unknown, not zero."""
    found = Distribution.of(None if value is None else value * MS for value in values_ms)
    assert (found.count, found.unknown, found.median_ms, found.p95_ms, found.max_ms) == expected


async def test_a_real_turn_is_accounted_for_to_the_nanosecond(make_call: CallMaker, autojump_clock: Any) -> None:
    """In virtual time nothing but what is configured takes time: the silence, the provider's 300 ms, and one frame."""
    call = await make_call(HELLO_AND_WAIT)
    (turn,) = read_call(log_of(call)).accounts.caller.turns
    parts = turn.marks.parts()
    assert parts["configured_silence"] == pytest.approx(500 * MS, abs=1000)
    assert parts["generation"] == pytest.approx(300 * MS, abs=1000)
    assert parts["uplink"] == pytest.approx(20 * MS, abs=1000)  # the filter's delay moves a word into the next frame
    assert [parts[name] for name in ("detection", "response", "playout")] == [0, 0, 0]
    last_word = next(r for r in call.of("audiosocket.received") if r.t_ns >= turn.marks.spoken)
    first_frame = call.of("playout.started")[0]
    assert turn.marks.whole_ns == first_frame.t_ns - last_word.t_ns


@pytest.mark.parametrize(("up_s", "down_s"), [(0.1, 0.0), (0.0, 0.1), (0.15, 0.05)])
async def test_a_slow_network_is_in_the_part_it_belongs_to(
    make_call: CallMaker, autojump_clock: Any, up_s: float, down_s: float
) -> None:
    """The way there and back is in the detection of the turn's end alone, and the acknowledgement took as long."""
    network = Network(outgoing=Direction(delay_s=up_s), incoming=Direction(delay_s=down_s))
    call = await make_call(HELLO_AND_WAIT, shape=lambda stream, nursery: NetworkStream(stream, network, nursery))
    read = read_call(log_of(call))
    (turn,) = read.accounts.caller.turns
    parts = turn.marks.parts()
    assert parts["detection"] == pytest.approx((up_s + down_s) * 1e9, abs=20 * MS)
    assert parts["configured_silence"] == pytest.approx(500 * MS, abs=20 * MS)
    assert (parts["response"], parts["generation"]) == pytest.approx((0, 300 * MS), abs=MS)
    assert latencies(read)["acknowledgement"].max_ms == pytest.approx((up_s + down_s) * 1000, abs=1)


@pytest.mark.parametrize(
    ("lost", "unknown"),
    [
        ("playout.started", ["playout"]),
        ("response.created", ["response", "generation"]),
        ("input_audio_buffer.append", ["uplink", "configured_silence", "detection"]),
        ("audiosocket.received", ["uplink"]),
        ("session.updated", ["uplink", "configured_silence"]),
    ],
)
async def test_a_turn_with_a_missing_mark_is_listed_as_unknown(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path, lost: str, unknown: list[str]
) -> None:
    """A turn is never left out for want of a record: it counts as unknown, with the parts that are missing."""
    call = await make_call(HELLO_AND_WAIT)
    read = read_call(write_records(tmp_path / "lost.jsonl", edited(call.records, without(lost))))
    (turn,) = read.accounts.caller.turns
    assert set(unknown) <= set(turn.marks.missing)
    assert (latencies(read)["turn"].count, latencies(read)["turn"].unknown) == (0, 1)


def test_a_plain_log_knows_the_parts_it_has_marks_for(tmp_path: Path) -> None:
    """Without a leg and a playout in the log: response and generation are known, turn and playout are not."""
    log = PlainLog()
    log.configure(ga_session())
    path = conversation(log).write(tmp_path / "plain.jsonl")
    found = latencies(read_call(path))
    assert (found["response"].median_ms, found["generation"].median_ms, found["first_audio"].median_ms) == (
        20,
        400,
        420,
    )
    assert [(found[name].count, found[name].unknown) for name in ("turn", "uplink", "playout")] == [(0, 5)] * 3


async def test_a_barge_in_is_measured_to_the_last_frame(make_call: CallMaker, autojump_clock: Any) -> None:
    """From speech_started to the cut, which in virtual time is at once; the cut is exact by its frames."""
    call = await make_call(TALK)
    read = read_call(log_of(call))
    (found,) = read.accounts.interruptions.found
    (cut,) = call.data("playout.cut")
    assert found.silence_ns == 0
    assert list(found.played_ms.values()) == [cut["begun"][0]["played_ms"]]
    assert found.written_ms == found.played_ms
    assert [told_ms for _, told_ms, _ in found.truncations] == list(found.played_ms.values())
    assert found.confirmed == 1


async def test_a_turn_with_a_tool_is_answered_by_what_follows_it(make_call: CallMaker, autojump_clock: Any) -> None:
    """The acknowledgement, the greeting and every response are there; a greeting answers nobody."""
    call = await make_call(Script(audio=silence(3000) + tone(1000) + silence(3000)), "greeting")
    turns = overview_of(read_call(log_of(call)))["turns"]
    assert [turn["speaker"] for turn in turns] == ["agent", "caller", "agent"]
    agents = read_call(log_of(call)).accounts.agent.turns
    assert [agent.answers is not None for agent in agents] == [False, True]


def test_a_place_in_the_audio_is_found_by_the_chunks() -> None:
    """The chunk that has the place in it tells its time; beyond what passed, or without sizes, there is none."""
    positions = Positions()
    for number in range(5):
        positions.add(1_000 + number, 20 * MS)
    assert [positions.when(ms * MS) for ms in (0, 1, 20, 21, 100, 101)] == [1_000, 1_000, 1_000, 1_001, 1_004, None]
    assert positions.when(-1) is None
    positions.add(2_000, None)
    assert positions.when(1) is None


def test_a_place_that_passed_too_long_ago_is_unknown() -> None:
    """Only the latest chunks are remembered: an hour of them would fill the memory."""
    positions = Positions()
    for number in range(5_000):
        positions.add(number, 20 * MS)
    assert positions.when(10 * MS) is None
    assert positions.when(5_000 * 20 * MS) == 4_999


@pytest.mark.parametrize(("lost_at_ms", "known"), [(100, True), (2_900, False), (3_200, False), (4_600, True)])
def test_a_loss_moves_the_place_and_makes_it_unsure_for_a_while(lost_at_ms: int, known: bool) -> None:
    """Losses are told once a second, so where a word was read is unknown when one is told within that of its turn."""
    uplink = UplinkMarks()
    marks = Marks(stopped=3_000 * MS)
    for number in range(200):
        uplink.read(number * 20 * MS, 20 * MS)
        if number >= 5:
            uplink.sent(number * 20 * MS, 20 * MS)
    if lost_at_ms <= 3_000:
        uplink.lose(lost_at_ms * MS, 5)
    uplink.mark(marks, 2_900, 500)
    if lost_at_ms > 3_000:
        uplink.lose(lost_at_ms * MS, 5)
    assert (marks.spoken is not None) is known
    if lost_at_ms == 100:
        assert marks.spoken == marks.sent
