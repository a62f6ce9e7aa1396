"""`loss-surface`: a plane through the start and two optimisers, with and without BN."""

from functools import cache, partial

import torch
from torch import Tensor
from torch.func import grad

from bnviz.explorers import _controls
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths.data import digits
from bnviz.maths.functional import State, part
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.surface import OPTIMISERS, begin, losses_of, plateaus, slice_of, update
from bnviz.templates.loss_surface import loss_surface

__all__ = ["LOSS_SURFACE"]

NETS = ("plain", "bn")
SIZES = (64, 16, 16, 16, 16, 16, 10)
GRID, PROBE = 21, 100
PAIRS = ((0, 1), (0, 2), (1, 2))  # which optimisers span the plane
_KINDS = ("start", "w", "m", "s")


@cache
def _net(name: str) -> MLP:
    return MLP(SIZES, norm=name == "bn")


def initial(seed: Tensor, **controls: Tensor) -> State:
    """All six runs begin with the same weights."""
    drawn = initialise(_net("bn"), seed, controls["scale"])
    state = {"count": torch.zeros(1)}
    for name in NETS:
        start = {k: drawn.get(k, v.detach()) for k, v in _net(name).named_parameters()}
        for kind, values in zip(_KINDS, (start, *begin(start)), strict=True):
            state |= {f"{name}.{kind}.{k}": v for k, v in values.items()}
    return state


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of three optimisers for two networks, on the same minibatch."""
    data = digits()
    x, y = data.x_train[rows], data.y_train[rows]
    new, outputs = dict(state) | {"count": state["count"] + 1}, {}
    for name in NETS:
        w, m, s = (part(state, f"{name}.{kind}") for kind in ("w", "m", "s"))
        gradient, losses = grad(_total, has_aux=True)(w, x, y, controls["activation"])
        moved = update(w, m, s, gradient, controls["lr"], new["count"][0])
        for kind, values in zip(("w", "m", "s"), moved, strict=True):
            new |= {f"{name}.{kind}.{k}": v for k, v in values.items()}
        outputs |= {f"{name}_losses": losses, f"{name}_loss": losses.sum() / 3}
    return new, outputs


def _total(w: State, *batch) -> tuple[Tensor, Tensor]:
    """Sum of the losses of the three, whose gradient is that of each, and the losses."""
    losses = losses_of(w, *batch)
    return losses.sum(), losses


def _losses(values: State, batch: tuple) -> Tensor:
    return losses_of(values, *batch)


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """The slice of both networks, their plateaus, and where the marks stand in it.

    A loss that overflows is infinite and draws nothing.
    """
    data = digits()
    x, y = data.x_train[:PROBE], data.y_train[:PROBE]
    unit = torch.linspace(-1, 1, GRID)  # places in the picture
    places = 0.5 + controls["extent"] * unit  # in trips; the picture's centre is (1/2, 1/2)
    marks = (torch.tensor([1.0, 0.0, 0.0]) - 0.5) / controls["extent"]
    outputs = {"marks_x": marks, "marks_y": marks.flip(0)}
    for name in NETS:
        start, ends = part(state, f"{name}.start"), part(state, f"{name}.w")
        ends = {k: _chosen(v, controls["pair"]) for k, v in ends.items()}
        a, b = ({k: v[i] for k, v in ends.items()} for i in (0, 1))
        batch = (x, y, controls["activation"])
        z = slice_of(partial(_losses, batch=batch), start, a, b, places)  # (GRID, GRID)
        z = torch.where(z == z, z, torch.inf)  # the difference of two that overflowed
        flat = plateaus(z, controls["extent"] * 2 / (GRID - 1))
        inner = unit[1:-1].repeat_interleave(GRID - 2)
        outputs |= {
            f"{name}_height": torch.log10(z / 2.302585),
            f"{name}_flat": torch.where(flat.flatten() > 0.5, inner, torch.nan),
            f"{name}_plateau": flat.mean(),
            f"{name}_highest": z.flatten().amax(0),
            f"{name}_lowest": z.flatten().amin(0),
        }
    return outputs


def _chosen(w: Tensor, pair: Tensor) -> Tensor:
    """The two of the three that span the plane: (3, ...) -> (2, ...)."""
    first, second, third = (w[list(p)] for p in PAIRS)
    return torch.where(pair < 0.5, first, torch.where(pair < 1.5, second, third))


def _bindings() -> tuple[Binding, ...]:
    bound = []
    for name in NETS:
        bound.append(Binding(f"{name}_height", f"{name}-surface", "z"))
        bound.append(Binding(f"{name}_flat", f"{name}-flat", "y"))
        bound.append(Binding("marks_x", f"{name}-marks", "x"))
        bound.append(Binding("marks_y", f"{name}-marks", "y"))
        for i, optimiser in enumerate(OPTIMISERS):
            uid = f"{name}-{optimiser.lower()}"
            bound.append(Binding(f"{name}_losses", uid, "y", (i,), append=True))
    return tuple(bound)


LOSS_SURFACE = Simulation(
    name="loss-surface",
    title="A plane through the loss surface",
    caption=(
        "Each square is a plane in the space of all weights: it holds the point where training "
        "began (circle) and the points where two optimisers are now (square: along x; diamond: "
        "along y). Green is better than guessing, purple is worse, no colour is as good as "
        "guessing. Dots mark plateaus. SGD takes the learning rate, momentum a fifth of it, Adam a "
        "twentieth."
    ),
    controls=(
        _controls.activation("sigmoid"),
        Choice("pair", "plane", ("SGD, momentum", "SGD, Adam", "momentum, Adam"), "SGD, Adam"),
        Slider("extent", "half width (trips)", 0.6, 5, 1, 0.1),
        Slider(
            "lr", "learning rate (SGD)", 0.001, 10, 0.50118723, 0.1, scale="log10", format=".3g"
        ),
        _controls.batch(32),
        _controls.scale(2, low=0.5),
    ),
    compute=None,
    figure=loss_surface(GRID),
    bindings=_bindings(),
    readout=(
        "Plateaus cover {plain_plateau:.0%} of the plane without BN and {bn_plateau:.0%} with BN. "
        "The loss there runs from {plain_lowest:.2f} to {plain_highest:.3g} without BN, from "
        "{bn_lowest:.2f} to {bn_highest:.3g} with BN."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    every=20,
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
)
