"""Whether two samples differ by more than chance: the Mann-Whitney U test, and Holm's correction for asking often.

Mann and Whitney, "On a test of whether one of two random variables is stochastically larger than the other" (1947);
Holm, "A simple sequentially rejective multiple test procedure" (1979).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

SMALLEST = 4
"""Three against three have p = 0.1 at best."""
EXACT = 20
"""Up to so many on the larger side, and without ties, the distribution of U is counted out."""


def rank_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """How probable it is, two-sided, that samples of one distribution differ so much; ``None`` for fewer than 4."""
    if min(len(a), len(b)) < SMALLEST:
        return None
    ties = Counter([*a, *b])
    ordered = sorted(b)
    u = sum((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in a)
    lower = min(u, len(a) * len(b) - u)
    if max(ties.values()) == 1 and max(len(a), len(b)) <= EXACT:
        counts = _counts(len(a), len(b))
        return min(1.0, 2 * sum(counts[: int(lower) + 1]) / sum(counts))
    total = len(a) + len(b)
    tied = sum(count**3 - count for count in ties.values()) / (total * (total - 1))
    variance = len(a) * len(b) / 12 * (total + 1 - tied)
    if variance == 0:
        return 1.0
    z = max(0.0, len(a) * len(b) / 2 - lower - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _counts(first: int, second: int) -> list[int]:
    """In how many orders of two samples U is 0, 1, ...: the coefficients of a Gaussian binomial."""
    counts = [1] + [0] * (first * second)
    for size in range(1, first + 1):
        for index in range(len(counts) - 1, second + size - 1, -1):
            counts[index] -= counts[index - second - size]
        for index in range(size, len(counts)):
            counts[index] += counts[index - size]
    return counts


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Raise each p so that with all of them asked at once one in so many is chance; ``None`` stays."""
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    raised: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for place, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - place)))
        raised[index] = highest
    return raised
