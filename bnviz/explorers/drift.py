"""`drift`: two networks in training, with and without BN, and what reaches every layer."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Counted, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP
from bnviz.maths.record import inputs_of
from bnviz.templates.drift import drift

__all__ = ["DRIFT"]

DEPTH, WIDTH, CLASSES = 5, 64, 10
LOW, HIGH, BINS = -8.0, 8.0, 48  # range of the pre-activations shown
NETS = ("plain", "bn")
SHARES = (0.15, 0.5, 0.85)  # the percentiles of one unit's track
_PROBE = 360  # training rows on which the training accuracy is measured


@cache
def _net(name: str) -> MLP:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    sizes = (64, *[WIDTH] * DEPTH, CLASSES)
    return MLP(sizes, norm=name == "bn")


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same weights; BN with gamma 1, beta 0, running stats 0 and 1."""
    return alike({name: _net(name) for name in NETS}, seed, controls["scale"])


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name), part(state, name)
        with inputs_of(net.activations) as entered:
            values = hold(net, own, controls)
            new[name], outputs[f"{name}_loss"] = descend(net, own, values, batch, controls["lr"])
        v = torch.stack([a.detach() for a in entered])  # (DEPTH, m, WIDTH)
        outputs |= _describe(name, v, controls)
    return gather(new), outputs


def _describe(name: str, v: Tensor, controls: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is drawn of the pre-activations v, (DEPTH, m, WIDTH), of one network."""
    track = measures.percentiles(v, SHARES)  # (SHARES, DEPTH, WIDTH)
    v = v.flatten(1)  # (DEPTH, m * WIDTH)
    p = measures.density(v, LOW, HIGH, BINS)  # (DEPTH, BINS)
    mean, var = moments(v, 1)
    flat = measures.saturated(v, controls["activation"])  # (DEPTH,)
    at = (controls["layer"] - 1).long().reshape(1)
    chosen = torch.stack([mean, var.sqrt(), flat]).index_select(1, at)  # (3, 1)
    return {
        f"{name}_density": p,
        f"{name}_heat": torch.log10(p + 1e-3),
        f"{name}_track": track,
        f"{name}_mean": chosen[0, 0],
        f"{name}_std": chosen[1, 0],
        f"{name}_saturated": chosen[2, 0],
        f"{name}_all_saturated": 100 * flat.flip(0)[:, None],  # per cent, layer 1 on top
    }


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy in evaluation mode: BN normalises with its running statistics."""
    data = digits()
    x = torch.cat([data.x_train[:_PROBE], data.x_test])
    outputs = {}
    for name in NETS:
        logits = evaluate(_net(name), part(state, name), controls, x)
        train, test = logits.split([_PROBE, len(data.x_test)])
        outputs[f"{name}_train"] = measures.accuracy(train, data.y_train[:_PROBE])
        outputs[f"{name}_test"] = measures.accuracy(test, data.y_test)
    return outputs


_COUNTS: dict[str, Counted] = {
    "density": "histogram",
    "heat": "log histogram",
    "track": "sample",
    "saturated": "share",
    "all_saturated": "share",
    "train": "share",
    "test": "share",
}


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        for i in range(DEPTH):
            heat, now = f"{name}-{i + 1}-over-time", f"{name}-{i + 1}-now"
            bindings.append(Binding(f"{name}_heat", heat, "z", (i,), append=True))
            bindings.append(Binding(f"{name}_density", now, "x", (i,)))
        bindings.append(Binding(f"{name}_all_saturated", f"{name}-saturated", "z"))
        for k, share in enumerate(SHARES):
            track, by = f"{name}-p{100 * share:.0f}", ("layer", "unit")
            bindings.append(Binding(f"{name}_track", track, "y", (k,), append=True, by=by))
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_train", f"{name}-train", "y", append=True))
        bindings.append(Binding(f"{name}_test", f"{name}-test", "y", append=True))
    return tuple(bindings)


DRIFT = Simulation(
    name="drift",
    title="Two networks learn to read digits",
    caption=(
        "The same data, seed and starting weights; the network on the right has batch "
        "normalisation. Each row is a hidden layer: colour shows where its pre-activations lay at "
        "each training step, the curve beside it where they lie now, the number the share that is "
        "saturated, in per cent. Below the layers, one unit that you choose: its median, and the "
        "band from its 15th to its 85th percentile in the batch. Watch how far the bands wander, "
        "and which network learns. Accuracy: solid on the test set, dotted in training."
    ),
    controls=(
        _controls.activation("sigmoid"),
        _controls.rate(1.5848932),
        _controls.batch(32),
        _controls.momentum(),
        _controls.scale(2),
        *_controls.hold(),
        Slider("layer", "look at layer", 1, DEPTH, 5, 1, format="d"),
        Slider("unit", "unit of that layer", 1, WIDTH, 1, 1, format="d"),
    ),
    compute=None,
    figure=drift(DEPTH, LOW, HIGH, BINS),
    bindings=_bindings(),
    readout=(
        "Layer {layer:d} without BN: mean {plain_mean:.1f}, std {plain_std:.1f}, "
        "{plain_saturated:.0%} saturated, loss {plain_loss:.2f}. "
        "With BN: mean {bn_mean:.1f}, std {bn_std:.1f}, "
        "{bn_saturated:.0%} saturated, loss {bn_loss:.2f}."
    ),
    counts={f"{name}_{what}": how for name in NETS for what, how in _COUNTS.items()},
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
)
