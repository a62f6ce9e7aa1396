"""Chapter 1, second page: whitening, drift and failure. Numbered on from those of `shift`."""

from itertools import product

import numpy as np
import torch

from bnviz.exercises.answers import Answer, Choice, Function, Number

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_cloud = _rng.normal(0, [1, 0.4], (60, 2)) @ np.array([[2.5, 0.5], [0.0, 1.0]]) + np.array([1.5, 1])
_sigma = np.array([[6.0, 1.2, 0.0], [1.2, 0.8, -0.3], [0.0, -0.3, 2.0]])


def _least(x: np.ndarray, correction: int = 0, power: float = -0.5) -> np.ndarray:
    """ZCA: the power -1/2 of the covariance matrix, for rows x (m, d)."""
    centred = x - x.mean(0)
    values, u = np.linalg.eigh(centred.T @ centred / (len(x) - correction))
    return centred @ (u * values**power) @ u.T


def _turned(x: np.ndarray, correction: int) -> np.ndarray:
    """PCA: turned to the axes of the ellipse; signs and order are not fixed by its rule."""
    centred = x - x.mean(0)
    values, u = np.linalg.eigh(np.cov(x.T, ddof=correction))
    return centred @ u / np.sqrt(values)


def _triangular(x: np.ndarray, correction: int) -> np.ndarray:
    root = np.linalg.cholesky(np.cov(x.T, ddof=correction))
    return np.linalg.solve(root, (x - x.mean(0)).T).T


# Turns and reflections that keep the axes.
_SIGNED = [
    np.diag(signs)[order] for signs in product((1, -1), repeat=2) for order in ([0, 1], [1, 0])
]


def _root(sigma: np.ndarray, rounds: int, power: float = -0.5) -> np.ndarray:
    """By eigenvectors, whatever the number of rounds."""
    values, u = np.linalg.eigh(sigma)
    return (u * values**power) @ u.T


EXERCISES: dict[str, dict[str, Answer]] = {
    "5": {
        "whiten_least": Function(
            _least,
            cases=[(_cloud,)],
            within=1e-3,
            wrong=[
                *[
                    (
                        lambda x, k=k: (x - x.mean(0)) / x.std(0, ddof=k),
                        "that is standardised, and leans as before",
                    )
                    for k in (0, 1)
                ],
                (lambda x: x - x.mean(0), "that is only centred"),
                (lambda x: x @ _root(np.cov(x.T, bias=True), 0), "its mean is not 0"),
                (lambda x: _least(x, 1), "with the variance of this book, divided by m, not m - 1"),
                (lambda x: _least(x, power=0.5), "the root is not inverted"),
                (lambda x: _least(x, power=-1.0), "the inverse is there, its root is not"),
                *[
                    (
                        lambda x, q=q, way=way, k=k: way(x, k) @ q,
                        "white, but it turns the cloud: another way changes the points less",
                    )
                    for q in _SIGNED
                    for way in (_turned, _triangular)
                    for k in (0, 1)
                ],
            ],
        ),
    },
    "6": {
        "changes": Choice(
            "b",
            wrong={
                "x_hat": "subtract the mean of u + b from u + b: what is left of b?",
                "the loss": "it is made of x_hat. Does that change?",
            },
        ),
        "true_gradient": Number(
            0.0,
            within=1e-6,
            wrong={-1.0: "that is the gradient for which the mean is a constant"},
        ),
        "b_after": Function(
            lambda u, rate, steps: rate * steps,
            cases=[
                (torch.tensor([0.0, 1.0, 5.0]), 0.5, 10),
                (torch.tensor([-3.0, 1.0, 2.0, 4.0]), 0.1, 7),
            ],
            within=1e-4,
            wrong=[
                (
                    lambda u, rate, steps: 0.0,
                    "b stays: is the mean a constant in your gradient, and is 1 the target?",
                ),
                (
                    lambda u, rate, steps: rate * steps * len(u),
                    "the loss is averaged over the batch",
                ),
                (lambda u, rate, steps: -rate * steps, "descent goes against the gradient"),
                (
                    lambda u, rate, steps: 1 - (1 - rate) ** steps,
                    "the mean of u + b is subtracted, not the mean of u",
                ),
                (lambda u, rate, steps: rate, "that is one step"),
            ],
        ),
    },
    "7": {
        "change": Number(0.0, within=1e-6, wrong={1.0: "which layers lie below layer 1?"}),
        "cosine": Number(
            1.0, within=1e-6, wrong={0.0: "that is the cosine of vectors at right angles"}
        ),
        "moved_by": Choice(
            "its own weights",
            wrong={
                "the layers below": "which layers lie below layer 1?",
                "the images": "the same images are looked at before the step and after it",
                "nothing": "compare the first curve of the figure at layer 1",
            },
        ),
    },
    "8": {
        "limit": Number(
            3.0,
            within=1e-6,
            wrong={
                1.0: "the trace sees to that; the rule itself bears more",
                5.0: "up to there it settles, but on the negative root: look at the first round",
            },
        ),
        "inverse_root": Function(
            _root,
            cases=[(_sigma, 10), (_sigma[:2, :2], 9)],
            within=1e-6,
            wrong=[
                (
                    lambda sigma, rounds: _root(sigma / np.trace(sigma), rounds),
                    "that is the inverse root of S",
                ),
                (
                    lambda sigma, rounds: (
                        _root(sigma / np.trace(sigma), rounds) * np.trace(sigma) ** 0.5
                    ),
                    "S is smaller than the covariance matrix. Is its inverse root smaller?",
                ),
                (
                    lambda sigma, rounds: _root(sigma, rounds) / np.trace(sigma) ** 0.5,
                    "a root of a root too many: which power of the trace is the factor?",
                ),
                (
                    lambda sigma, rounds: np.diag(np.diag(sigma) ** -0.5),
                    "that standardises: the products are of matrices, with @",
                ),
                (lambda sigma, rounds: _root(sigma, rounds, 0.5), "the root is not inverted"),
                (
                    lambda sigma, rounds: _root(sigma, rounds, -1.0),
                    "that is the inverse, not its root",
                ),
            ],
        ),
        "rounds": Number(8, wrong={7: "an entry is still off by three hundredths"}),
    },
}
