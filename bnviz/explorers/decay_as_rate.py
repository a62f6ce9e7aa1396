"""`decay-as-rate`: weight decay at a constant rate is no decay at a rate that grows.

Three networks that begin alike. Every other parameter than the hidden layers' weights moves at the
constant rate and without decay in all three. BN's eps is next to nothing: it would notice lengths.
There are no running statistics: they would remember lengths that the weights no longer have.
"""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths.data import digits
from bnviz.maths.decay import forgetful, slopes
from bnviz.maths.functional import State, alike, evaluate, gather, part
from bnviz.maths.nets import MLP, BatchNorm
from bnviz.templates.decay_as_rate import NETS, decay_as_rate

__all__ = ["DECAY_AS_RATE"]

SIZES, LAYER = (64, 40, 40, 40, 10), 1  # the second hidden layer is drawn
EPS = 1e-12  # of BN: variances are about 1 and more
FLOOR = 1e-8  # smaller differences are drawn here


@cache
def _net() -> MLP:
    net = MLP(SIZES, norm=True, activation="tanh")
    for layer in net.layers:
        layer.norm = BatchNorm(SIZES[1], eps=EPS, track_running_stats=False)
    return net


@cache
def _learned() -> tuple[str, ...]:
    return tuple(k for k, _ in _net().named_parameters())


def initial(seed: Tensor, **controls: Tensor) -> State:
    """All begin with the same weights. `shrunk`: the product of (1 - lr decay) so far."""
    state = alike({name: _net() for name in NETS}, seed, controls["scale"])
    return state | {"shrunk": torch.ones(())}


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step on the same minibatch for all; see the three lines with `rate` and `keep`."""
    data, lr = digits(), controls["lr"]
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    before, one = state["shrunk"], torch.ones(())
    after = before * (1 - lr * controls["decay"])
    keep = {"decay": 1 - lr * controls["decay"], "rate": one, "neither": one}
    rate = {"decay": lr, "rate": lr / (before * after), "neither": lr}
    new: State = {"shrunk": after}
    outputs = {"grown": rate["rate"], "constant": lr}
    for name in NETS:
        own = part(state, name)
        gradients, moved, outputs[f"{name}_loss"] = slopes(_net(), own, _learned(), batch)
        for k, g in gradients.items():
            hidden = k in forgetful(_net())
            moved[k] = own[k] * keep[name] - rate[name] * g if hidden else own[k] - lr * g
        square = moved[forgetful(_net())[LAYER]].square().sum()
        outputs |= {f"{name}_norm": square.sqrt(), f"{name}_effective": rate[name] / square}
        new |= gather({name: moved})
    return new, outputs


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """How far the probabilities of the test digits, as one batch, lie from those with decay."""
    data = digits()
    answers = {
        name: evaluate(_net(), part(state, name), {}, data.x_test).softmax(1) for name in NETS
    }
    return {
        f"{name}_apart": (answers[name] - answers["decay"]).abs().amax().clamp(min=FLOOR)
        for name in NETS[1:]
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = [
        Binding("grown", "rate-rate", "y", append=True),
        Binding("constant", "decay-rate", "y", append=True),
    ]
    for name in NETS:
        for what in ("loss", "norm", "effective"):
            bindings.append(Binding(f"{name}_{what}", f"{name}-{what}", "y", append=True))
    for name in NETS[1:]:
        bindings.append(Binding(f"{name}_apart", f"{name}-apart", "y", append=True))
    return tuple(bindings)


DECAY_AS_RATE = Simulation(
    name="decay-as-rate",
    title="Two trainings, one function",
    caption=(
        "Three networks with BN, same data and starting weights. Blue: weight decay on the hidden "
        "weights, constant rate. Violet: no decay, a rate for these weights that grows. Green, "
        "the control: no decay, constant rate. Length, rate and effective rate are those of the "
        "second hidden layer. Below: how far the probabilities of the test digits lie from those "
        "of the blue network, at most."
    ),
    controls=(
        _controls.rate(0.1, low=0.01, high=1),
        Slider("decay", "weight decay λ", 1e-3, 0.1, 0.031622777, 0.25, scale="log10",
               format=".2g"),
        _controls.batch(32, low=8),
        _controls.scale(1, scale="log10"),
    ),
    compute=None,
    figure=decay_as_rate(),
    bindings=_bindings(),
    readout=(
        "Loss with decay {decay_loss:.3f}, with a growing rate {rate_loss:.3f}, with neither "
        "{neither_loss:.3f}. The rate has grown to {grown:.3g}, the length of the weights to "
        "{rate_norm:.3g}; with decay it is {decay_norm:.3g}. Probabilities differ by at most "
        "{rate_apart:.0e}; from those with neither, by {neither_apart:.0e}."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={f"{name}_norm": called for name, called in
           (("decay", "with decay"), ("rate", "with a growing rate"), ("neither", "neither"))},
    history=300,
)  # fmt: skip
