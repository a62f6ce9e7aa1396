"""`placement`: one network three times, without BN, with BN before and after the activation."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP
from bnviz.maths.record import inputs_of
from bnviz.templates.placement import placement

__all__ = ["PLACEMENT"]

DEPTH, WIDTH, CLASSES = 3, 40, 10
BINS = 49  # an odd number, so that 0 is the middle of a bin
SPANS = {"in": (-6.0, 6.0), "out": (-4.0, 4.0)}  # of the values shown
NETS = ("plain", "before", "after")


@cache
def _net(name: str) -> MLP:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    where = "after" if name == "after" else "before"
    return MLP((64, *[WIDTH] * DEPTH, CLASSES), norm=name != "plain", placement=where)


def initial(seed: Tensor, **controls: Tensor) -> State:
    """All begin with the same weights; BN with gamma 1, beta 0, running statistics 0 and 1."""
    return alike({name: _net(name) for name in NETS}, seed, controls["scale"])


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for each network."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name), part(state, name)
        behind = [*net.layers[1:], net.head]  # what enters these has left the layers
        with inputs_of(net.activations) as entered, inputs_of(behind) as left:
            values = hold(net, own, controls)
            new[name], loss = descend(net, own, values, batch, controls["lr"])
        described = _describe(entered, left, controls["activation"])
        outputs |= {f"{name}_{k}": v for k, v in ({"loss": loss} | described).items()}
    return gather(new), outputs


def _describe(entered: list[Tensor], left: list[Tensor], activation: Tensor) -> dict[str, Tensor]:
    """What enters the activation of each layer, and what the layer hands on; (DEPTH, ...)."""
    v = torch.stack([a.detach() for a in entered])  # (DEPTH, m, WIDTH)
    described = {
        "saturated": measures.saturated(v.flatten(1), activation),
        "dead": measures.dead(v, activation),
    }
    for place, tensors in (("in", entered), ("out", left)):
        v = torch.stack([a.detach().flatten() for a in tensors])  # (DEPTH, m * WIDTH)
        described[f"{place}_density"] = measures.density(v, *SPANS[place], BINS)
        mean, var = moments(v, 1)
        described |= {f"{place}_mean": mean, f"{place}_std": var.sqrt()}
    return described


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy on the test set in evaluation mode: BN uses its running statistics."""
    data, outputs = digits(), {}
    for name in NETS:
        logits = evaluate(_net(name), part(state, name), controls, data.x_test)
        outputs[f"{name}_test"] = measures.accuracy(logits, data.y_test)
    return outputs


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        for place in ("in", "out"):
            bindings += [
                Binding(f"{name}_{place}_density", f"{name}-{place}-{i + 1}", "y", (i,))
                for i in range(DEPTH)
            ]
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_saturated", f"{name}-saturated", "y"))
    return tuple(bindings)


PLACEMENT = Simulation(
    name="placement",
    title="Before the activation, after it, or not at all",
    caption=(
        "One network three times: the same data, seed and starting weights. Left: what enters the "
        "activation of each layer. Right: what the layer hands on. The ends of a row collect what "
        "lies beyond it; a taller peak is cut. Look for the column in which a curve keeps its "
        "place and width, whatever you do to the sliders. Below: who learns, and how much of each "
        "layer lies where the activation is flat."
    ),
    controls=(
        _controls.activation("sigmoid"),
        _controls.rate(1.0),
        _controls.batch(32, low=4),
        _controls.momentum(),
        _controls.scale(4, high=8),
        *_controls.hold(),
    ),
    compute=None,
    figure=placement(DEPTH, SPANS, BINS),
    bindings=_bindings(),
    readout=(
        "Layer 3, without BN / BN before / BN after. Into the activation: std "
        "{plain_in_std[2]:.1f} / {before_in_std[2]:.1f} / {after_in_std[2]:.1f}, "
        "{plain_saturated[2]:.0%} / {before_saturated[2]:.0%} / {after_saturated[2]:.0%} flat, "
        "{plain_dead[2]:.0%} / {before_dead[2]:.0%} / {after_dead[2]:.0%} of the units flat for "
        "the whole batch. Out: mean {plain_out_mean[2]:.1f} / {before_out_mean[2]:.1f} / "
        "{after_out_mean[2]:.1f}, std {plain_out_std[2]:.1f} / {before_out_std[2]:.1f} / "
        "{after_out_std[2]:.1f}. Test digits read: {plain_test:.0%} / {before_test:.0%} / "
        "{after_test:.0%}."
    ),
    counts={
        **{f"{name}_{place}_density": "histogram" for name in NETS for place in SPANS},
        **{f"{name}_{what}": "share" for name in NETS for what in ("saturated", "test")},
    },
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "before_loss": "BN before", "after_loss": "BN after"},
)
