"""Streaming polyphase resampler for 16-bit mono audio. Built from dsp/resample.pyx; figures in dsp/README.md."""

from typing import final

from voxpipe.dsp.buffer import Buffer

def design(source_hz: int, target_hz: int) -> tuple[int, int, int, float]:
    """Return the filter of a pair of different rates: ``(phases, step, half, beta)``.

    ``2 * half + 1`` taps at ``phases * source_hz``, a sinc with its half-gain point at half the lower rate under a
    Kaiser window of parameter ``beta``; every ``step``-th of its outputs is kept. Any other pair is an ``AudioError``.
    """

def paths() -> tuple[str, ...]:
    """Name the instruction sets that this build has loops for and this machine can run, slowest first."""

def use_path(name: str) -> None:
    """Run the loops of one instruction set from now on, in every resampler of the process.

    The fastest is chosen at import; all of them give the same bytes. Not to be called while another thread resamples.
    A name that is not among :func:`paths` is a ``ValueError``.
    """

@final
class Resampler:
    """Takes samples at one rate and returns them at another, as a stream; one object a direction.

    Input and output are 16-bit little-endian mono samples. After n input samples :meth:`process` has returned
    ``max(0, ceil(n * target / source) - delay_samples)`` samples in all, whatever the chunks were, and :meth:`flush`
    returns the rest of ``ceil(n * target / source)``. Output sample 0 belongs to the same instant as input sample 0:
    the delay shows as samples that come later, never as silence put in front. The same input gives the same bytes for
    any chunking. Equal rates pass through, without a filter and without delay.

    Nothing is allocated after construction but the result. A rate that is none of ``LINEAR_RATES_HZ`` is an
    ``AudioError``.
    """

    def __new__(cls, source_hz: int, target_hz: int) -> Resampler: ...
    @property
    def source_hz(self) -> int:
        """Rate of the input in Hz."""
    @property
    def target_hz(self) -> int:
        """Rate of the output in Hz."""
    @property
    def delay_samples(self) -> int:
        """Group delay in samples at the target rate; a whole number, by design."""
    @property
    def delay_s(self) -> float:
        """Group delay in seconds: at most 2.75 ms if the lower rate is 8 kHz, 2 ms from 12 kHz up."""
    def process(self, data: Buffer) -> bytes:
        """Take 2 n bytes (n samples) and return every sample that can be computed from the input so far.

        Half a sample is an ``AudioError``, and none of the chunk is taken.
        """
    def flush(self) -> bytes:
        """Return the samples still owed, as if silence followed the input, and reset."""
    def reset(self) -> None:
        """Forget the stream: the next sample is the first of a new one. What was owed is lost."""
