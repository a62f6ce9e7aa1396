"""Chapter 6: what becomes easier."""

from bnviz import explorers
from bnviz.exercises.answers import Answer, Choice, Function, Number
from bnviz.experiments import load

__all__ = ["EXERCISES"]

_WIDTH, _STEP = 1.7, 1 / 3  # decades: of a band, and from one rate to the next


def _wider_with_bn() -> int:
    """Of nine pairs of bands, three activations at three thresholds."""
    bands = load("learning-rate")["summary"]["bands"]
    return sum(
        bands[f"{activation}-bn"][at]["decades"] > bands[f"{activation}-plain"][at]["decades"]
        for activation in ("sigmoid", "tanh", "relu")
        for at in ("80", "90", "95")
    )


def _lost(scale: float) -> float:
    """Orders of magnitude that a signal loses through 20 sigmoid layers, as the figure says."""
    found = explorers.get("init-scale").outputs(activation="sigmoid", depth=20, scale=scale)
    return -found["plain_signal_change"].item()


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "new_rate": Function(
            lambda rate, a: rate * a**2,
            cases=[(0.1, 2.0), (0.3, 0.5), (1.0, 10.0)],
            within=1e-6,
            wrong=[
                (
                    lambda rate, a: rate * a,
                    "the gradient changes, and the length that a step is compared with: count both",
                ),
                (lambda rate, a: rate / a, "longer weights turn more slowly at the same rate"),
                (lambda rate, a: rate / a**2, "longer weights turn more slowly at the same rate"),
                (lambda rate, a: 4 * rate, "that is right for one a, and wrong for another"),
                (lambda rate, a: rate, "BN's output ignores a; the gradient of W does not"),
            ],
        )
    },
    "2": {
        "factor": Number(
            0.1,
            within=1e-6,
            wrong={
                10.0: "longer weights act like a smaller eps, and a larger one is wanted",
                0.01: "the variance goes with the square of the weights",
                100.0: "longer weights act like a smaller eps; and mind the square",
                1.0: "then the library's eps stays as it is",
            },
        ),
        "bias": Choice(
            "either",
            wrong={
                "times the factor": "that works; does BN notice if you leave it as it is?",
                "as it is": "that works; does BN notice if you multiply it?",
            },
        ),
    },
    "3": {
        "scale": Number(
            4.0,
            within=1e-6,
            wrong={
                0.25: "that is the slope of the sigmoid at 0; s times it is to be 1",
                1.0: "that is right for tanh, whose slope at 0 is 1",
                2.0: "at which value of z is the sigmoid steepest, and how steep is it there?",
            },
        ),
        "lost": Number(
            _lost(4.0),
            within=0.5,
            wrong={
                _lost(1.0): "that is what it loses at scale 1",
                0.0: "so says the product; what does the figure say, at 20 layers?",
            },
        ),
        "because": Choice(
            "its mean is not 0",
            wrong={
                "its slope is at most 1/4": "the scale of 4 makes up for that",
                "the gradient fades": "the signal goes up before any gradient comes down",
                "eps": "there is no BN in this network",
            },
        ),
    },
    "4": {
        "wider": Number(
            _wider_with_bn(),
            wrong={3: "that is for one of the thresholds"},
        ),
        "less_than": Number(
            _WIDTH + 2 * _STEP,
            within=0.05,
            wrong={
                _WIDTH: "that is what is known to train; the band may go on to the next rate",
                _WIDTH + _STEP: "a band has two ends",
                _WIDTH + 0.1: "how far apart are two rates that were tried?",
            },
        ),
    },
    "5": {
        "predictions": Choice(
            "stay",
            wrong={
                "turn round": "BN divides the factor out",
                "fade": "BN divides the factor out of every layer; nothing is left to fade",
            },
        ),
        "faster": Number(
            4.0,
            within=1e-6,
            wrong={
                2.0: "the gradient is larger, and the weights are shorter: count both",
                1.0: "the outputs do not notice; the gradient does",
                0.25: "the other way round",
                0.5: "the other way round",
            },
        ),
        "decay_acts": Choice(
            "through the effective rate",
            wrong={
                "by a simpler function": "what did shorter weights just do to the function?",
                "not at all": "it changes no output at once. Does it change the next step?",
            },
        ),
    },
}
