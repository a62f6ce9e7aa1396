"""Chapter 3: the backward pass."""

from math import sqrt
from typing import Any

import numpy as np

from bnviz.exercises.answers import Answer, Array, Choice, Function, Judge, Meets, Number

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_x, _dy = 3 + 2 * _rng.normal(size=(2, 6, 3))  # (m, d) both
_gamma, _mean, _var = np.array([0.5, 2.0, -1.5]), np.array([1.0, -2.0, 0.0]), np.array([0.3, 1, 4])


def _back(x: Any, dy: Any, mean: float = 1, var: float = 1, eps: float = 1e-5, gamma: Any = 1.0):
    """dx, with so much of the roads through the mean and the variance as stands there."""
    inv_std = 1 / np.sqrt(x.var(0) + eps)
    x_hat = (x - x.mean(0)) * inv_std
    return gamma * inv_std * (dy - mean * dy.mean(0) - var * x_hat * (dy * x_hat).mean(0))


def _by_hand(mean: float = 1, var: float = 1):
    return _back(np.array([1.0, 3.0, 5.0]), np.array([1.0, 0.0, 0.0]), mean, var, eps=0)


def _times_table(v: Any) -> Any:
    """The two vectors, (2, 4), times the Jacobian for the batch 1, 2, 3, 6, as a share of each."""
    v, x_hat = np.asarray(v, float), np.array([-2.0, -1.0, 0.0, 3.0]) / sqrt(3.5)
    table = np.eye(4) - (1 + np.outer(x_hat, x_hat)) / 4
    return np.linalg.norm(v @ table, axis=1) / np.linalg.norm(v, axis=1)


