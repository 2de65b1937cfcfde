"""The playout accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.audio import SLIN8
from voxpipe.sansio.ledger import Ledger, Part, PartCut

A = Part("resp_a", "item_1", 0)
B = Part("resp_a", "item_2", 0)
C = Part("resp_c", "item_3", 0)
FRAME = SLIN8.frame_samples


def audio(samples: int, value: int = 1) -> bytes:
    """So many samples of one value."""
    return value.to_bytes(2, "little") * samples


@pytest.fixture
def ledger() -> Ledger:
    """An empty ledger of a slin8 leg, bounded at ten seconds."""
    return Ledger(SLIN8, limit_samples=80_000)


def play(ledger: Ledger, frames: int) -> list[bytes]:
    """Play so many frames."""
    played = []
    for _ in range(frames):
        frame = ledger.take()
        assert frame is not None
        ledger.mark_played(frame)
        played.append(frame.audio)
    return played


def test_chunks_become_frames_in_order(ledger: Ledger) -> None:
    """Chunks of any length come out as whole frames, in order, across parts."""
    ledger.add(A, audio(100, 1), 0)
    assert ledger.take() is None
    ledger.add(A, audio(100, 2), 0)
    ledger.add(B, audio(200, 3), 0)
    first, second = play(ledger, 2)
    assert first == audio(100, 1) + audio(60, 2)
    assert second == audio(40, 2) + audio(120, 3)
    assert ledger.waiting_samples == 80


def test_the_last_frame_is_filled_up_only_where_the_answer_ends(ledger: Ledger) -> None:
    """A part of a frame waits inside an answer and is filled up with silence at its end."""
    ledger.add(A, audio(200), 0)
    assert play(ledger, 1) == [audio(160)]
    assert not ledger.ready
    assert ledger.take() is None
    ledger.finish("resp_a", 0)
    assert ledger.ready
    assert play(ledger, 1) == [audio(40) + audio(120, 0)]
    assert not ledger.speaking
    assert ledger.statistics().padding_samples == 120


def test_a_cut_tells_what_was_played_of_each_part(ledger: Ledger) -> None:
    """Played counts after the write; begun and unbegun parts are told apart, and all that waits is dropped."""
    ledger.add(A, audio(240), 0)
    ledger.add(B, audio(320), 0)
    ledger.add(C, audio(160), 0)
    play(ledger, 2)
    point = ledger.cut()
    assert point.begun == (PartCut(A, 240, 240, 30), PartCut(B, 80, 320, 10))
    assert point.unbegun == (C,)
    assert point.dropped_samples == 240 + 160
    assert ledger.take() is None
    assert not ledger.speaking


def test_a_frame_under_way_at_the_cut_belongs_to_a_begun_part(ledger: Ledger) -> None:
    """A part whose first frame is being written is truncated at what was played, not deleted as unheard."""
    ledger.add(A, audio(480), 0)
    frame = ledger.take()
    assert frame is not None
    assert frame.begins == A
    point = ledger.cut()
    assert point.begun == (PartCut(A, 0, 480, 0),)
    assert point.unbegun == ()
    ledger.mark_played(frame)
    assert ledger.statistics().played_samples == FRAME


def test_audio_from_before_a_cut_is_stale(ledger: Ledger) -> None:
    """Chunks that name an older epoch are refused and counted."""
    ledger.add(A, audio(160), 0)
    assert ledger.cut().epoch == 1
    assert not ledger.add(A, audio(160), 0)
    ledger.finish("resp_a", 0)
    assert ledger.statistics().stale_samples == 160
    assert ledger.add(C, audio(160), 1)
    assert play(ledger, 1) == [audio(160)]


def test_what_was_heard_to_its_end_is_out_of_reach_of_a_cut(ledger: Ledger) -> None:
    """A part that is complete and played is neither truncated nor deleted, though the response goes on."""
    ledger.add(A, audio(160), 0)
    ledger.complete(A, 0)
    play(ledger, 1)
    ledger.add(B, audio(160), 0)
    point = ledger.cut()
    assert point.begun == ()
    assert point.unbegun == (B,)
    assert point.heard == (A,)


def test_what_was_heard_is_kept_in_mind_only_while_its_response_goes_on(ledger: Ledger) -> None:
    """Neither finished responses nor earlier cuts leave anything behind."""
    for epoch, part in enumerate((A, C)):
        ledger.add(part, audio(160), epoch)
        ledger.complete(part, epoch)
        play(ledger, 1)
        if part is A:
            ledger.finish(part.response_id, epoch)
        assert ledger.cut().heard == (() if part is A else (C,))
    assert ledger.cut().heard == ()


def test_a_full_ledger_refuses_and_counts() -> None:
    """Audio beyond the bound is refused and counted, with the rest of its part; the next part is taken again."""
    ledger = Ledger(SLIN8, limit_samples=300)
    assert ledger.add(A, audio(200), 0)
    assert not ledger.add(A, audio(101), 0)
    assert not ledger.add(A, audio(100), 0)
    assert ledger.add(B, audio(100), 0)
    assert ledger.statistics().overrun_samples == 201
    assert ledger.statistics().peak_waiting_samples == 300


@pytest.mark.parametrize(("before", "expected"), [(160, PartCut(A, 160, 160, 20)), (0, None)])
def test_what_found_no_room_is_told_at_the_next_cut(before: int, expected: PartCut | None) -> None:
    """The caller heard the beginning of the part, or nothing of it, however long ago it was complete."""
    ledger = Ledger(SLIN8, limit_samples=300)
    if before:
        ledger.add(A, audio(before), 0)
    assert not ledger.add(A, audio(301), 0)
    ledger.finish("resp_a", 0)
    while ledger.ready:
        play(ledger, 1)
    assert not ledger.speaking
    assert not ledger.answering
    point = ledger.cut()
    assert point.begun == ((expected,) if expected else ())
    assert point.unbegun == (() if expected else (A,))


def test_an_underrun_is_a_gap_inside_an_answer(ledger: Ledger) -> None:
    """Nothing due before the first frame or after the last is silence; in between it is one underrun a gap."""
    assert ledger.take() is None
    ledger.add(A, audio(160), 0)
    play(ledger, 1)
    assert ledger.take() is None
    assert ledger.take() is None
    ledger.add(A, audio(160), 0)
    play(ledger, 1)
    assert ledger.take() is None
    ledger.finish("resp_a", 0)
    assert ledger.take() is None
    counted = ledger.statistics()
    assert (counted.underruns, counted.underrun_frames) == (2, 3)


def test_the_rest_of_a_response_without_audio_is_no_underrun(ledger: Ledger) -> None:
    """A part that is complete is played to its last sample, though a function call keeps its response going."""
    ledger.add(A, audio(200), 0)
    ledger.complete(A, 0)
    assert play(ledger, 2) == [audio(160), audio(40) + audio(120, 0)]
    assert ledger.take() is None
    assert not ledger.answering
    assert ledger.statistics().underruns == 0
    assert ledger.speaking


def test_half_a_sample_is_refused(ledger: Ledger) -> None:
    """Audio that is not whole samples never enters the accounts."""
    with pytest.raises(Exception, match="expected whole samples of slin8"):
        ledger.add(A, b"\x00" * 3, 0)


script = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([A, B, C]), st.integers(0, 500)),
        st.tuples(st.just("play"), st.none(), st.integers(0, 4)),
        st.tuples(st.just("complete"), st.sampled_from([A, B, C]), st.none()),
        st.tuples(st.just("finish"), st.sampled_from([A, B, C]), st.none()),
        st.tuples(st.just("cut"), st.none(), st.none()),
    ),
    max_size=60,
)


@given(script)
def test_every_sample_is_accounted_for(steps: list[tuple[str, Part | None, int | None]]) -> None:
    """Whatever happens: received = played + dropped + waiting, and a part is never played beyond what was received."""
    ledger = Ledger(SLIN8, limit_samples=2000)
    finished: set[str] = set()
    for action, part, amount in steps:
        if action == "add" and part is not None and part.response_id not in finished:
            ledger.add(part, audio(amount or 0), ledger.epoch)
        elif action == "complete" and part is not None:
            ledger.complete(part, ledger.epoch)
        elif action == "finish" and part is not None:
            finished.add(part.response_id)
            ledger.finish(part.response_id, ledger.epoch)
        elif action == "play":
            for _ in range(amount or 0):
                frame = ledger.take()
                if frame is not None:
                    assert len(frame.audio) == SLIN8.frame_bytes
                    ledger.mark_played(frame)
        elif action == "cut":
            for cut in ledger.cut().begun:
                assert cut.played_samples <= cut.received_samples
                assert cut.played_ms * 8 <= cut.played_samples
            finished.clear()
    counted = ledger.statistics()
    assert counted.received_samples == counted.played_samples + counted.dropped_samples + ledger.waiting_samples
    assert counted.frames * FRAME == counted.played_samples + counted.padding_samples


# --- holds ------------------------------------------------------------------------------------------------------------


def test_a_hold_gives_no_frame_and_loses_none(ledger: Ledger) -> None:
    """While it is held nothing is ready, no gap is an underrun, and more is taken in; then the next frame comes."""
    ledger.add(A, audio(160, 1) + audio(160, 2), 0)
    assert play(ledger, 1) == [audio(160, 1)]
    ledger.hold(True)
    assert not ledger.ready
    assert ledger.take() is None
    assert ledger.speaking
    ledger.add(A, audio(160, 3), 0)
    ledger.hold(False)
    assert ledger.ready
    assert play(ledger, 2) == [audio(160, 2), audio(160, 3)]
    assert ledger.statistics().underruns == 0


def test_a_cut_ends_a_hold(ledger: Ledger) -> None:
    """The cut point of a held answer is what was played; the next answer is not held."""
    ledger.add(A, audio(1600), 0)
    play(ledger, 3)
    ledger.hold(True)
    assert ledger.take() is None
    assert ledger.cut().begun == (PartCut(A, 480, 1600, 60),)
    ledger.add(C, audio(160, 7), 1)
    assert play(ledger, 1) == [audio(160, 7)]


@given(st.lists(st.one_of(st.integers(1, 700), st.sampled_from(["hold", "resume", "take"])), max_size=60))
def test_holds_change_nothing_of_what_is_played(steps: list[int | str]) -> None:
    """However often it is held: every sample is played once and in order, and a cut counts exactly those."""
    ledger = Ledger(SLIN8, limit_samples=80_000)
    given_samples, played = 0, b""
    for step in steps:
        if isinstance(step, int):
            chunk = b"".join((n % 30_000 + 1).to_bytes(2, "little") for n in range(given_samples, given_samples + step))
            assert ledger.add(A, chunk, 0)
            given_samples += step
        elif step != "take":
            ledger.hold(step == "hold")
        elif (frame := ledger.take()) is not None:
            ledger.mark_played(frame)
            played += frame.audio
    everything = b"".join((n % 30_000 + 1).to_bytes(2, "little") for n in range(given_samples))
    assert played == everything[: len(played)]
    heard = [(cut.played_samples, cut.played_ms) for cut in ledger.cut().begun]
    assert heard in ([], [(len(played) // 2, len(played) // 16)])
