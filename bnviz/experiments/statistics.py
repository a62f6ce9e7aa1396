"""What a comparison of two contenders says, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Effect", "effect", "effect_on_best", "expected_best", "steps_to"]

CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Effect:
    """A paired difference, ours less theirs.

    Attributes:
        mean: of the differences, one for each seed.
        low, high: ends of its 95 % interval.
        wins, losses: seeds in which ours is larger, smaller.
        p: of the two-sided sign test: how often a fair coin falls at least so much to one side.
    """

    mean: float
    low: float
    high: float
    wins: int
    losses: int
    p: float


def effect(ours: Sequence[float], theirs: Sequence[float]) -> Effect:
    """Compare two contenders that ran with the same seeds.

    The interval is the bias-corrected and accelerated bootstrap of the mean difference (Efron,
    1987). Where all differences are equal there is nothing to resample, and it is that one number.

    Args:
        ours, theirs: (seeds,), any unit, in the order of the seeds.

    Raises:
        ValueError: fewer than two seeds, not as many on both sides, or a number that is not finite.

    >>> effect([0.9, 0.8, 0.95], [0.7, 0.6, 0.75]).wins
    3
    """
    a, b = _pairs(ours, theirs)
    differences = a - b
    mean = float(differences.mean())
    low = high = mean
    # less than what rounding makes of equal ones
    if np.ptp(differences) > 4 * np.finfo(float).eps * np.abs([a, b]).max():
        found = stats.bootstrap(
            (differences,),
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = float(found.low), float(found.high)
    return Effect(mean, low, high, *_signs(differences))


def _pairs(ours: Sequence[float], theirs: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(
            f"two rows of equal length, at least 2, got {a.shape} and {b.shape}: run both "
            "contenders with the same seeds"
        )
    if not np.isfinite([a, b]).all():
        raise ValueError("a score is not finite: say what a run that diverged counts as")
    return a, b


def _signs(differences: np.ndarray) -> tuple[int, int, float]:
    """Wins, losses and the p of the sign test; ties tell nothing about the sign."""
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    p = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    return wins, losses, float(p)


def expected_best(scores: Sequence[float], trials: int) -> float:
    """The mean of the best of so many trials, drawn from these without putting back.

    The k-th smallest of n is the best of m in comb(k - 1, m - 1) / comb(n, m) of all draws (Dodge
    and others, "Show Your Work", 2019, who put back; without that nothing is counted twice).

    Args:
        scores: (n,), any unit, larger is better.
        trials: m, from 1 to n.

    Raises:
        ValueError: for more trials than scores, or fewer than one.

    >>> round(expected_best([1.0, 2.0, 3.0], 2), 6)
    2.666667
    """
    return float(np.sort(scores) @ _of_the_best(len(scores), trials))


def _of_the_best(n: int, trials: int) -> np.ndarray:
    """(n,): how often the k-th smallest of n is the best of so many."""
    if not 1 <= trials <= n:
        raise ValueError(f"trials must be 1 to {n}, the number of scores, got {trials}")
    # that all of them are among the k smallest
    among = stats.hypergeom.pmf(trials, n, np.arange(n + 1), trials)
    return np.diff(among)


def effect_on_best(ours: Sequence[float], theirs: Sequence[float], trials: int) -> Effect:
    """Compare what two contenders may expect of a search with so many trials.

    The interval is the percentile bootstrap over the trials, drawn in pairs: a different search of
    as many points would have given a difference within it. Wins are trials.

    Args:
        ours, theirs: (trials,), validation scores at the same points of both search spaces.

    Raises:
        ValueError: as in `effect` and `expected_best`.

    >>> effect_on_best([0.9, 0.8, 0.9], [0.2, 0.1, 0.9], 1).wins
    2
    """
    a, b = _pairs(ours, theirs)
    weights = _of_the_best(len(a), trials)
    drawn = np.random.default_rng(0).integers(len(a), size=(RESAMPLES, len(a)))
    found = (np.sort(a[drawn], axis=1) - np.sort(b[drawn], axis=1)) @ weights
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    mean = (np.sort(a) - np.sort(b)) @ weights
    return Effect(float(mean), float(low), float(high), *_signs(a - b))


def steps_to(curve: Sequence[float], steps: Sequence[int], target: float) -> int | None:
    """The first step at which a curve has reached a target, and None where it never does.

    Args:
        curve: scores at some steps, larger is better.
        steps: these steps, ascending.

    >>> steps_to([0.5, 0.9, 0.8], [10, 20, 30], 0.85)
    20
    """
    return next((s for s, score in zip(steps, curve, strict=True) if score >= target), None)
