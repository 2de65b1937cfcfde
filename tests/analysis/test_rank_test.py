"""The rank test, against values worked out by hand or published, and the correction for asking often."""

from __future__ import annotations

import itertools

import pytest

from voxpipe.analysis.rank_test import holm, rank_p


def by_counting(a: list[float], b: list[float]) -> float:
    """Go through every way to deal the values out, and count those at least as far from even."""
    values = [*a, *b]
    even = len(a) * len(b) / 2

    def far(chosen: tuple[int, ...]) -> float:
        rest = [values[i] for i in range(len(values)) if i not in chosen]
        return abs(sum(values[i] > other for i in chosen for other in rest) - even)

    every = [far(chosen) for chosen in itertools.combinations(range(len(values)), len(a))]
    return sum(one >= far(tuple(range(len(a)))) for one in every) / len(every)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]),
        ([1.0, 5.0, 3.0, 9.0], [2.0, 6.0, 7.0, 8.0, 4.0]),
        ([9.0, 8.0, 7.0, 1.0, 2.0], [3.0, 4.0, 5.0, 6.0]),
    ],
)
def test_small_samples_are_counted_out(a: list[float], b: list[float]) -> None:
    """Without ties p is the share of all orders that are at least as uneven; sides may be swapped."""
    assert rank_p(a, b) == pytest.approx(by_counting(a, b))
    assert rank_p(b, a) == pytest.approx(by_counting(a, b))


def test_ties_and_large_samples_take_the_normal_distribution() -> None:
    """With the variance that ties leave and half a step of continuity; 1 where all values are the same.

    30 against 30 that are 10.5 higher: U is 190, of a mean of 450 and a variance of 4 575, so z is 3.837.
    """
    assert rank_p([1.0] * 10 + [2.0] * 10, [1.0] * 10 + [2.0] * 10) == pytest.approx(1.0)
    assert rank_p([3.0] * 8, [3.0] * 8) == 1.0
    apart = rank_p([float(i) for i in range(30)], [float(i) + 10.5 for i in range(30)])
    assert apart == pytest.approx(1.247e-4, rel=0.001)


def test_few_values_tell_nothing() -> None:
    """Three against three have p of 0.1 at best, so that nothing is said."""
    assert rank_p([1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]) is None
    assert rank_p([], []) is None


def test_asking_often_costs() -> None:
    """Holm: the smallest p is raised by the count, the next by one less, and none falls below the one before."""
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