def _independence(v: Any) -> float:
    """The smaller singular value of the two directions: 0 if they are the same."""
    v = np.asarray(v, float)
    return np.linalg.svd(v / np.linalg.norm(v, axis=1, keepdims=True), compute_uv=False)[-1]


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "dbeta": Number(1, 0.006, {1 / 3: "a sum over the batch, not a mean", 0: "so is sum dx"}),
        "dgamma": Number(
            -sqrt(1.5),
            within=0.006,
            wrong={
                sqrt(1.5): "look at the sign: which example has a dy, and is it above the mean?",
                -1: "BN divides by m, not by m - 1",
                -2: "gamma is multiplied by x_hat, not by x minus the mean",
                1: "gamma is multiplied by x_hat, not by x",
                -sqrt(1.5) / 3: "a sum over the batch, not a mean",
            },
        ),
        "dx": Array(
            _by_hand(),
            within=0.0006,  # three decimals
            wrong=[
                (_by_hand() * sqrt(8 / 3), "the brackets are right; the factor before them is not"),
                (np.array([1, -1, 1]) / 6, "BN divides by m, not by m - 1"),
                (_by_hand() / sqrt(8 / 3), "that is divided by the variance"),
                (_by_hand(0, 0), "that is the straight road alone; two more come back to x"),
                (_by_hand(1, 0), "the road through the variance is missing"),
                (_by_hand(0, 1), "the road through the mean is missing; what must dx add up to?"),
                (_by_hand(1, -1), "the road through the variance comes back with the other sign"),
                (_by_hand(3, 3), "the two sums of the brackets are not divided by m"),
                (_by_hand(1 / 3, 1 / 3), "the two sums of the brackets are divided by m twice"),
            ],
        ),
    },
    "2": {
        "passes_copy_test": Judge(
            accepts=[
                (_back, "it refuses the right gradient"),
                (
                    lambda x, dy: _back(x, dy, 0, 0),
                    "it refuses the gradient of frozen statistics. That is wrong in training, but"
                    " copies do not show it: compare each formula with itself alone",
                ),
            ],
            refuses=[
                (
                    lambda x, dy: _back(x, dy, 1 / len(x), 1 / len(x)),
                    "it accepts the formulas as printed",
                ),
                (lambda x, dy: _back(x, dy) / len(x), "it accepts a wrong 1/m before all of dx"),
                (
                    lambda x, dy: _back(x, dy, 1, 1 / len(x)),
                    "it accepts 1/m twice on one of the roads; compare all numbers of dx",
                ),
            ],
        ),
        "needs": Choice(
            "what copies do to mu and var",
            wrong={
                "the right formula": "the test compares the formula with itself, not with another",
                "autograd": "the test calls nothing but the formula",
                "the loss": "dy holds all that the loss has to say, and is copied as it is",
            },
        ),
    },
    "3": {
        "bias_gradient": Function(
            lambda dz: dz.sum(0),
            cases=[(_dy,), (_x,)],  # that the sum is 0 behind BN is the reader's to show
            within=1e-9,
            wrong=[
                (
                    lambda dz: dz.mean(0),
                    "b stands in every row: the roads add up, they do not average",
                ),
                (lambda dz: dz.sum(1), "that adds up the features of one example"),
                (lambda dz: dz.sum(), "each feature has a bias of its own"),
                (lambda dz: dz, "b is one row for all examples, and so is its gradient"),
                (
                    lambda dz: np.zeros(dz.shape[1]),
                    "so it is for the dz that BN sends; write what b does with any dz",
                ),
            ],
        ),
        "never_move": Number(
            16,
            wrong={
                0: "one of the four kinds does nothing",
                1: "how many biases has a layer with 16 outputs?",
                32: "BN's own beta stands behind the subtraction",
                64: "b has one number for each output, not for each input",
                1024: "the weights do learn: they change more than the mean",
            },
        ),
        "with_decay": Choice(
            "it shrinks to 0",
            wrong={
                "it stays": "so it is without weight decay; that adds a gradient of its own",
                "it grows": "which way does weight decay pull?",
                "it goes to minus the mean": "nothing in the loss pulls it there",
            },
        ),
    },
    "4": {
        "dx_infer": Function(
            lambda x, dy, g, mu, var, e: g * dy / np.sqrt(var + e),
            cases=[(_x, _dy, _gamma, _mean, _var, 0.1), (_x[:1], _dy[:1], _gamma, _mean, _var, 1)],
            within=1e-9,
            wrong=[
                (
                    lambda x, dy, g, mu, var, e: _back(x, dy, 1, 1, e, g),
                    "that is the backward pass of training mode",
                ),
                (
                    lambda x, dy, g, mu, var, e: _back(x, dy, 0, 0, e, g),
                    "the batch's own variance is not used in inference mode",
                ),
                (lambda x, dy, g, mu, var, e: dy / np.sqrt(var + e), "gamma is missing"),
                (lambda x, dy, g, mu, var, e: g * dy / np.sqrt(var), "eps is missing"),
                (lambda x, dy, g, mu, var, e: g * dy / (var**0.5 + e), "eps stands under the root"),
                (lambda x, dy, g, mu, var, e: g * dy / (var + e), "divided by the variance"),
                (
                    lambda x, dy, g, mu, var, e: g * dy * (x - mu) / np.sqrt(var + e),
                    "dy times x_hat belongs to gamma; x gets what its own factor gives",
                ),
            ],
        ),
        "roads": Number(
            1,
            wrong={
                3: "the running values do not depend on x",
                2: "neither of the running values depends on x",
                0: "x still reaches y",
            },
        ),
        "directions": Number(
            8,
            wrong={
                6: "that is training mode: what took two directions out?",
                7: "which direction could be lost, if nothing is measured on the batch?",
            },
        ),
    },
    "5": {
        "dx_no_grad": Function(
            lambda x, dy, g, e: g * dy / np.sqrt(x.var(0) + e),
            cases=[(_x, _dy, _gamma, 1e-5), (2 * _x, _dy, _gamma, 1e-5)],
            within=1e-4,  # eps may be left out
            wrong=[
                (
                    lambda x, dy, g, e: _back(x, dy, 1, 1, e, g),
                    "that is the right gradient; autograd no longer sees two of its roads",
                ),
                (lambda x, dy, g, e: _back(x, dy, 0, 1, e, g), "the variance is a constant, too"),
                (lambda x, dy, g, e: _back(x, dy, 1, 0, e, g), "the mean is a constant, too"),
                (lambda x, dy, g, e: dy / np.sqrt(x.var(0) + e), "gamma is missing"),
                (lambda x, dy, g, e: g * dy, "the constants still divide"),
                (lambda x, dy, g, e: g * dy / np.sqrt(x.var(0, ddof=1) + e), "BN divides by m"),
            ],
        ),
        "mu_moves": Number(
            -0.2,
            within=1e-6,
            wrong={
                0.2: "a step goes against the gradient",
                0: "so it would be with the right gradient, in which the roads cancel",
                -0.05: "the bias gets what all four examples send, added up",
                -0.4: "what does BN divide by on the straight road?",
                -0.1: "that is divided by the variance, or by a wrong number of examples",
            },
        ),
        "y_moves": Number(
            0,
            within=1e-6,
            wrong={-0.1: "so it would be with the old mean; the next pass measures it anew"},
        ),
    },
    "6": {
        "vectors": Meets(
            [
                (lambda v: np.shape(v) == (2, 4), "two vectors with four entries each are wanted"),
                (
                    lambda v: bool((np.linalg.norm(v, axis=1) > 0.01).all()),
                    "every table maps the vector 0 to 0",
                ),
                (
                    lambda v: _times_table(v).min() < 0.01,
                    "neither is mapped to 0. What may happen to a whole batch so that BN's output"
                    " stays as it is?",
                ),
                (lambda v: _times_table(v).max() < 0.01, "one is mapped to 0, the other is not"),
                (lambda v: _independence(v) > 0.01, "the two are multiples of each other"),
            ]
        ),
        "rank": Number(
            31,
            wrong={
                30: "so it is for a tiny eps: which of the two directions does eps let through?",
                32: "one direction is lost whatever eps is",
            },
        ),
        "share": Number(
            0.25,
            within=0.005,
            wrong={
                0.75: "that is what BN takes out; how much is left?",
                1 / 3: "eps over the variance; what stands in the denominator of x_hat?",
                0.5: "the root is in x_hat already, and x_hat stands there twice",
            },
        ),
    },
}
