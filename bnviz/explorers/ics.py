"""`ics`: both measures of internal covariate shift, live: plain, with BN, with noisy BN."""

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import trio
from bnviz.maths.data import digits
from bnviz.maths.functional import State
from bnviz.maths.moments import moments
from bnviz.maths.trio import DEPTH, NETS
from bnviz.templates.ics import ics

__all__ = ["ICS"]

PLACES = ("after BN", "before BN")
_PROBE = 64  # training rows on which the distributions are compared from step to step


def initial(seed: Tensor, **controls: Tensor) -> State:
    """The same starting values for all three, and where their units' values lie before any step."""
    p = trio.start(seed, controls["scale"])
    kept = {"seed": seed.reshape(1), "count": torch.zeros(1)}
    noise = trio.noise(_PROBE, seed, kept["count"][0], controls["noise"])
    mean, std = _moments(p, noise, controls)
    return p | kept | {"mean": mean, "std": std}


def _moments(p: State, noise: trio.Noise, controls: State) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every unit, each (PLACES, DEPTH, 3, WIDTH)."""
    x = digits().x_train[:_PROBE]
    with torch.no_grad():
        _, v = trio.forward(p, x, noise, controls["activation"])
    mean, var = moments(v, 3)
    return mean, var.sqrt()


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for all three, with both measures.

    Where all units of a layer are constant, a move is infinite in their standard deviations, or NaN
    if there is none; the change of a gradient that was 0 is NaN.
    """
    data, activation, lr = digits(), controls["activation"], controls["lr"]
    x, y = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    p = {k: v for k, v in state.items() if k not in ("seed", "count", "mean", "std")}
    count = state["count"] + 1
    m = x.shape[0]
    both = trio.noise(m + _PROBE, state["seed"][0], count[0], controls["noise"])
    (s, t), (s0, t0) = [v[:, _PROBE:] for v in both], [v[:, :_PROBE] for v in both]
    loss, g = trio.gradients(p, list(p), x, y, (s, t), activation)
    changed, cosine = trio.gradient_shift(p, g, lr, x, y, (s, t), activation)
    p = {k: p[k] - lr * g[k] for k in p}
    mean, std = _moments(p, (s0, t0), controls)
    distance = torch.sqrt((mean - state["mean"]) ** 2 + (std - state["std"]) ** 2)
    moved = distance.mean(3) / state["std"].mean(3)  # (PLACES, DEPTH, 3)
    new = p | {"seed": state["seed"], "count": count, "mean": mean, "std": std}
    found = {"loss": loss, "moved": moved.movedim(2, 0), "changed": changed, "cosine": cosine}
    found |= _chosen(found, controls)
    return new, {f"{n}_{k}": v[i] for i, n in enumerate(NETS) for k, v in found.items()}


def _chosen(found: dict[str, Tensor], controls: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the readout says, of the chosen layer and place: each (3,)."""
    layer, place = (controls[k].long().reshape(1) for k in ("layer", "place"))
    moved = found["moved"].index_select(1, place)[:, 0].index_select(1, layer - 1)[:, 0]
    changed = found["changed"].index_select(1, layer - 1)[:, 0]
    return {"moved_here": moved, "changed_here": changed}


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        for output, by in (
            ("moved", ("place", "layer")), ("changed", ("layer",)), ("cosine", ("layer",)),
        ):  # fmt: skip
            bindings.append(
                Binding(f"{name}_{output}", f"{name}-{output}", "y", append=True, by=by)
            )
    return tuple(bindings)


ICS = Simulation(
    name="ics",
    title="Two measures of internal covariate shift",
    caption=(
        "Three networks with the same data, seed and starting weights. Under the loss, of one "
        "layer: how far the distribution of a unit's values moved in this step, in standard "
        "deviations; then the gradient G of the layer's weights against G′, the same after the "
        "layers below took their step: by how much it changed, as a fraction of its length, and "
        "whether it still points the same way (cosine 1)."
    ),
    controls=(
        _controls.activation("sigmoid"),
        Slider("lr", "learning rate", 0.01, 10, 0.50118723, 0.1, scale="log10", format=".2g"),
        _controls.batch(64, low=4),
        _controls.scale(2, low=0.5, high=5, format=".1f"),
        Slider("noise", "noise (published: 1)", 0, 3, 1, 0.1, format=".1f"),
        Slider("layer", "look at layer", 1, DEPTH, DEPTH, 1, format="d"),
        Choice("place", "distribution", PLACES, PLACES[0]),
    ),
    compute=None,
    figure=ics(),
    bindings=_bindings(),
    readout=(
        "Layer {layer:d}, in this step. Its values moved by {plain_moved_here:.2g} standard "
        "deviations without BN, {bn_moved_here:.2g} with BN, {noisy_moved_here:.2g} with noisy BN. "
        "Its gradient changed by {plain_changed_here:.0%}, {bn_changed_here:.0%} and "
        "{noisy_changed_here:.0%} of its length. Loss {plain_loss:.2f}, {bn_loss:.2f} and "
        "{noisy_loss:.2f}."
    ),
    initial=initial,
    step=step,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN", "noisy_loss": "with noisy BN"},
)
