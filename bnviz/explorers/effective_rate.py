"""`effective-rate`: length, turn per step and effective rate of every layer, while it trains."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.decay import (
    angle,
    decayed_step,
    forgetful,
    settled_angle,
    settled_norm,
    slopes,
)
from bnviz.maths.functional import State, alike, evaluate, gather, part
from bnviz.maths.nets import MLP
from bnviz.templates.effective_rate import LAYERS, effective_rate

__all__ = ["EFFECTIVE_RATE"]

SIZES = (64, *[40] * LAYERS, 10)
NETS = ("plain", "bn")
NEW = 0.1  # weight of a step in the means over about the last ten steps
DEGREES = 180 / torch.pi


@cache
def _net(name: str) -> MLP:
    return MLP(SIZES, norm=name == "bn", activation="tanh")


@cache
def _learned(name: str) -> tuple[str, ...]:
    return tuple(k for k, _ in _net(name).named_parameters())


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same weights; the means over the last steps are empty."""
    state = alike({name: _net(name) for name in NETS}, seed, controls["scale"])
    for name in NETS:
        buffers = {k: torch.zeros_like(state[f"{name}.{k}"]) for k in _learned(name)}
        means = {k: torch.zeros(LAYERS) for k in ("turn", "push")}
        state |= gather({f"{name}-v": buffers, f"{name}-mean": means})
    return state | {"filled": torch.zeros(())}


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of SGD with momentum; only the hidden layers' weights decay, in both networks."""
    data = digits()
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    lr, mu = controls["lr"], controls["mu"]
    decay = torch.where(controls["decays"] > 0.5, controls["decay"], 0.0)
    filled = state["filled"] + NEW * (1 - state["filled"])
    new, outputs = {"filled": filled}, {"settled": settled_angle(lr, decay, mu) * DEGREES}
    outputs["predicted"] = torch.where(decay > 0, outputs["settled"], torch.nan)
    for name in NETS:
        own, v = part(state, name), part(state, f"{name}-v")
        gradients, moved, loss = slopes(_net(name), own, _learned(name), batch)
        hidden = forgetful(_net(name))
        for k, g in gradients.items():
            pull = decay if k in hidden else torch.zeros(())
            moved[k], v[k] = decayed_step(own[k], g, v[k], lr, pull, mu)
        square = torch.stack([own[k].square().sum() for k in hidden])  # (LAYERS,)
        turn = torch.stack([angle(own[k], moved[k]) for k in hidden]).square()
        push = torch.stack([gradients[k].square().sum() for k in hidden]) * square  # |g~|^2
        means = {
            k: old + NEW * (value - old)
            for (k, old), value in zip(
                part(state, f"{name}-mean").items(), (turn, push), strict=True
            )
        }
        new |= gather({name: moved, f"{name}-v": v, f"{name}-mean": means})
        norm = torch.stack([moved[k].square().sum() for k in hidden]).sqrt()
        outputs[f"{name}_loss"], outputs[f"{name}_norm"] = loss, norm
        outputs[f"{name}_angle"] = torch.sqrt(means["turn"] / filled) * DEGREES
        outputs[f"{name}_rate"] = lr / norm**2
        at = settled_norm(lr, decay, mu, means["push"] / filled)
        outputs[f"{name}_settled"] = torch.where(decay > 0, at, torch.nan)
    return new, outputs


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy on the test digits, in evaluation mode."""
    data = digits()
    return {
        f"{name}_test": measures.accuracy(
            evaluate(_net(name), part(state, name), {}, data.x_test), data.y_test
        )
        for name in NETS
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = [Binding("predicted", f"{name}-predicted", "y", append=True) for name in NETS]
    for name in NETS:
        bindings.append(Binding(f"{name}_test", f"{name}-test", "y", append=True))
        for k in range(LAYERS):
            for what in ("norm", "angle", "rate"):
                uid = f"{name}-{what}-{k + 1}"
                bindings.append(Binding(f"{name}_{what}", uid, "y", (k,), append=True))
    for k in range(LAYERS):
        bindings.append(Binding("bn_settled", f"bn-settled-{k + 1}", "y", (k,), append=True))
    return tuple(bindings)


EFFECTIVE_RATE = Simulation(
    name="effective-rate",
    title="How far does a step turn the weights?",
    caption=(
        "Two networks with three hidden layers of 40 tanh units: same data, seed and starting "
        "weights. Only the weights of the hidden layers decay. From top to bottom: the length of "
        "each layer's weights; the angle by which one step turns them (root mean square over "
        "about ten steps); η/‖W‖²; accuracy. Wide grey lines are predictions for weights in front "
        "of BN: the length from η, λ, μ and the size of the gradient, the angle from η, λ and μ "
        "alone."
    ),
    controls=(
        _controls.rate(0.31622777, low=0.01, high=3.1622777),
        Slider("decay", "weight decay λ", 1e-4, 0.1, 0.01, 0.25, scale="log10", format=".2g",
               switches_on="decays"),
        Toggle("decays", "decay the hidden weights", True),
        Slider("mu", "momentum μ of SGD", 0, 0.95, 0, 0.05),
        _controls.batch(32, low=8),
        _controls.scale(1, scale="log10"),
    ),
    compute=None,
    figure=effective_rate(),
    bindings=_bindings(),
    readout=(
        "With BN, one step turns layers 1, 2 and 3 by {bn_angle[0]:.2f}, {bn_angle[1]:.2f} and "
        "{bn_angle[2]:.2f} degrees; in equilibrium it would be {settled:.2f}. Without BN: "
        "{plain_angle[0]:.2f}, {plain_angle[1]:.2f} and {plain_angle[2]:.2f}. Test digits right: "
        "{bn_test:.0%} with BN, {plain_test:.0%} without."
    ),
    counts={"bn_test": "share", "plain_test": "share"},
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
    history=300,
)  # fmt: skip
