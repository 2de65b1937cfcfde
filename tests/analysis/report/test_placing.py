"""Where audio was heard: what jitter, bursts, pauses, drift and cuts make of the frames' times."""

from __future__ import annotations

from collections.abc import Iterable

from voxpipe.analysis.report.placing import AgentPlaces, Frames, Piece, Strange, without_overlaps
from voxpipe.audio import NS_PER_MS, NS_PER_S

RATE_HZ = 8_000
FRAME = 160
FRAME_NS = 20 * NS_PER_MS


def framed(times_ns: Iterable[int]) -> Frames:
    """Frames without a hole in the audio, at these times."""
    frames = Frames()
    for number, t_ns in enumerate(times_ns):
        frames.add(t_ns, number * FRAME, FRAME)
    return frames


def test_jitter_makes_no_pieces() -> None:
    """Frames that come a little late, each by another time, sound as one, from where the most punctual belong."""
    times_ns = [NS_PER_S + n * FRAME_NS + (n * 7 % 15) * NS_PER_MS for n in range(500)]
    assert framed(times_ns).pieces(RATE_HZ) == [Piece(NS_PER_S, 0, 500 * FRAME)]


def test_a_burst_after_a_delay_is_one_piece() -> None:
    """What the network held up for a second and then delivered at once was spoken without a pause."""
    times_ns = [n * FRAME_NS if not 100 <= n < 150 else 150 * FRAME_NS for n in range(400)]
    assert framed(times_ns).pieces(RATE_HZ) == [Piece(0, 0, 400 * FRAME)]


def test_a_pause_begins_a_new_piece() -> None:
    """What is late for good was sent late: there is a silence of just that length between the pieces."""
    times_ns = [n * FRAME_NS + (NS_PER_S if n >= 200 else 0) for n in range(400)]
    assert framed(times_ns).pieces(RATE_HZ) == [
        Piece(0, 0, 200 * FRAME),
        Piece(5 * NS_PER_S, 200 * FRAME, 200 * FRAME),
    ]


def test_a_skip_in_the_audio_begins_a_new_piece() -> None:
    """Samples that no frame has are not heard, however punctual the frames."""
    frames = framed(n * FRAME_NS for n in range(10))
    frames.add(10 * FRAME_NS, 50 * FRAME, FRAME)
    assert frames.pieces(RATE_HZ) == [Piece(0, 0, 10 * FRAME), Piece(10 * FRAME_NS, 50 * FRAME, FRAME)]


def test_clocks_that_drift_apart_stay_within_the_tolerance() -> None:
    """A caller's clock that is a thousandth slow or fast is followed: no sample is placed 100 ms from its frame."""
    for drift in (0.999, 1.001):
        times_ns = [round(NS_PER_S + n * FRAME_NS * drift) for n in range(10_000)]
        pieces = framed(times_ns).pieces(RATE_HZ)
        assert len(pieces) > 2
        for piece in pieces:
            for offset in (piece.offset_samples, piece.offset_samples + piece.samples - 1):
                at_ns = piece.at_ns + (offset - piece.offset_samples) * NS_PER_S // RATE_HZ
                assert abs(at_ns - times_ns[offset // FRAME]) < 100 * NS_PER_MS


def test_pieces_never_overlap_and_none_begins_before_the_call() -> None:
    """Each piece ends where the next begins; what would lie before the call is cut off, and the rest keeps its time."""
    given = [Piece(NS_PER_S, 0, 16_000), Piece(2 * NS_PER_S, 99, 80), Piece(-NS_PER_S, 7, 8_800)]
    pieces = without_overlaps(given, RATE_HZ)
    assert pieces == [Piece(0, 8_007, 800), Piece(NS_PER_S, 0, 8_000), Piece(2 * NS_PER_S, 99, 80)]


def test_no_frames_make_no_pieces() -> None:
    """Nothing was heard of a side that has no frames."""
    assert Frames().pieces(RATE_HZ) == []


def played(places: AgentPlaces, begin_ns: int, frames: int) -> None:
    """Play so many frames of what was begun."""
    for number in range(frames):
        places.take_frame(begin_ns + number * FRAME_NS, FRAME_NS, 24_000)


def test_frames_played_are_looked_up_in_what_came_of_their_item() -> None:
    """An answer whose audio came in two stretches is heard in order, at the time of its playout, and no further."""
    places = AgentPlaces()
    places.take_chunk(0, "one", "r1", 0, 4_800)
    places.take_chunk(0, "two", "r2", 4_800, 480)
    places.take_chunk(0, "one", "r1", 5_280, 4_800)
    places.begin("one")
    played(places, NS_PER_S, 30)  # 600 ms, of which 400 have sound
    places.begin("two")
    played(places, 2 * NS_PER_S, 1)
    assert places.pieces(24_000, {}, played=True) == [
        Piece(NS_PER_S, 0, 4_800),
        Piece(NS_PER_S + 200 * NS_PER_MS, 5_280, 4_800),
        Piece(2 * NS_PER_S, 4_800, 480),
    ]


def test_what_was_played_and_never_came_is_told_apart() -> None:
    """A prompt of ours, or an item that a damaged log lacks, is no piece of the agent's audio but one of its own."""
    places = AgentPlaces()
    played(places, 0, 2)
    places.begin("welcome")
    played(places, NS_PER_S, 5)
    played(places, 3 * NS_PER_S, 1)
    assert places.pieces(24_000, {}, played=True) == []
    assert places.strange == [
        Strange("", 0, 2 * FRAME_NS),
        Strange("welcome", NS_PER_S, NS_PER_S + 5 * FRAME_NS),
        Strange("welcome", 3 * NS_PER_S, 3 * NS_PER_S + FRAME_NS),
    ]


def test_without_playout_an_answer_is_spoken_from_its_first_chunk_on_until_it_is_cut() -> None:
    """Chunks that come faster than they last follow one another; what was due after the cut was not heard."""
    places = AgentPlaces()
    for number in range(4):
        places.take_chunk(NS_PER_S + number * NS_PER_MS, "i", "r", number * 24_000, 24_000)
    pieces = places.pieces(24_000, {"r": 3 * NS_PER_S + NS_PER_S // 2}, played=False)
    assert pieces == [
        Piece(NS_PER_S, 0, 24_000),
        Piece(2 * NS_PER_S, 24_000, 24_000),
        Piece(3 * NS_PER_S, 48_000, 12_000),
    ]
