"""Chapter 4: where to put BN."""

from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.exercises.answers import Answer, Choice, Function, Judge, Number

__all__ = ["EXERCISES"]

_generator = torch.Generator().manual_seed(0)
_levels = (
    torch.tensor([-3.0, 0.0, 5.0])[:, None, None] + torch.tensor([0.0, 40.0])[:, None, None, None]
)
_maps = _levels + torch.randn(2, 3, 4, 5, generator=_generator)  # (m, c, h, w)


def _normalise(maps: Tensor, axes: tuple[int, ...]) -> Tensor:
    """One mean and one variance for what these axes hold, measured on the batch at hand."""
    var, mean = torch.var_mean(maps, axes, correction=0, keepdim=True)
    return (maps - mean) / torch.sqrt(var + 1e-3)


def _per(*axes: int) -> Any:
    return lambda maps: _normalise(torch.as_tensor(maps), axes)


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "mean": Number(
            1 / sqrt(2 * pi),
            within=0.006,  # two decimals
            wrong={
                0: "what is negative becomes 0, so nothing balances what is positive",
                0.5: "half of the values are positive; that is their share, not their mean",
                sqrt(2 / pi): "that is the mean of the positive ones; how many are there?",
                1 / sqrt(pi): "look at the constant before the Gaussian's exponential",
            },
        ),
        "std": Number(
            sqrt(1 / 2 - 1 / (2 * pi)),
            within=0.006,
            wrong={
                1 / 2 - 1 / (2 * pi): "that is the variance",
                sqrt(1 / 2): "that is the root of the second moment; the mean is not 0",
                1 / 2: "that is the second moment",
                sqrt(1 - 2 / pi): "that is the spread of the positive ones; the zeros count, too",
                1: "that is the spread of what goes in",
            },
        ),
        "closer": Choice(
            "all pixels",
            wrong={
                "one pixel": "a single pixel has a shape of its own. What has a sum of many?",
                "both alike": "BN makes mean and spread alike, not the shape; measure both",
            },
        ),
    },
    "2": {
        "dead_below": Number(
            -sqrt(255),
            within=0.005,
            wrong={
                sqrt(255): "look at the sign: x_hat + beta must stay below 0",
                -16: "close, but the one value is in the mean, too",
                -255: "so far out, the one value widens the spread by which it is divided",
                -256: "so far out, the one value widens the spread by which it is divided",
                -6: "enough for these digits, not for any batch: how large can one x_hat be?",
                -3: "a batch can hold a larger x_hat: try one value that differs from all others",
            },
        ),
        "gradients": Choice(
            "none",
            wrong={
                "beta": "beta's gradient comes back through the ReLU, too",
                "gamma and beta": "their gradients come back through the ReLU, too",
                "W": "W lies behind gamma and beta on the way back",
                "all": "what does the ReLU send back where its input is below 0?",
            },
        ),
    },
    "3": {
        "useless": Number(
            16,
            wrong={
                0: "what does BN do to a number that is added to a whole channel?",
                32: "look at what stands between that convolution and its BN",
                48: "look at what stands between the second convolution and its BN",
                10: "which layer stands behind the head?",
                26: "which layer stands behind the head?",
                58: "a bias is cancelled by a BN right behind it, and by nothing else",
                64: "BN's own beta is added behind its subtraction",
                96: "BN's own beta is added behind its subtraction",
                3: "a convolution has one bias for each channel that comes out",
            },
        )
    },
    "4": {
        "still_breaks": Choice(
            "no",
            wrong={"yes": "the batch moves, and with it what is measured at each position"},
        ),
        "commutes": Judge(
            accepts=[
                (
                    _per(0, 2, 3),
                    "it refuses one mean per channel. (If you compare to the last bit: a sum in"
                    " another order is rounded otherwise)",
                ),
            ],
            refuses=[
                (
                    _per(0),
                    "it accepts one mean per position. If you shift the whole batch, its"
                    " statistics shift along: shift one digit among others",
                ),
                (_per(0, 3), "it accepts one mean per row: shift down as well as to the side"),
                (_per(0, 2), "it accepts one mean per column: shift to the side as well as down"),
            ],
        ),
    },
    "5": {
        "values": Number(
            64,
            wrong={
                1: "a mean belongs to a channel, and the channel has more than one position",
                8: "both axes of the image are pooled",
                256: "the channels are not pooled",
            },
        ),
        "known_as": Choice(
            "instance normalisation",
            wrong={
                "layer normalisation": "that pools the channels of an image",
                "group normalisation": "that pools the channels of a group",
                "it is refused": "what is refused is a channel with a single value",
            },
        ),
        "by_batchnorm": Function(
            lambda x: F.instance_norm(x),
            cases=[(_maps,), (_maps[:1],)],
            within=1e-3,
            wrong=[
                (
                    lambda x: nn.BatchNorm2d(x.shape[1])(x).detach(),
                    "the images share their statistics here; that is BN as it is",
                ),
                (
                    lambda x: F.instance_norm(x).transpose(0, 1).reshape(x.shape),
                    "the images and channels come back in another order: reshape moves no axis",
                ),
                (_per(1, 2, 3), "the channels of an image share their statistics here"),
                (_per(0, 1, 2, 3), "everything shares one mean here"),
            ],
        ),
    },
}
