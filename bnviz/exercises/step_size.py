"""Chapter 8: step size in disguise."""

import math

from bnviz.exercises.answers import Answer, Choice, Function, Number

__all__ = ["EXERCISES"]

_RATE, _DECAY = 0.1, 0.0005
_TURN = math.degrees(math.acos(1 - _RATE * _DECAY))
_GROWN = math.cos(math.radians(1)) ** -1000  # length after 1000 turns of one degree


def _length(rate: float, decay: float, size: float) -> float:
    return (rate * size**2 / (2 * decay - rate * decay**2)) ** 0.25


def _rate(t: float, rate: float, decay: float) -> float:
    return rate * (1 - rate * decay) ** (-2 * t - 1)


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "turn": Number(
            _TURN,
            within=0.005,
            wrong={
                math.radians(_TURN): "that is in radians",
                math.degrees(_RATE * _DECAY): "the turn goes with the root of rate times decay",
                math.degrees(math.sqrt(_RATE * _DECAY)): "a factor under the root is missing",
            },
        ),
        "steps": Number(
            1 / (4 * _RATE * _DECAY),
            within=1,
            wrong={
                1 / (2 * _RATE * _DECAY): "that is for the square of the length",
                1 / (_RATE * _DECAY): "the fourth power of the length settles four times as fast",
            },
        ),
    },
    "2": {
        "settled_length": Function(
            _length,
            cases=[(0.1, 0.0005, 1.0), (0.3, 0.01, 4.0), (1.0, 0.1, 0.5)],
            within=1e-6,
            wrong=[
                (
                    lambda rate, decay, size: (rate * size**2 / (2 * decay)) ** 0.25,
                    "good to first order in rate times decay; the exact one has a second term",
                ),
                (
                    lambda rate, decay, size: _length(rate, decay, size) ** 2,
                    "that is the square of the length",
                ),
                (
                    lambda rate, decay, size: _length(rate, decay, size) ** 4,
                    "that is its fourth power",
                ),
                (
                    lambda rate, decay, size: _length(rate, decay, size**0.5),
                    "the step has the length rate * size / |W|; its square counts",
                ),
            ],
        )
    },
    "3": {
        "at_once": Number(
            0.1,
            within=1e-6,
            wrong={
                math.sqrt(0.1): "that is where it ends; the length has not moved yet",
                1.0: "the turn of a step is rate times |g~| / |W|^2",
            },
        ),
        "in_the_end": Number(
            math.sqrt(0.1),
            within=0.005,
            wrong={
                0.1: "by then the length has shrunk; what is the turn in equilibrium?",
                1.0: "the decay is the same, the rate is not",
            },
        ),
        "length": Number(
            0.1**0.25,
            within=0.005,
            wrong={
                math.sqrt(0.1): "that is the square of the length",
                0.1: "that is its fourth power",
                1.0: "the equilibrium depends on the rate",
            },
        ),
    },
    "4": {
        "longer": Number(
            _GROWN,
            within=0.002,
            wrong={
                1.0: "a turn without decay makes W longer, always",
                1 / _GROWN: "the other way round: without decay W can only grow",
                math.log(_GROWN): "that is the logarithm of the factor",
            },
        ),
        "decay_for_it": Number(
            1 - math.cos(math.radians(1)),
            within=2e-6,
            wrong={
                math.radians(1): "that is the angle itself; which rate times decay pays for it?",
                math.radians(1) ** 2: "half of it",
            },
        ),
    },
    "5": {
        "rate_at": Function(
            _rate,
            cases=[(0, 0.1, 0.01), (10, 0.1, 0.03), (200, 0.3, 0.01)],
            within=1e-6,
            wrong=[
                (
                    lambda t, rate, decay: rate * (1 - rate * decay) ** (-2 * t),
                    "one factor more: it divides by the shrinkage before the step and after it",
                ),
                (
                    lambda t, rate, decay: rate * (1 - rate * decay) ** (-t),
                    "the gradient is divided by the length, and so is the step: count both",
                ),
                (
                    lambda t, rate, decay: rate * (1 - rate * decay) ** (2 * t + 1),
                    "it grows",
                ),
            ],
        ),
        "also_invariant": Choice(
            "gamma and beta together",
            wrong={
                "gamma alone": "beta would not follow: ReLU(2 gamma x + beta) is no multiple",
                "beta alone": "that moves the kink of the ReLU",
                "the last layer": "nothing normalises what it puts out",
            },
        ),
    },
}
