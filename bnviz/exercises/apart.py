"""Chapter 9: what does the work?"""

import math
from typing import Any

import numpy as np

from bnviz.exercises.answers import Answer, Array, Function, Meets, Number

__all__ = ["EXERCISES"]

_X = np.array([1.0, 3.0, 5.0, 7.0])
_STD = math.sqrt(5)


def _chi(a: float) -> float:
    """Of a leaky ReLU with slope a on the left."""
    square = (1 + a**2) / 2
    return square / (square - (1 - a) ** 2 / (2 * math.pi))


def _names(right: set[str], missed: dict[str, str], extra: dict[str, str]) -> Meets:
    """A set of names; what to say of one that is missing, and of one too many."""
    known = "the names are mean, variance and bn, in a set"

    def is_set(v: Any) -> bool:
        return not isinstance(v, str) and set(v) <= {"mean", "variance", "bn"}

    return Meets(
        [
            (is_set, known),
            *((lambda v, n=name: n not in set(v), why) for name, why in extra.items()),
            *((lambda v, n=name: n in set(v), why) for name, why in missed.items()),
            (lambda v: set(v) == right, "one of the names is missing, or one is too many"),
        ]
    )


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "mean": Array(
            _X - 4,
            within=0.006,
            wrong=[
                ((_X - 4) / _STD, "that is all of BN: do not divide"),
                (_X - 3, "the mean of 1, 3, 5 and 7 is 4"),
            ],
        ),
        "variance": Array(
            _X / _STD,
            within=0.006,
            wrong=[
                ((_X - 4) / _STD, "that is all of BN: do not subtract"),
                (_X / 5, "that is divided by the variance, not by its root"),
                (_X / math.sqrt(20 / 3), "BN divides by m, not by m - 1"),
                (_X / 20**0.5, "the variance is the mean of the squares, not their sum"),
                (_X / 21**0.5, "the variance is taken about the mean, also where that stays in"),
            ],
        ),
        "same_when_shifted": _names(
            {"mean", "bn"},
            {
                "mean": "the mean moves with the values: what does subtracting it leave?",
                "bn": "all of BN subtracts the mean, too",
            },
            {"variance": "the spread does not see a shift, but nobody takes it out of the values"},
        ),
        "same_when_doubled": _names(
            {"variance", "bn"},
            {
                "variance": "values and spread are both doubled: what is their ratio?",
                "bn": "all of BN divides by the spread, too",
            },
            {"mean": "nothing divides there: deviations from the mean are doubled"},
        ),
    },
    "2": {
        "chi": Function(
            _chi,
            cases=[(0.0,), (0.3,), (1.0,), (-1.0,)],
            within=1e-9,
            wrong=[
                (
                    lambda a: 1.0,
                    "E[phi^2] stands in your denominator; the variance is less by the squared mean",
                ),
                (
                    lambda a: ((1 + a**2) / 2) / ((1 + a**2) / 2 - (1 + a) ** 2 / (2 * math.pi)),
                    "the left half has a negative mean: the two halves of it are subtracted",
                ),
                (
                    lambda a: ((1 + a) / 2) ** 2 * _chi(a) / ((1 + a**2) / 2),
                    "it is the mean of the squared slope, not the square of its mean",
                ),
                (lambda a: _chi(a) ** 0.5, "that is the factor of the norm; chi is its square"),
            ],
        ),
        "layers": Number(
            37,
            wrong={
                36: "so many are still within a thousand: 1.2112^36 is about 991",
                19: "chi is the factor of the squared norm",
                18: "chi is the factor of the squared norm",
            },
        ),
    },
    "3": {
        "loss": Number(
            0, within=1e-6, wrong={16: "BN's outputs, not its inputs", 4: "not the sum"}
        ),
        "true": Number(
            0,
            within=0.006,
            wrong={1 / _STD: "so it is with constants; what is the loss for other inputs?"},
        ),
        "detached": Number(
            1 / _STD,
            within=0.006,
            wrong={
                0: "so it would be with the gradient through mu and sigma",
                0.2: "that is divided by the variance, not by its root",
                1: "sigma is a constant, but it still divides",
                4 / _STD: "one input reaches one output only, if mu and sigma are constants",
            },
        ),
        "moved": Number(
            0,
            within=0.006,
            wrong={
                -0.1 / 5: "so it would be with the old mean; the next pass measures it anew",
                -0.1 / _STD: "that is how far the input moves",
            },
        ),
    },
    "4": {
        "before": Number(
            16.01,
            within=0.006,
            wrong={
                16: "that is the mean's part; the spread adds something in the same direction",
                0.26: "64 inputs share the direction of the mean: what is its squared length?",
                16.64: "that is the sum of all eigenvalues",
                32.01: "the squared length of the mean is 64 times 0.5 squared",
            },
        ),
        "after": Number(
            0.01,
            within=1e-6,
            wrong={0.64: "that is the sum of all 64", 0.1: "that is a standard deviation"},
        ),
        "factor": Number(
            1601, within=1, wrong={1 / 1601: "the other way round: who may take larger steps?"}
        ),
    },
}
