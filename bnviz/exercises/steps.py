"""Chapter 2: the computation, step by step."""

from math import sqrt

import numpy as np

from bnviz.exercises.answers import Answer, Array, Choice, Function, Judge, Meets, Number
from bnviz.maths import batchnorm

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_levels = _rng.normal(0, 5, 6) + _rng.normal(0, [1, 2, 3, 1, 2, 3], (40, 6))  # (m, d)
_maps = _rng.normal(0, 1, (4, 3, 5, 2)) + np.array([-3.0, 0.0, 4.0])[:, None, None]  # (m, c, h, w)


def _per_feature(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / x.std(0)


def _normalise_4d(maps: np.ndarray) -> np.ndarray:
    ones = np.ones(maps.shape[1])
    return batchnorm.forward(maps, ones, 0 * ones)[0]


def _flattened(maps: np.ndarray) -> np.ndarray:
    """Each place of a map taken for a feature."""
    rows = maps.reshape(len(maps), -1)
    return _per_feature(rows).reshape(maps.shape)


def _reshaped_only(maps: np.ndarray) -> np.ndarray:
    """Channels taken for the last axis without moving them there."""
    return _per_feature(maps.reshape(-1, maps.shape[1])).reshape(maps.shape)


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "x_hat": Array(
            np.array([-2.0, -1.0, 0.0, 3.0]) / sqrt(3.5),
            within=0.006,  # two decimals
            wrong=[
                (np.array([-2.0, -1.0, 0.0, 3.0]) / sqrt(14 / 3), "BN divides by m, not by m - 1"),
                (np.array([-2.0, -1.0, 0.0, 3.0]) / 3.5, "that is divided by the variance"),
                (np.array([-2.0, -1.0, 0.0, 3.0]), "centred, but not yet scaled"),
            ],
        ),
        "gamma_beta": Meets(
            [
                (lambda pair: len(pair) == 2, "two numbers are wanted"),
                (
                    lambda pair: abs(pair[1] - 5) < 1e-6,
                    "beta is the mean of the output, whatever gamma is",
                ),
                (
                    lambda pair: abs(abs(pair[0]) - 2) < 1e-6,
                    "gamma is the standard deviation of the output, up to its sign",
                ),
            ]
        ),
    },
    "2": {
        "is_normalised": Judge(
            accepts=[(_per_feature(_levels), "it refuses a batch that is normalised")],
            refuses=[
                (
                    (_levels - _levels.mean()) / _levels.std(),
                    "it accepts what the colleague computes: look at each feature by itself",
                ),
                (
                    _levels - _levels.mean(0),
                    "it accepts features that are centred but have other spreads than 1",
                ),
                (
                    _levels / _levels.std(0),
                    "it accepts features whose spread is 1 but whose mean is not 0",
                ),
                (
                    _per_feature(_levels) * np.array([1, 1, 1, -1, -1, 1.3]),
                    "it accepts a batch of which one feature has a spread of 1.3",
                ),
            ],
        )
    },
    "3": {
        "means": Number(
            16, wrong={32: "not one for each example", 784: "the places of a map share theirs"}
        ),
        "values_each": Number(
            32 * 28 * 28,
            wrong={
                32: "the places of a map are pooled too",
                28 * 28: "the examples of the batch are pooled too",
                32 * 16 * 28 * 28: "the channels are not pooled",
            },
        ),
        "parameters": Number(
            32, wrong={16: "there is a gamma and a beta", 64: "running values are not learned"}
        ),
        "bn_4d": Function(
            _normalise_4d,
            cases=[(_maps,)],
            within=1e-4,  # with eps or without
            wrong=[
                (_flattened, "each place has statistics of its own here; they belong to a channel"),
                (
                    _reshaped_only,
                    "reshape does not move an axis: the rows mix channels; transpose first",
                ),
            ],
        ),
    },
    "4": {
        "output": Choice(
            "beta",
            wrong={
                "the input": "what is subtracted from a single value?",
                "gamma": "gamma is multiplied by x_hat. How large is that?",
                "zero": "that is x_hat; two steps are missing",
                "nan": "the variance is 0, but eps stands beside it",
            },
        )
    },
    "5": {
        "share": Number(
            sqrt((1437 - 256) / 1436),
            within=0.005,
            wrong={
                1.0: "that is the answer for draws with replacement",
                (1437 - 256) / 1436: "that is the ratio of the variances",
                sqrt(256 / 1437): "that is the root of the share that is drawn",
            },
        )
    },
}
