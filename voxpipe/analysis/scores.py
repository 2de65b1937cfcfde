"""Well-known scores of speech, by packages that need not be installed.

- STOI (Taal and others, 2011), intelligibility from 0 to 1, by ``pystoi`` (MIT; needs SciPy): ``voxpipe[quality]``.
- PESQ (ITU-T P.862, narrow band, mapped by P.862.1 to 1 .. 4.55), by ``pesq``, which is used where it is installed. It
  is in no extra, since it is the ITU's C code, whose notice allows it for evaluating PESQ itself, and for anything else
  only under a licence of its owners: whether you have one is yours to know.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from voxpipe.analysis.alignment import Floats

RATE_HZ = 8_000
LONGEST_S = 30
"""P.862 is made for 8 to 30 s, and its C code counts at most 50 utterances."""


@attrs.frozen
class Scores:
    """The scores of at most the first 30 s; ``None`` with the reason in ``missing``."""

    pesq: float | None
    stoi: float | None
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Write the scores as JSON data."""
        return attrs.asdict(self)


def score(reference: Floats, heard: Floats) -> Scores:
    """Score two signals at 8 kHz that are aligned already."""
    reference, heard = (signal[: LONGEST_S * RATE_HZ] for signal in (reference, heard))
    pesq, no_pesq = _pesq(reference, heard)
    stoi, no_stoi = _stoi(reference, heard)
    return Scores(pesq, stoi, tuple(words for words in (no_pesq, no_stoi) if words))


def _pesq(reference: Floats, heard: Floats) -> tuple[float | None, str]:
    try:
        import pesq
    except ImportError:
        return None, "PESQ: the package pesq is not installed (mind its licence)"
    both = [np.clip(np.rint(signal), -32_768, 32_767).astype(np.int16) for signal in (reference, heard)]
    try:
        return float(pesq.pesq(RATE_HZ, both[0], both[1], "nb")), ""
    except (pesq.NoUtterancesError, pesq.BufferTooShortError) as error:
        return None, f"PESQ: {type(error).__name__}"


def _stoi(reference: Floats, heard: Floats) -> tuple[float | None, str]:
    try:
        import pystoi
    except ImportError:
        return None, "STOI: the package pystoi is not installed (python -m pip install 'voxpipe[quality]')"
    if len(reference) < RATE_HZ:  # it takes stretches of 384 ms of what is left without pauses
        return None, "STOI: expected at least 1 s"
    return float(pystoi.stoi(reference, heard, RATE_HZ)), ""
