"""`landscape`: how smooth the loss is along the gradient, at moments of a live training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.func import grad_and_value
from torch.nn import functional as F

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths.data import digits
from bnviz.maths.functional import State, hold, part
from bnviz.maths.landscape import call, in_double, line_search
from bnviz.maths.nets import MLP, initialise
from bnviz.templates.landscape import Ranges, landscape

__all__ = ["LANDSCAPE", "READOUT", "WATCH", "Problem", "bindings"]

NETS = ("plain", "bn")
RATIOS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of a step: Santurkar et al.'s range for VGG
SIZES = (64, 32, 32, 32, 10)
PROBE = 200  # training rows on which the loss along the line is measured


def _nothing(seed: Tensor) -> State:
    return {}


@dataclass(frozen=True)
class Problem:
    """Two networks and their losses, and the functions of a Simulation made of them.

    Args:
        net: "plain" or "bn" -> the module.
        start: (seed, scale) -> where both networks begin; gamma 1 and beta 0 included.
        data: (state, rows, dtype) -> inputs and targets.
        loss: (output, target) -> scalar.
        ratios: where to look along the line.
        probe: the line search uses the first so many rows.
        extra: (seed) -> what else belongs to the state, such as the task.
    """

    net: Callable[[str], nn.Module]
    start: Callable[[Tensor, Tensor], State]
    data: Callable[..., tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    ratios: tuple[float, ...]
    probe: int
    extra: Callable[[Tensor], State] = _nothing

    def of(self, name: str, x: Tensor, y: Tensor, controls: State) -> Callable[[State], Tensor]:
        """The loss of one network on some data, as a function of what it learns."""
        net = self.net(name)
        return lambda values: self.loss(call(net, hold(net, values, controls), x), y)

    def initial(self, seed: Tensor, **controls: Tensor) -> State:
        """Both networks begin with the same weights."""
        values = self.start(seed, controls["scale"])
        own = {
            f"{name}.{key}": values.get(key, value.detach())
            for name in NETS
            for key, value in self.net(name).named_parameters()
        }
        return own | self.extra(seed)

    def step(self, state: State, rows: Tensor, **controls: Tensor) -> tuple[State, State]:
        """One step of gradient descent on the same rows, for both networks."""
        new, outputs = dict(state), {}
        x, y = self.data(state, rows, torch.float32)
        for name in NETS:
            values = part(state, name)
            gradient, loss = grad_and_value(self.of(name, x, y, controls))(values)
            new |= {f"{name}.{k}": w - controls["lr"] * gradient[k] for k, w in values.items()}
            outputs[f"{name}_loss"] = loss
        return new, outputs

    def observe(self, state: State, **controls: Tensor) -> State:
        """The line search for both networks, in float64."""
        outputs = {}
        controls, state = in_double(controls), in_double(state)
        ratios = torch.tensor(self.ratios, dtype=torch.float64)
        x, y = self.data(state, slice(0, self.probe), torch.float64)
        for name in NETS:
            loss = self.of(name, x, y, controls)
            found = line_search(loss, part(state, name), controls["lr"], ratios)
            outputs |= {f"{name}_{k}": v.float() for k, v in _describe(found).items()}
        return outputs


def _describe(found: State) -> State:
    """The curves begin at the point itself; a change of 0 has no place on a logarithmic axis."""
    here, change = found["here"].reshape(1), found["change"]
    return {
        "line": torch.cat([here, found["loss"]]),
        "least": found["loss"].amin(0),
        "most": found["loss"].amax(0),
        "change_line": torch.cat([torch.full_like(here, torch.nan), change]),
        "change_least": change.amin(0),
        "change_most": change.amax(0),
        "beta": found["beta"],
        "norm": found["norm"],
    }


def bindings() -> tuple[Binding, ...]:
    """Left: the line now. Right: bands from least to most, and beta, over the run."""
    bound = []
    for name in NETS:
        bound.append(Binding(f"{name}_line", f"{name}-line", "y"))
        bound.append(Binding(f"{name}_change_line", f"{name}-change-line", "y"))
        for what in ("least", "most", "change_least", "change_most", "beta"):
            uid = f"{name}-{what.replace('_', '-')}"
            bound.append(Binding(f"{name}_{what}", uid, "y", append=True))
    return tuple(bound)


READOUT = (
    "Without BN, loss {plain_loss:.3g}; up to {far} steps ahead it lies between {plain_least:.3g} "
    "and {plain_most:.3g}, and the gradient changes by up to {plain_change_most:.3g}: "
    "β = {plain_beta:.3g}. With BN, loss {bn_loss:.3g}; {bn_least:.3g} to {bn_most:.3g} ahead, "
    "{bn_change_most:.3g}: β = {bn_beta:.3g}."
)
WATCH = {"plain_loss": "without BN", "bn_loss": "with BN"}


@cache
def _net(name: str) -> MLP:
    return MLP(SIZES, norm=name == "bn")


def _start(seed: Tensor, scale: Tensor) -> State:
    return initialise(_net("bn"), seed, scale)


def _data(state: State, rows: Tensor | slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return digits().x_train[rows].to(dtype), digits().y_train[rows]


_DIGITS = Problem(_net, _start, _data, F.cross_entropy, RATIOS, PROBE)

LANDSCAPE = Simulation(
    name="landscape",
    title="How far ahead can you trust the gradient?",
    caption=(
        "Two networks in training, from the same weights, on the same batches. Every ten steps we "
        "walk along the gradient, up to four steps far, and look. Above: the loss there. In the "
        "middle: how much the gradient has changed from the one we followed. Below: the largest "
        "change per distance walked. A smooth loss has narrow bands and a low curve below."
    ),
    controls=(
        _controls.activation("relu"),
        _controls.rate(0.1),
        _controls.batch(64),
        _controls.scale(1.4),
    ),
    compute=None,
    figure=landscape(RATIOS, Ranges((0, 4.1), False, (-3, 1.7), True, (-3, 2), (-1.2, 2.6))),
    bindings=bindings(),
    readout=READOUT.replace("{far}", "4"),
    initial=_DIGITS.initial,
    step=_DIGITS.step,
    observe=_DIGITS.observe,
    rows=len(digits().x_train),
    watch=WATCH,
)
