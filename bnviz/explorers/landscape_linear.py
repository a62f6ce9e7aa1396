"""`landscape-linear`: the same measurement on a product of 25 matrices."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.explorers.landscape import READOUT, WATCH, Problem, bindings
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Simulation
from bnviz.maths import prng
from bnviz.maths.functional import State
from bnviz.maths.landscape import DeepLinear
from bnviz.templates.landscape import Ranges, landscape

__all__ = ["LANDSCAPE_LINEAR"]

RATIOS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # of a step: the range of Santurkar et al.
ROWS, PROBE, DATA_SEED = 1000, 500, 0


@cache
def _net(name: str) -> DeepLinear:
    return DeepLinear(norm=name == "bn")


def _start(seed: Tensor, scale: Tensor) -> State:
    return _net("bn").start(seed, scale)


@cache
def _inputs() -> Tensor:
    """Gaussian, in 64ths: (ROWS, 10). Short numbers make a small file for the page."""
    return (64 * prng.normal((ROWS, 10), torch.tensor(DATA_SEED), stream=1)).round() / 64


def _data(state: State, rows: Tensor | slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x = _inputs()[rows].to(dtype)
    return x, x @ state["target"].T


def _target(seed: Tensor) -> State:
    """The matrix to be learned, another one for each seed."""
    return {"target": prng.normal((10, 10), seed, stream=2) / 10**0.5}


def _loss(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, summed over the ten outputs, averaged over the rows."""
    return (output - target).square().sum(1).mean()


_LINEAR = Problem(_net, _start, _data, _loss, RATIOS, PROBE, _target)

LANDSCAPE_LINEAR = Simulation(
    name="landscape-linear",
    title="The same walk through 25 matrices",
    caption=(
        "A deep linear network, 25 layers of 10 × 10, learns a matrix from 1,000 examples. The "
        "walk reaches from a hundredth of a step to thirty steps. Compare both networks at one "
        "learning rate, then move it: which is the smoother depends on where you look."
    ),
    controls=(
        Slider("lr", "learning rate", 1e-4, 0.1, 0.0031622777, 0.1, scale="log10", format=".2g"),
        Slider("batch", "batch size", 100, ROWS, ROWS, 100, format="d"),
        _controls.scale(1, low=0.5, high=1.5, step=0.05),
    ),
    compute=None,
    figure=landscape(RATIOS, Ranges((-2.1, 1.6), True, (-0.5, 5), True, (-4, 6), (-1, 7))),
    bindings=bindings(),
    readout=READOUT.replace("{far}", "30"),
    initial=_LINEAR.initial,
    step=_LINEAR.step,
    observe=_LINEAR.observe,
    rows=ROWS,
    watch=WATCH,
)
