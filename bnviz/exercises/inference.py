"""Chapter 5: inference with moving averages."""

from typing import Any

import numpy as np
from torch import Tensor

from bnviz.exercises.answers import Answer, Choice, Function, Judge, Meets, Number
from bnviz.maths import broken
from bnviz.maths.checks import CHECKS

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_layers = _rng.uniform(0.2, 2, (2, 4, 3)) * np.array([1, 1, -1])  # gamma, beta, mean, var; (4, d)
_layers[:, 3] **= 2
_PAIR = ("AlwaysTraining", "TestBatch")

# why a mystery is not what the reader takes it for; the instruments' numbers in brackets
_LOOK = {
    "no_grad statistics": "the gradient of z has no shift (6)",
    "one scalar for all": "each unit leaves BN with mean 0 and spread 1 (3)",
    "test batch statistics": "the image's line is flat (5)",
    "eval mode forgotten": "the image's line is flat (5)",
    "values not saved": "then the momentum would not change the cloud of running values (4)",
    "momentum flipped": "then a momentum near 1 would make the cloud narrow (4)",
    "variances mixed up": "then the spread of what leaves BN would not be 1 in small batches (3)",
}


def _mystery(right: str, trace: str) -> Choice:
    others = {name: why for name, why in _LOOK.items() if name != right}
    return Choice(right, others | {"none: this is right": trace})


class _MovesVariance(broken.Right):
    """Evaluation leaves the running mean alone and moves the running variance."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.running_var = 0.9 * self.running_var + 0.1 * x.var(0)
        return super().forward(x)


def _as_one(first: Any, second: Any, eps: float, *, forget: str = "") -> np.ndarray:
    """Scale and shift of BN behind BN, (2, d), or what they are if something is forgotten."""
    scales, shifts = [], []
    for gamma, beta, mean, var in (first, second):
        root = np.sqrt(var) if forget == "eps" else np.sqrt(var + eps)
        scales.append(gamma / root)
        shifts.append((0 if forget == "beta" else beta) - mean * gamma / root)
    through = shifts[0] if forget == "scale" else scales[1] * shifts[0]
    return np.stack([scales[0] * scales[1], through + shifts[1]])


def _forgets(what: str) -> Any:
    return lambda first, second, eps: _as_one(first, second, eps, forget=what)


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "momentum": Number(
            0.01,
            within=1e-9,
            wrong={
                0.99: "the number is the same, the term before which it stands is not",
                0.1: "that is PyTorch's usual value; Keras keeps more of the old one here",
                0.9: "that is a usual value of the other convention",
            },
        ),
        "batches": Number(
            230,
            wrong={
                229: "a little less than 90 % by then",
                22: "so it is for momentum 0.1",
                90: "what is missing shrinks by a factor, not by the same amount, in each batch",
                459: "that is 99 %",
                11: "after so many 10 % are made up, not missing",
                1: "so it is if 0.99 is the weight of the new value",
            },
        ),
    },
    "2": {
        "mean": Number(
            0.82 / (1 - 0.9**5),
            within=0.006,  # two decimals
            wrong={
                0.82: "the start, 0, still counts: that pulls the average down",
                0.82
                / 0.9**5: "that is divided by what the start counts; what do the batches count?",
                0.82 / 0.5: "0.1 for the newest; each batch before it counts less",
                0.82 / (1 - 0.9**4): "how often was the start multiplied by 0.9?",
                0.82 / 0.1: "one batch counts 0.1; there were five",
                0.82 * (1 - 0.9**5): "that is once more multiplied by what the batches count",
            },
        ),
        "variance": Number(
            (1.41 - 0.9**5) / (1 - 0.9**5),
            within=0.006,
            wrong={
                1.41
                / (1 - 0.9**5): "so it would be with a start of 0: a running variance starts at 1",
                1.41: "the start still counts",
                (1.41 - 1) / (1 - 0.9**5): "the start no longer counts 1",
                1.41 - 0.9**5: "the start's part is out; what do the batches count together?",
            },
        ),
    },
    "3": {
        "output": Choice(
            "beta",
            wrong={
                "the image": "what is left of two equal rows when their mean is subtracted?",
                "gamma": "gamma is multiplied by x_hat. How large is that?",
                "plus and minus 1": "so it is for two rows that differ",
                "nan": "the variance is 0, but eps stands beside it",
            },
        ),
        "noisy": Number(
            1,
            within=1e-6,
            wrong={
                0: "the rows differ now; how far is each from their mean, in standard deviations?",
                0.01: "that is before BN divides by the standard deviation",
                0.005: "that is before BN divides by the standard deviation",
                2: "how far is each from their mean, in standard deviations?",
                0.5: "how far is each from their mean, in standard deviations?",
            },
        ),
        "no_help": Choice(
            "a smaller momentum",
            wrong={
                "evaluation mode": "one image is enough for stored statistics",
                "statistics shared between cards": "then a mean is over more than one image",
                "layer normalisation": "that measures one image by itself",
            },
        ),
    },
    "4": {
        "mystery_a": _mystery("momentum flipped", "compare the clouds at a batch size of 4 (4)"),
        "mystery_b": _mystery("no_grad statistics", "compare the gradient's shift (6)"),
        "mystery_c": Meets(
            [
                (lambda name: name in broken.MISTAKES, "a name from the figure's list is wanted"),
                (lambda name: name != "none: this is right", "compare the image's line (5)"),
                *[
                    (lambda name, no=no: name != no, why)
                    for no, why in _LOOK.items()
                    if no not in ("test batch statistics", "eval mode forgotten")
                ],
            ]
        ),
    },
    "5": {
        "pair": Meets(
            [
                (
                    lambda pair: len(set(pair)) == 2 and set(pair) <= set(broken.__all__),
                    "two names of layers are wanted, as the list prints them",
                ),
                (
                    lambda pair: bool(set(pair) & set(_PAIR)),
                    "neither: in the list both fail the same test, one of them another, too",
                ),
                (lambda pair: set(pair) == set(_PAIR), "one of the two is right"),
            ]
        ),
        "tells_apart": Choice(
            "evaluation changes nothing",
            wrong={
                name: "both layers fail it" if "mates" in name else "both layers pass it"
                for name in CHECKS
                if name != "evaluation changes nothing"
            },
        ),
        "evaluation_is_harmless": Judge(
            accepts=[
                (broken.Right, "it refuses the right layer"),
                (
                    broken.TestBatch,
                    "it refuses statistics of the test batch: they change answers, not the layer",
                ),
            ],
            refuses=[
                (broken.AlwaysTraining, "it accepts the layer that forgets evaluation mode"),
                (_MovesVariance, "it accepts a layer that moves its running variance alone"),
            ],
        ),
    },
    "6": {
        "as_one": Function(
            _as_one,
            cases=[(*_layers, 0.1), (*_layers[::-1], 1e-5)],
            within=1e-6,
            wrong=[
                (_forgets("eps"), "eps is missing; in one of the calls it is 0.1"),
                (_forgets("scale"), "the second BN scales the first one's shift, too"),
                (_forgets("beta"), "beta is missing"),
                (
                    lambda first, second, eps: _as_one(second, first, eps),
                    "the two are in the wrong order",
                ),
                (
                    lambda first, second, eps: _as_one(first, second, eps)[::-1],
                    "scale first, then shift",
                ),
            ],
        ),
        "with_relu": Choice(
            "the layer behind it",
            wrong={
                "the layer before it": "the ReLU stands between: no linear layer is there",
                "neither": "what if another linear layer follows?",
            },
        ),
    },
}
