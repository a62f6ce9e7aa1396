"""Chapter 6, second part: a smoother loss, and regularisation."""

import copy
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.exercises.answers import Answer, Choice, Judge, Meets, Number
from bnviz.experiments import load
from bnviz.maths.data import digits

__all__ = ["EXERCISES"]

_axis = torch.linspace(-0.1, 0.1, 21, dtype=torch.float64)
_across, _down = _axis.expand(21, 21), _axis.unsqueeze(1).expand(21, 21)
_bowl = _across**2 + _down**2


def _loss(net: nn.Module) -> Tensor:
    data, dtype = digits(), next(net.parameters()).dtype
    return F.cross_entropy(net(data.x_train[:256].to(dtype)), data.y_train[:256])


def _hidden_gradient(net: nn.Module) -> float:
    """The largest gradient of any number in front of the head; the network stays as it is."""
    net = copy.deepcopy(net)
    gradients = torch.autograd.grad(_loss(net), list(net.parameters()))
    return max(g.abs().max().item() for g in gradients[:-2])


def _trained(net: nn.Module) -> nn.Module:
    """A copy, after twenty steps of gradient descent."""
    net = copy.deepcopy(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        _loss(net).backward()
        optimiser.step()
    return net


def _reads(net: nn.Module) -> float:
    """The share of test digits that it reads."""
    data, dtype = digits(), next(net.parameters()).dtype
    logits = copy.deepcopy(net)(data.x_test.to(dtype))
    if logits.shape != (len(data.y_test), 10):
        raise ValueError(f"its output has shape {tuple(logits.shape)}")
    return (logits.argmax(1) == data.y_test).double().mean().item()


def _supports(sentence: Any) -> int:
    """At how many budgets the interval of the stored contest lies on the side that is claimed."""
    batch, rival, word = sentence
    if batch not in (10, 30, 150):
        raise ValueError(f"batch {batch!r}")
    side = {"higher": 1, "lower": -1}[word]
    effects = load(f"regularise-{batch}")["summary"]["effects"][rival].values()
    return sum(min(side * e["low"], side * e["high"]) > 0 for e in effects)


def _sentence(*tests: tuple[Any, str]) -> Meets:
    form = "(batch, rival, word) is wanted, with values from the comment"
    return Meets(
        [
            (lambda s: _supports(s) >= 0, form),
            (lambda s: _supports(s) > 0, "at no budget does the interval lie on this side of 0"),
            *tests,
        ]
    )


EXERCISES: dict[str, dict[str, Answer]] = {
    "1": {
        "beta": Number(
            3,
            within=1e-6,
            wrong={
                1.5: "beta is a change of the gradient, not of the loss",
                6: "what is the derivative of w squared over 2?",
                9: "the gradient changes by c for each unit of w; divide by the distance",
            },
        ),
        "largest_rate": Number(
            2 / 3,
            within=0.006,  # two decimals
            wrong={
                1 / 3: "there w arrives at 0 in one step; a larger step goes past it, yet nearer",
                2: "the product of rate and curvature has this limit",
                1.5: "turn it round: the larger the curvature, the smaller the rate",
                6: "the product of rate and curvature has a limit; divide",
            },
        ),
        "seen": Number(
            1,
            within=1e-6,
            wrong={
                9: "that is the largest over all lines; which way does the gradient point there?",
                5: "not a mean: along one line there is one curvature",
                4.5: "beta is a change of the gradient, not of the loss",
                10: "curvatures of other directions do not add to it",
            },
        ),
    },
    "2": {
        "loss": Number(
            1, within=1e-6, wrong={4: "what does BN divide by?", 2: "what does BN divide by?"}
        ),
        "gradient": Number(
            0.5,
            within=1e-6,
            wrong={
                1: "the loss is the same at the same relative distance: twice as far away",
                2: "the same change of the loss, over a longer way",
                0.25: "that is the second derivative",
            },
        ),
        "beta": Number(
            0.25,
            within=1e-6,
            wrong={
                0.5: "the gradient halves, and the distance over which it changes doubles",
                1: "length means nothing to the loss, but it does to its derivatives",
                4: "a wider bowl bends less",
                2: "a wider bowl bends less",
            },
        ),
        "rate": Number(
            4,
            within=1e-6,
            wrong={
                2: "the weights are twice as long, and the gradient is shorter",
                0.25: "longer weights and a shorter gradient: which step is too short?",
                0.5: "longer weights and a shorter gradient: which step is too short?",
                1: "the step would be half as long, and the weights are twice as long",
            },
        ),
    },
    "3": {
        "network": Meets(
            [
                (lambda net: isinstance(net, nn.Module), "a network is wanted"),
                (lambda net: _reads(net) >= 0, "it must read digits, (m, 64) to (m, 10)"),
                (
                    lambda net: len(list(net.parameters())) > 2,
                    "it has nothing in front of the head",
                ),
                (lambda net: bool(np.isfinite(_loss(net).item())), "its loss is not finite"),
                (
                    lambda net: _hidden_gradient(net) == 0,
                    "some number in front of the head has a gradient",
                ),
                (
                    lambda net: _hidden_gradient(_trained(net)) == 0,
                    "after twenty steps there is a gradient in front of the head. What woke it?",
                ),
                (lambda net: _reads(_trained(net)) < 0.3, "it is no failure: it reads the digits"),
            ]
        ),
        "sentence": Choice(
            "it needs a second half",
            wrong={
                "it is refuted": "smooth and useless shows that smooth is not enough, and no more",
                "it is confirmed": "yours is smoother than any other, and works worse",
            },
        ),
    },
    "4": {
        "share": Number(
            1,
            within=0.005,
            wrong={0: "look at the slope alone, not at the height", 100: "as a share, not in %"},
        ),
        "half_width": Number(
            0.25 / sqrt(2),
            within=0.006,
            wrong={
                0.25: "so it is on the axes; the corners are steeper",
                0.5: "the slope of a squared is not a",
                0.5
                / sqrt(2): "half of the window's width is wanted, or the slope of a squared is 2 a",
                sqrt(0.5): "that is where the loss is 0.5 along one axis; look at the slope",
                0.125: "the two slopes do not add up: the gradient's length is a root",
            },
        ),
        "is_plateau": Judge(
            accepts=[
                (_bowl + 2.3, "it refuses land that is high and flat"),
                (torch.full_like(_bowl, 2.1), "it refuses a level loss of 2.1"),
            ],
            refuses=[
                (_bowl, "it accepts the bottom of a valley"),
                (torch.full_like(_bowl, 2.0), "it accepts a level loss of 2.0"),
                (2.3 + _across, "it accepts a slope of 1"),
                (2.3 + _down, "it accepts a slope of 1 along the first axis"),
                (2.3 - _across, "it accepts a slope of -1"),
                (
                    2.3 + 0.4 * (_across + _down),
                    "it accepts 0.4 along each axis: how steep is that along the diagonal?",
                ),
            ],
        ),
    },
    "5": {
        "always": _sentence((lambda s: _supports(s) == 3, "at some budgets, not at every one")),
        "once": _sentence((lambda s: _supports(s) == 1, "at more budgets than one")),
    },
}
