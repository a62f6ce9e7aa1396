"""`train-eval`: one image through a network in training, with three kinds of statistics."""

from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.explorers import _controls
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths.data import digits
from bnviz.maths.functional import State, descend, hold
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.templates.train_eval import train_eval

__all__ = ["PROBE", "TRAIN_EVAL", "population_state"]

WIDTH, CLASSES = 64, 10
PROBE = 4  # the frozen input, a test image
WATCHED = 1  # the BN layer whose statistics are shown, the second
WAYS = ("batch", "running", "population")
TOP, OFF, RATIO = 5.0, 1.5, 4.0  # ends of the axes; what lies beyond is drawn there
_EPS = 1e-5


@cache
def _net() -> MLP:
    return MLP((64, WIDTH, WIDTH, CLASSES), norm=True, activation="relu")


def _with_momentum(state: State, momentum: Tensor) -> State:
    return hold(_net(), _own(state), {"momentum": momentum})


def _own(state: State) -> State:
    """What the network learns and tracks; the rest, `last`, is for the figure."""
    return {k: state[k] for k in _net().state_dict()}


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Weights by the seed, running mean 0 and variance 1; `last` is the newest batch."""
    start = initialise(_net(), seed)
    nothing = torch.zeros(WIDTH)
    last = {"mean": nothing, "var": nothing, "logits": torch.zeros(CLASSES)}
    return start | {f"last.{k}": v for k, v in last.items()}


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent; then the probe takes the place of the batch's first image."""
    data = digits()
    x = data.x_train[rows]  # (m, 64)
    own, batch = _own(state), (x, data.y_train[rows])
    new, loss = descend(_net(), own, hold(_net(), own, controls), batch, controls["lr"])
    first = torch.ones_like(rows).cumsum(0) == 1  # by a mask: the trace keeps a free batch size
    seen, last = _in_a_batch(state, torch.where(first.unsqueeze(1), data.x_test[PROBE], x))
    new |= {"last.mean": last[0], "last.var": last[1], "last.logits": seen[0]}
    return new, {"train_loss": loss}


def _in_a_batch(state: State, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Logits with the statistics of the batch x, and those of the watched layer (biased)."""
    values = _with_momentum(state, torch.zeros(()))  # the running statistics stay as they are
    with torch.no_grad(), inputs_of([layer.norm for layer in _net().layers]) as entering:
        logits = functional_call(_net().train(), values, (x,))
    return logits, moments(entering[WATCHED], 0)  # of (m, WIDTH)


def population_state(state: State) -> State:
    """The state with population statistics in place of the running ones.

    The whole training set is one batch: mean and unbiased variance of every layer, the layers below
    normalised in the same way. That is `BatchNorm` in training mode with momentum 1.
    """
    values = _with_momentum(state, torch.ones(()))
    functional_call(_net().train(), values, (digits().x_train,))
    return {k: v.detach() for k, v in values.items()}


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Evaluation mode with running and with population statistics; the probe's outputs."""
    data = digits()
    running = _with_momentum(state, controls["momentum"])
    population = population_state(state)
    x = torch.cat([data.x_test + controls["shift"], data.x_test[PROBE : PROBE + 1], data.x_train])
    n = len(data.x_test)
    outputs = {"batch_logits": state["last.logits"]}
    for way, values in (("running", running), ("population", population)):
        logits = functional_call(_net().eval(), values, (x,))
        outputs[f"{way}_logits"] = logits[n]
        test = F.cross_entropy(logits[:n], data.y_test)
        outputs[f"{way}_loss"] = test
        outputs[f"{way}_shown"] = test.clamp(max=TOP)
        outputs[f"{way}_same"] = F.cross_entropy(logits[n + 1 :], data.y_train)
    return outputs | _statistics(state, population) | _gaps(outputs)


def _statistics(state: State, population: State) -> dict[str, Tensor]:
    """How far each unit's estimates are off: the mean in population stds, and the ratio of stds."""
    norm = f"layers.{WATCHED}.norm"
    true_mean, true_var = (population[f"{norm}.running_{k}"] for k in ("mean", "var"))
    true_std = torch.sqrt(true_var + _EPS)
    estimates = {
        "batch": (state["last.mean"], state["last.var"]),
        "running": (state[f"{norm}.running_mean"], state[f"{norm}.running_var"]),
    }
    outputs = {}
    for way, (mean, var) in estimates.items():
        off, ratio = (mean - true_mean) / true_std, torch.sqrt(var + _EPS) / true_std
        outputs[f"{way}_off"] = off.clamp(-OFF, OFF)
        outputs[f"{way}_ratio"] = ratio.clamp(1 / RATIO, RATIO)
    return outputs


def _gaps(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Largest difference of a logit to the one by population statistics."""
    exact = outputs["population_logits"]
    return {f"{way}_gap": (outputs[f"{way}_logits"] - exact).abs().max() for way in WAYS[:2]}


def _bindings() -> tuple[Binding, ...]:
    losses = {"train_loss": "train-loss", "running_shown": "running-loss"}
    losses["population_shown"] = "population-loss"
    bindings = [Binding(output, trace, "y", append=True) for output, trace in losses.items()]
    bindings += [Binding(f"{way}_logits", f"{way}-logits", "y") for way in WAYS]
    for way in WAYS[:2]:
        bindings.append(Binding(f"{way}_off", f"{way}-units", "x"))
        bindings.append(Binding(f"{way}_ratio", f"{way}-units", "y"))
    return tuple(bindings)


TRAIN_EVAL = Simulation(
    name="train-eval",
    title="One image, three kinds of statistics",
    caption=(
        "A network with two hidden layers of BN learns the digits. Top: its losses. Middle: its "
        "ten outputs for one test image that never changes. Bottom: how far the statistics of the "
        "second layer's 64 units are off; in the cross an estimate is right. Watch the blue dots: "
        "when they leave the cross, the outputs part and the blue loss rises. What lies beyond an "
        "axis is drawn at its end."
    ),
    controls=(
        _controls.batch(32),
        _controls.momentum(low=0.001),
        _controls.rate(0.1, high=3.1622777),
        Slider("shift", "test images brighter by", 0, 2, 0, 0.1, format=".1f"),
    ),
    compute=None,
    figure=train_eval(digits().x_test[PROBE].reshape(8, 8).tolist(), WIDTH, (TOP, OFF, RATIO)),
    bindings=_bindings(),
    readout=(
        "Loss in training mode {train_loss:.2f}. The same training images in evaluation mode: "
        "{running_same:.2f} with running statistics, {population_same:.2f} with population "
        "statistics. Test images: {running_loss:.2f} and {population_loss:.2f}. For the one image, "
        "the running statistics change an output by up to {running_gap:.1f}, those of the last "
        "batch by up to {batch_gap:.1f}, compared with the population's."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    every=5,
    watch={"train_loss": "the network"},
)
