"""Chapter 7: the batch."""

from math import sqrt
from typing import Any

import numpy as np

from bnviz.exercises.answers import Answer, Choice, Function, Number

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_features = 2 + 3 * _rng.standard_normal((12, 5))
_sequences = 1 + _rng.standard_normal((4, 6, 3))  # (m, L, d)
_lengths = np.array([6, 3, 2, 5])
_mask = np.arange(6) < _lengths[:, None]  # (m, L)


def _ghosts(x: Any, g: int) -> Any:
    """Groups of g examples in a row, each normalised by itself."""
    parts = np.asarray(x).reshape(-1, g, np.shape(x)[1])  # (m / g, g, d)
    mean, var = parts.mean(1, keepdims=True), parts.var(1, keepdims=True)
    return ((parts - mean) / np.sqrt(var + 1e-5)).reshape(np.shape(x))


def _strided(x: Any, g: int) -> Any:
    """The mistake: every (m / g)-th example makes a group."""
    x = np.asarray(x)
    parts = x.reshape(g, -1, x.shape[1])
    mean, var = parts.mean(0, keepdims=True), parts.var(0, keepdims=True)
    return ((parts - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)


def _merged(counts: Any, means: Any, variances: Any) -> Any:
    """Mean and biased variance of all values, from those of the devices."""
    n, mu, var = (np.asarray(v, float) for v in (counts, means, variances))
    mean = (n * mu).sum() / n.sum()
    return np.array([mean, (n * (var + mu**2)).sum() / n.sum() - mean**2])


def _plain_average(counts: Any, means: Any, variances: Any) -> Any:
    return np.array([np.mean(means), np.mean(variances)])


def _within_only(counts: Any, means: Any, variances: Any) -> Any:
    n = np.asarray(counts, float)
    return np.array([(n * means).sum() / n.sum(), (n * variances).sum() / n.sum()])


def _unweighted(counts: Any, means: Any, variances: Any) -> Any:
    return _merged(np.ones(len(counts)), means, variances)


def _masked(x: Any, mask: Any) -> Any:
    """Statistics of the real positions; 0 where there is none."""
    x, real = np.asarray(x), np.asarray(mask, bool)
    mean, var = x[real].mean(0), x[real].var(0)
    return np.where(real[..., None], (x - mean) / np.sqrt(var + 1e-5), 0.0)


def _zeros_count(x: Any, mask: Any) -> Any:
    x, real = np.asarray(x), np.asarray(mask, bool)[..., None]
    x = np.where(real, x, 0.0)
    mean, var = x.mean((0, 1)), x.var((0, 1))
    return np.where(real, (x - mean) / np.sqrt(var + 1e-5), 0.0)


def _left_in(x: Any, mask: Any) -> Any:
    x, real = np.asarray(x), np.asarray(mask, bool)
    return (x - x[real].mean(0)) / np.sqrt(x[real].var(0) + 1e-5)


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "batch": Number(
            64,
            wrong={
                32: "that is one for each example; who shares a mean in BN?",
                2048: "that is one for each example and channel",
                4096: "that is one for each channel and position",
            },
        ),
        "layer": Number(
            32,
            wrong={64: "that is one for each channel", 1: "each example has a mean of its own"},
        ),
        "group": Number(
            256,
            wrong={
                8: "each example has groups of its own",
                64: "count the groups of all examples",
                512: "8 groups, not groups of 4",
            },
        ),
        "instance": Number(
            2048,
            wrong={64: "each example has means of its own", 32: "each channel has its own"},
        ),
    },
    "2": {
        "ghosts": Function(
            _ghosts,
            cases=[(_features, 4), (_features, 3), (_features, 12)],
            within=1e-6,
            wrong=[
                (lambda x, g: _ghosts(x, len(x)), "this is one group: the whole batch"),
                (_strided, "neighbours in the batch make a group here; this takes every k-th"),
            ],
        ),
        "noise_like": Choice(
            "a batch of g",
            wrong={
                "a batch of m": "each mean is over g values",
                "a batch of m / g": "m / g is the number of groups",
            },
        ),
    },
    "3": {
        "half": Number(
            2 * sqrt(1e-5 / 3),
            within=2e-5,
            wrong={
                sqrt(1e-5): "solve x_hat = d / sqrt(d^2 + 4 eps) for d",
                sqrt(1e-5 / 3): "that is half the difference; d is the whole",
                2 * sqrt(1e-5): "there x_hat is 0.71; solve d / sqrt(d^2 + 4 eps) = 1/2",
            },
        ),
        "one": Choice(
            "beta",
            wrong={
                "an error": "PyTorch refuses it, the formula does not: what is x - mu?",
                "gamma": "x - mu is 0, so that gamma multiplies 0",
                "plus or minus gamma": "that is a batch of two",
                "x": "x is its own mean, and it is subtracted",
            },
        ),
    },
    "4": {
        "merge": Function(
            _merged,
            cases=[
                (np.array([8.0, 8.0]), np.array([0.0, 2.0]), np.array([1.0, 1.0])),
                (np.array([30.0, 2.0]), np.array([1.0, 5.0]), np.array([2.0, 0.5])),
            ],
            within=1e-9,
            wrong=[
                (
                    _plain_average,
                    "two averages: devices with more examples count more, and what is between "
                    "their means is missing in the variance",
                ),
                (_within_only, "the variance lacks what lies between the means of the devices"),
                (_unweighted, "a device with more examples counts more"),
            ],
        ),
    },
    "5": {
        "masked": Function(
            _masked,
            cases=[(_sequences, _mask)],
            within=1e-6,
            wrong=[
                (_zeros_count, "the padding is in the statistics, as zeros"),
                (_left_in, "the statistics are right; what is padding must come out as 0"),
                (
                    lambda x, mask: _masked(x, np.ones_like(mask)),
                    "the mask is not used: what stands behind the end is averaged, too",
                ),
            ],
        ),
    },
}
