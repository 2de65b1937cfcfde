"""The resampler as a stream: what comes out when, and that chunks do not matter. Its sound is in test_quality.py."""

from __future__ import annotations

import copy
import itertools
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.audio import LINEAR_RATES_HZ
from voxpipe.dsp import Resampler, reference
from voxpipe.errors import AudioError

PAIRS = list(itertools.permutations(LINEAR_RATES_HZ, 2))
TELEPHONE_PAIRS = list(itertools.permutations((8_000, 16_000, 24_000, 48_000), 2))
SPEECHLIKE = np.rint(np.random.default_rng(2).normal(0, 9_000, 8_000).clip(-32_768, 32_767)).astype("<i2").tobytes()
KINDS = [Resampler, reference.Resampler]
Kind = type[Resampler] | type[reference.Resampler]


def in_chunks(resampler: Resampler | reference.Resampler, data: bytes, sizes: list[int]) -> bytes:
    """Process data in chunks of so many samples, and then the rest of it."""
    ends = [0, *itertools.accumulate(2 * size for size in sizes), len(data)]
    return b"".join(resampler.process(data[begin:end]) for begin, end in itertools.pairwise(ends))


def samples(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Unpack slin."""
    return np.frombuffer(data, dtype="<i2").astype(np.int64)


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_equals_the_reference_within_one_step(source_hz: int, target_hz: int) -> None:
    """Every pair differs from the double-precision sum of its definition by at most one step of 16 bits."""
    data = SPEECHLIKE[: 2 * (source_hz // 100)]
    compiled, plain = Resampler(source_hz, target_hz), reference.Resampler(source_hz, target_hz)
    ours = samples(compiled.process(data) + compiled.flush())
    expected = samples(plain.process(data) + plain.flush())
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 1
    assert np.count_nonzero(ours != expected) <= 3 + ours.size // 100


@given(
    pair=st.sampled_from(PAIRS),
    sizes=st.lists(st.one_of(st.integers(0, 4), st.integers(0, 600)), max_size=10),
    rest=st.integers(0, 2_500),
)
def test_chunks_do_not_matter(pair: tuple[int, int], sizes: list[int], rest: int) -> None:
    """A stream in chunks of any length equals the same stream at once, byte for byte, for every pair."""
    data = SPEECHLIKE[: 2 * (min(sum(sizes), 5_500) + rest)]
    streamed, whole = Resampler(*pair), Resampler(*pair)
    assert in_chunks(streamed, data, sizes) + streamed.flush() == whole.process(data) + whole.flush()


@pytest.mark.parametrize("pair", [(8_000, 24_000), (24_000, 8_000), (16_000, 24_000), (44_100, 8_000)])
def test_one_sample_at_a_time_equals_all_at_once(pair: tuple[int, int]) -> None:
    """The smallest chunks there are give the same bytes."""
    data = SPEECHLIKE[:3_000]
    assert in_chunks(Resampler(*pair), data, [1] * 1_500) == Resampler(*pair).process(data)


@given(pair=st.sampled_from(PAIRS), sizes=st.lists(st.integers(0, 400), max_size=8))
def test_output_is_counted_by_the_rule(pair: tuple[int, int], sizes: list[int]) -> None:
    """After n samples exactly ceil(n * target / source) less the delay are out, and a flush brings the rest."""
    resampler = Resampler(*pair)
    taken = given_samples = 0
    for size in sizes:
        taken += size
        given_samples += len(resampler.process(SPEECHLIKE[: 2 * size])) // 2
        total = -(-taken * pair[1] // pair[0])
        assert given_samples == max(0, total - resampler.delay_samples)
    assert given_samples + len(resampler.flush()) // 2 == -(-taken * pair[1] // pair[0])


@pytest.mark.parametrize("pair", [(8_000, 24_000), (24_000, 16_000), (44_100, 8_000)])
def test_no_sample_is_held_back(pair: tuple[int, int]) -> None:
    """Each input sample brings out every output whose newest input it is, as the reference counts them."""
    compiled, plain = Resampler(*pair), reference.Resampler(*pair)
    for begin in range(0, 600, 2):
        sample = SPEECHLIKE[begin : begin + 2]
        assert len(compiled.process(sample)) == len(plain.process(sample))


@pytest.mark.parametrize(("source_hz", "target_hz"), TELEPHONE_PAIRS)
def test_delay_is_within_its_budget(source_hz: int, target_hz: int) -> None:
    """At most 3 ms where the lower rate is 8 kHz and 2 ms from 16 kHz up; in whole samples, equal to delay_s."""
    resampler = Resampler(source_hz, target_hz)
    assert 0 < resampler.delay_s <= (0.003 if min(source_hz, target_hz) == 8_000 else 0.002)
    assert resampler.delay_s * target_hz == pytest.approx(resampler.delay_samples, abs=1e-9)


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_an_impulse_comes_out_in_its_place(source_hz: int, target_hz: int) -> None:
    """Through 20 ms chunks an impulse keeps its instant in the stream, and is complete after the stated delay."""
    frame = source_hz // 50
    at = 2 * frame + frame // 2 - frame // 2 % (source_hz // math.gcd(source_hz, target_hz))
    data = np.zeros(5 * frame, dtype="<i2")
    data[at] = 32_000
    resampler = Resampler(source_hz, target_hz)
    out = samples(in_chunks(resampler, data.tobytes(), [frame] * 4))
    assert np.abs(out).argmax() == at * target_hz // source_hz
    # Fed sample by sample, the peak is in hand one delay after the impulse.
    streamed = Resampler(source_hz, target_hz)
    out_samples = fed = 0
    while out_samples <= at * target_hz // source_hz:
        out_samples += len(streamed.process(data[fed : fed + 1].tobytes())) // 2
        fed += 1
    assert resampler.delay_s < (fed - at) / source_hz <= resampler.delay_s + 1.01 / source_hz


@pytest.mark.parametrize("pair", [(8_000, 24_000), (24_000, 8_000), (8_000, 44_100)])
def test_reset_and_flush_begin_a_new_stream(pair: tuple[int, int]) -> None:
    """After either a resampler gives what a new one gives: nothing of the past is heard."""
    expected = Resampler(*pair).process(SPEECHLIKE)
    used = Resampler(*pair)
    used.process(SPEECHLIKE[500:4_000])
    used.reset()
    assert used.process(SPEECHLIKE) == expected
    used.flush()
    assert used.process(SPEECHLIKE) == expected


@pytest.mark.parametrize("kind", KINDS, ids=["compiled", "reference"])
def test_a_fresh_stream_owes_nothing(kind: Kind) -> None:
    """Flushing before anything came returns nothing, as does an empty chunk."""
    resampler = kind(8_000, 24_000)
    assert resampler.process(b"") == resampler.flush() == b""


@pytest.mark.parametrize("rate_hz", LINEAR_RATES_HZ)
@pytest.mark.parametrize("kind", KINDS, ids=["compiled", "reference"])
def test_equal_rates_pass_through(kind: Kind, rate_hz: int) -> None:
    """Without a change of rate there is no filter and no delay."""
    resampler = kind(rate_hz, rate_hz)
    assert resampler.process(SPEECHLIKE) == SPEECHLIKE
    assert resampler.process(bytearray(SPEECHLIKE[:4])) == SPEECHLIKE[:4]
    assert (resampler.flush(), resampler.delay_s, resampler.delay_samples) == (b"", 0.0, 0)


def test_loud_audio_saturates() -> None:
    """A full-scale square wave overshoots in the filter and is held at the ends of the range, never wrapped."""
    square = np.repeat(np.array([32_767, -32_768] * 50, dtype="<i2"), 20)
    out = samples(Resampler(8_000, 24_000).process(square.tobytes()))
    assert (out.min(), out.max()) == (-32_768, 32_767)
    assert np.abs(np.diff(out)).max() < 30_000


def test_a_slice_at_an_odd_address_is_taken() -> None:
    """A view into a larger message needs no alignment and gives the same bytes."""
    expected = Resampler(24_000, 8_000).process(SPEECHLIKE)
    assert Resampler(24_000, 8_000).process(memoryview(b"x" + SPEECHLIKE)[1:]) == expected


@pytest.mark.parametrize("kind", KINDS, ids=["compiled", "reference"])
@pytest.mark.parametrize("pair", [(8_000, 24_000), (8_000, 8_000)])
def test_half_a_sample_is_an_error(kind: Kind, pair: tuple[int, int]) -> None:
    """An odd number of bytes is refused, none of it is taken, and the buffer is given back."""
    resampler = kind(*pair)
    data = bytearray(321)
    with pytest.raises(AudioError, match=r"^expected whole 16-bit samples \(2 bytes each\), got 321 bytes$"):
        resampler.process(data)
    data.append(0)
    assert resampler.flush() == b""


@pytest.mark.parametrize("kind", KINDS, ids=["compiled", "reference"])
@pytest.mark.parametrize("pair", [(11_025, 8_000), (8_000, 11_025)])
def test_a_rate_asterisk_does_not_have_is_an_error(kind: Kind, pair: tuple[int, int]) -> None:
    """The error lists the rates there are and names the one that was asked for."""
    with pytest.raises(AudioError) as caught:
        kind(*pair)
    assert str(caught.value) == (
        "expected a rate of 8000 or 12000 or 16000 or 24000 or 32000 or 44100 or 48000 or 96000 or 192000 Hz, got 11025"
    )


def test_a_stream_cannot_be_copied() -> None:
    """The state is memory of the kernel's own, so copying says no instead of sharing it."""
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(Resampler(8_000, 24_000))


def test_a_long_chunk_lets_other_threads_run_and_none_into_the_stream() -> None:
    """While a long chunk is worked through, another thread runs, and is refused if it touches the same stream."""
    resampler = Resampler(8_000, 48_000)
    minute = bytes(2 * 8_000 * 60)
    working = threading.Thread(target=lambda: [resampler.process(minute) for _ in range(100)])
    working.start()
    refusals = []
    while working.is_alive() and not refusals:
        try:
            resampler.process(b"")
        except RuntimeError as error:
            refusals.append(str(error))
    working.join()
    assert refusals == ["expected one thread at a time in a stream, got another while a chunk was worked through"]


def test_many_threads_with_a_stream_each_do_not_meet() -> None:
    """Streams in threads of their own give what they give alone: the taps they share are never written."""
    data = SPEECHLIKE * 12
    expected = {pair: Resampler(*pair).process(data) for pair in TELEPHONE_PAIRS}
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda pair: (pair, Resampler(*pair).process(data)), TELEPHONE_PAIRS * 4))
    assert all(output == expected[pair] for pair, output in outputs)
