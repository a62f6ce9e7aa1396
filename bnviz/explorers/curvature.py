"""`curvature`: how steep the loss is while training: without BN, with its mean, with all of it.

At every step each network takes one step of power iteration, from the direction that the last one
left behind: the curvature that is drawn follows the true one by a few steps.
"""

from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import prng
from bnviz.maths.apart import TakenApart
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, gather, hold, part
from bnviz.maths.sharpness import curvatures
from bnviz.templates.curvature import NETS, curvature

__all__ = ["CURVATURE"]

SIZES = (64, 32, 32, 10)
EXAMPLES = 128
DIRECTION = "direction"  # in the state, beside what the network learns
SPAN = (0.006, 20.0)  # of the axis of rate times curvature


@cache
def _net(name: str) -> TakenApart:
    return TakenApart(SIZES, part=name)


def _learned(name: str) -> list[str]:
    return [key for key, _ in _net(name).named_parameters()]


def initial(seed: Tensor, **controls: Tensor) -> State:
    """The same weights for all; the power iterations begin in random directions."""
    state = alike({name: _net(name) for name in NETS}, seed, controls["scale"])
    for stream, name in enumerate(NETS, start=1):
        size = sum(state[f"{name}.{key}"].numel() for key in _learned(name))
        state[f"{name}.{DIRECTION}"] = prng.normal((size,), seed, stream=stream)
    return state


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """The curvature on a minibatch, in training mode; then a step of gradient descent on it."""
    data, new, outputs = digits(), {}, {}
    x, y = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name).train(), part(state, name)
        direction = own.pop(DIRECTION)
        values = hold(net, own, controls)
        learned = {key: values[key] for key in _learned(name)}

        def loss(point: State, net=net, values=values) -> Tensor:
            return F.cross_entropy(functional_call(net, {**values, **point}, (x,)), y)

        with torch.enable_grad():
            found = curvatures(loss, learned, direction, iterations=1)
        moved, before = descend(net, own, values, (x, y), controls["lr"])
        turned = found["direction"].detach()
        length = turned.square().sum().sqrt()
        # a network that has learned all has no curvature left, and no direction
        turned = torch.where(length > 0, turned / length, direction)
        new[name] = moved | {DIRECTION: turned}
        outputs |= {
            f"{name}_loss": before,
            f"{name}_top": found["top"].detach(),
            f"{name}_product": (controls["lr"] * found["top"].detach()).clamp(*SPAN),
        }
    return gather(new), outputs


CURVATURE = Simulation(
    name="curvature",
    title="The steepest valley, while training",
    caption=(
        "Three networks with the same starting weights, two hidden layers of 32 units and 128 "
        "digits: without BN, with the mean subtracted and nothing else, and with all of BN. Below: "
        "the learning rate times the largest curvature of the loss (the largest eigenvalue of its "
        "Hessian). On a parabola, gradient descent converges below 2 and diverges above. With a "
        "batch size of 128 every step sees all images."
    ),
    controls=(
        _controls.activation("relu"),
        _controls.rate(0.1, low=0.01, high=10),
        _controls.batch(128, low=8, high=EXAMPLES),
        _controls.scale(1.5),
    ),
    compute=None,
    figure=curvature(),
    bindings=tuple(
        Binding(f"{name}_{what}", f"{name}-{what}", "y", append=True)
        for name in NETS
        for what in ("loss", "product")
    ),
    readout=(
        "Largest curvature: {none_top:.1f} without BN, {mean_top:.1f} with the mean subtracted, "
        "{bn_top:.1f} with BN. Times the learning rate: {none_product:.2f}, {mean_product:.2f}, "
        "{bn_product:.2f}. Loss: {none_loss:.3f}, {mean_loss:.3f}, {bn_loss:.3f}."
    ),
    initial=initial,
    step=step,
    rows=EXAMPLES,
    watch={f"{name}_loss": label for name, (label, *_) in NETS.items()},
    history=300,
)
