"""`normalisers`: one network five times, with BN, three of its relatives and nothing, in training.

The smallest batch is one example, which `nets.BatchNorm` refuses; `relatives.Relative` takes it.
"""

from functools import cache

from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.moments import moments
from bnviz.maths.record import inputs_of
from bnviz.maths.relatives import BlockNet
from bnviz.templates.normalisers import BINS, NETS, SPAN, normalisers

__all__ = ["NORMALISERS"]

KINDS = tuple(kind for kind, *_ in NETS)


@cache
def _net(kind: str) -> BlockNet:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    return BlockNet(kind)


def initial(seed: Tensor, **controls: Tensor) -> State:
    """All begin with the same filters and weights."""
    return alike({kind: _net(kind) for kind in KINDS}, seed, controls["scale"])


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for each network."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]
    for kind in KINDS:
        net, own = _net(kind), part(state, kind)
        with inputs_of(net.activations) as entered:
            values = hold(net, own, controls)
            new[kind], outputs[f"{kind}_loss"] = descend(net, own, values, batch, controls["lr"])
        for i, v in enumerate(entered, start=1):
            outputs |= {f"{kind}{i}_{k}": value for k, value in _describe(v.detach()).items()}
    return gather(new), outputs


def _describe(v: Tensor) -> dict[str, Tensor]:
    """All values of a layer over the batch: their density, mean and standard deviation."""
    v = v.flatten().unsqueeze(0)  # (1, m c p)
    mean, var = moments(v, 1)
    return {"density": measures.density(v, *SPAN, BINS)[0], "mean": mean[0], "std": var.sqrt()[0]}


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy on the test set in evaluation mode: BN uses its running statistics."""
    data, outputs = digits(), {}
    for kind in KINDS:
        logits = evaluate(_net(kind), part(state, kind), controls, data.x_test)
        outputs[f"{kind}_test"] = measures.accuracy(logits, data.y_test)
    return outputs


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for kind in KINDS:
        bindings += [Binding(f"{kind}{i}_density", f"{kind}-{i}", "y") for i in (1, 2)]
        for what in ("loss", "test"):
            bindings.append(Binding(f"{kind}_{what}", f"{kind}-{what}", "y", append=True))
    return tuple(bindings)


NORMALISERS = Simulation(
    name="normalisers",
    title="Five ways to share a mean, from one example to 256",
    caption=(
        "One network five times: a convolution, a fully connected layer, a head; the same digits, "
        "seed and starting weights. Above: all values that enter the activation, in the last "
        "batch. A taller peak is cut, and the ends collect what lies beyond. Below: loss on each "
        "batch, and accuracy on the test digits in evaluation mode. Instance normalisation has "
        "nothing to do in the fully connected layer: there a channel is a single value."
    ),
    controls=(
        _controls.batch(32, low=1),
        _controls.rate(0.1),
        _controls.activation("relu"),
        _controls.scale(1, scale="log10"),
    ),
    compute=None,
    figure=normalisers(),
    bindings=_bindings(),
    readout=(
        "Batches of {batch:d}. Spread of the values in the fully connected layer: BN "
        "{batch2_std:.2f}, layer {layer2_std:.2f}, group {group2_std:.2f}, instance "
        "{instance2_std:.2f}, none {none2_std:.2f}. Test digits read: BN {batch_test:.0%}, layer "
        "{layer_test:.0%}, group {group_test:.0%}, instance {instance_test:.0%}, none "
        "{none_test:.0%}."
    ),
    counts={
        **{f"{kind}{i}_density": "histogram" for kind in KINDS for i in (1, 2)},
        **{f"{kind}_test": "share" for kind in KINDS},
    },
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={f"{kind}_loss": label for kind, label, *_ in NETS},
)
