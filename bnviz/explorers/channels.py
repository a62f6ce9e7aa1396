"""`channels`: two small convolutional networks in training, and every channel of theirs."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import measures
from bnviz.maths.convnet import CNN
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.moments import moments
from bnviz.maths.record import inputs_of
from bnviz.templates.channels import COLUMNS, channels

__all__ = ["CHANNELS"]

WIDTHS = (8, 8)  # channels of the two convolutions
POSITIONS = (36, 16)  # of their outputs: 6 x 6 and 4 x 4
LOW, HIGH, BINS = -6.0, 6.0, 48  # range of the values shown
NETS = ("plain", "bn")


@cache
def _net(name: str) -> CNN:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    return CNN(WIDTHS, norm=name == "bn")


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same filters."""
    return alike({name: _net(name) for name in NETS}, seed, controls["scale"])


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data, new, outputs, seen = digits(), {}, {}, {}
    batch = data.x_train[rows], data.y_train[rows]
    for name in NETS:
        net, own = _net(name), part(state, name)
        norms = [layer.norm for layer in net.layers]
        with inputs_of(norms) as raw, inputs_of(net.activations) as entered:
            values = hold(net, own, controls)
            new[name], outputs[f"{name}_loss"] = descend(net, own, values, batch, controls["lr"])
        seen[name], seen[f"{name}_raw"] = entered, raw
    for name, _ in COLUMNS:
        for i, v in enumerate(seen[name], start=1):
            outputs |= {f"{name}{i}_{k}": value for k, value in _describe(v).items()}
    outputs |= {f"count{i}": controls["batch"] * n for i, n in enumerate(POSITIONS, start=1)}
    return gather(new), outputs


def _describe(v: Tensor) -> dict[str, Tensor]:
    """Each channel over batch and positions: (m, c, h, w) -> a histogram and a mean for each c."""
    v = v.detach().transpose(0, 1).flatten(1)  # (c, m h w)
    mean, var = moments(v, 1)
    std = var.sqrt()
    ends = {"mean_low": mean.amin(0), "mean_high": mean.amax(0)}
    ends |= {"std_low": std.amin(0), "std_high": std.amax(0)}
    heat = torch.log10(measures.density(v, LOW, HIGH, BINS) + 1e-3)
    return {"heat": heat, "means": mean.clamp(LOW, HIGH), **ends}


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy on the test set in evaluation mode: BN uses its running statistics."""
    data, outputs = digits(), {}
    for name in NETS:
        logits = evaluate(_net(name), part(state, name), controls, data.x_test)
        outputs[f"{name}_test"] = measures.accuracy(logits, data.y_test)
    return outputs


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for i in (1, 2):
        for name, _ in COLUMNS:
            bindings.append(Binding(f"{name}{i}_heat", f"{name}-{i}", "z"))
            bindings.append(Binding(f"{name}{i}_means", f"{name}-{i}-means", "x"))
    for name in NETS:
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_test", f"{name}-test", "y", append=True))
    return tuple(bindings)


CHANNELS = Simulation(
    name="channels",
    title="One mean and one variance for each channel",
    caption=(
        "Two convolutional networks read digits: 8 filters of 3 × 3, then 8 more. Each row "
        "is one channel: where its values lie, over all digits of the batch and all positions; the "
        "dot is their mean. Middle and right are the same network: what goes into BN, and what "
        "comes out. Watch which dots stay in line. What lies beyond an axis is drawn at its end."
    ),
    controls=(
        _controls.activation("relu"),
        _controls.rate(0.50118723),
        _controls.batch(32, high=128),
        _controls.momentum(),
        _controls.scale(1.4, high=8),
        *_controls.hold(),
    ),
    compute=None,
    figure=channels(WIDTHS, LOW, HIGH, BINS),
    bindings=_bindings(),
    readout=(
        "Layer 2, each mean over {count2:d} values. Means of the 8 channels: {plain2_mean_low:.1f} "
        "to {plain2_mean_high:.1f} without BN, {bn_raw2_mean_low:.1f} to {bn_raw2_mean_high:.1f} "
        "into BN, {bn2_mean_low:.1f} to {bn2_mean_high:.1f} out of it; std there "
        "{bn2_std_low:.1f} to {bn2_std_high:.1f}. Test digits read: {plain_test:.0%} without BN, "
        "{bn_test:.0%} with BN."
    ),
    counts={
        **{f"{name}{i}_heat": "log histogram" for name, _ in COLUMNS for i in (1, 2)},
        **{f"{name}_test": "share" for name in NETS},
    },
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
)
