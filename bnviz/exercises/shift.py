"""Chapter 1: internal covariate shift. Its second page has a module of its own, `whitening`."""

from math import log, log2

import numpy as np
import torch
from torch import Tensor

from bnviz.exercises import whitening
from bnviz.exercises.answers import Answer, Choice, Function, Number

__all__ = ["EXERCISES"]

_rng = np.random.default_rng(0)
_levels = np.array([3.0, -2.0, 0.5])
_before = torch.tensor(_rng.normal(0, [0.5, 1, 2], (300, 3)) + _levels)  # (m, d)
_push = torch.tensor(_rng.normal(0, [0.5, 0.4, 1.5], (300, 3)))
_after = _before * torch.tensor([1.2, 0.8, 1.1]) + _push + torch.tensor([-0.5, -0.6, 0.6])


def _in_spread(before: Tensor, after: Tensor) -> Tensor:
    return ((after - before).square().mean(0).sqrt() / before.std(0)).mean()


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "mail": Choice(
            "p(x)",
            wrong={
                "p(y | x)": "is a given mail judged otherwise than before?",
                "both": "is a given mail judged otherwise than before?",
            },
        ),
        "law": Choice(
            "p(y | x)",
            wrong={
                "p(x)": "do other messages arrive than yesterday?",
                "both": "do other messages arrive than yesterday?",
            },
        ),
        "camera": Choice(
            "both",
            wrong={
                "p(x)": "the same pixels now come from another scene; is its label the same?",
                "p(y | x)": "are the pixels of a scene what they were?",
            },
        ),
    },
    "2": {
        "loss": Number(
            log(10),
            within=0.0006,  # three decimals
            wrong={
                log2(10): "that is in bits; the loss takes the natural logarithm",
                1.0: "that takes the logarithm to base 10",
                0.9: "that is the share of wrong answers",
                log(10) / 10: "-ln p is averaged over the examples, not weighted with p again",
            },
        ),
        "blind_loss": Function(
            lambda shares: -(shares * np.log(shares)).sum(),
            cases=[(np.full(10, 0.1),), (np.array([0.5, 0.3, 0.2]),), (np.array([0.9, 0.1]),)],
            within=1e-6,
            wrong=[
                (
                    lambda shares: np.log(len(shares)),
                    "it pays less if a frequent class gets a larger probability",
                ),
                (
                    lambda shares: -np.log(shares).mean(),
                    "each class counts as often as it comes",
                ),
                (
                    lambda shares: -(shares * np.log(shares)).mean(),
                    "the shares are weights already: nothing is left to divide by",
                ),
                (
                    lambda shares: -np.log(shares.max()),
                    "that is what an example of the most frequent class costs; others come too",
                ),
                (
                    lambda shares: -(shares * np.log2(shares)).sum(),
                    "that is in bits; the loss takes the natural logarithm",
                ),
            ],
        ),
    },
    "3": {
        "parameter": Choice(
            "beta",
            wrong={
                "gamma": "gamma scales x_hat. What is the mean of x_hat over a batch?",
                "the weights": "whatever mean they give, BN subtracts it",
                "the running mean": "it takes no part in training, and is no parameter",
            },
        ),
        "moves": Number(
            2.0,
            within=0.05,
            wrong={0.0: "that is so as long as the parameter stays as it is"},
        ),
        "moves_half": Number(
            4.0,
            within=0.1,
            wrong={
                2.0: "the answer is in standard deviations of the unit; how large are they now?",
                1.0: "the mean is not multiplied by gamma; the spread is",
            },
        ),
    },
    "4": {
        "to_values": Choice(
            "shrinks",
            wrong={
                "grows": "how much of a small change does a sigmoid let through?",
                "stays": "the slope of a sigmoid is at most 1/4: what do four of them let through?",
            },
        ),
        "to_spread": Choice(
            "stays",
            wrong={
                "grows": "the change and the spread pass through the same layers",
                "shrinks": "you divide by something that shrinks as well",
            },
        ),
        "in_spread": Function(
            _in_spread,
            cases=[(_before, _after)],
            within=0.005,  # biased or unbiased
            wrong=[
                (
                    lambda before, after: (after - before).square().mean(0).sqrt() / before.std(),
                    "one number is wanted, and each unit has a spread of its own",
                ),
                (
                    lambda before, after: (
                        (after - before).square().mean(0).sqrt() / before.std()
                    ).mean(),
                    "one spread for the whole layer: the levels of the units hide in it",
                ),
                (
                    lambda before, after: ((after - before).mean(0).abs() / before.std(0)).mean(),
                    "that is how far the means move; values can move while a mean stays",
                ),
                (
                    lambda before, after: ((after - before).std(0) / before.std(0)).mean(),
                    "a standard deviation leaves out what all values have in common",
                ),
                (
                    lambda before, after: ((after - before).abs().mean(0) / before.std(0)).mean(),
                    "that is the mean size of a change, not its root mean square",
                ),
                (
                    lambda before, after: (
                        (after - before).square().mean(0).sqrt() / after.std(0)
                    ).mean(),
                    "the unit of measure is the spread before the nudge",
                ),
                (
                    lambda before, after: (
                        (after - before).square().mean(0) / before.var(0)
                    ).mean(),
                    "that is a mean square; the root is missing",
                ),
                (
                    lambda before, after: (
                        (after - before).square().mean(1).sqrt() / before.std(1)
                    ).mean(),
                    "the spread of a unit is over the images: which axis are they?",
                ),
                (
                    lambda before, after: (after - before).norm() / before.norm(),
                    "that is relative to the values, not to their spread",
                ),
            ],
        ),
    },
    **whitening.EXERCISES,
}
