"""Trainings of an MLP on the digits, compiled: some ten times as fast as PyTorch runs them.

The same PyTorch functions as everywhere, through the compiler of the figures.
"""

from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor, nn

from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function, Layout
from bnviz.maths.apart import lengths_of
from bnviz.maths.data import Split, digits
from bnviz.maths.functional import State, descend, evaluate
from bnviz.maths.measures import accuracy
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler

__all__ = ["Trainer", "held_out", "trainer"]

VALIDATION = 287  # a fifth of the training rows
GUESSING = 0.1  # the accuracy of a network that has diverged


@cache
def held_out() -> tuple[Split, Split]:
    """(fit, judge): the digits, of whose training rows the last 287 judge which settings are best.

    `fit.x_test` are these rows; `judge` has the test rows, which nothing is chosen by.
    """
    data = digits()
    x, y = data.x_train[:-VALIDATION], data.y_train[:-VALIDATION]
    fit = Split(x, y, data.x_train[-VALIDATION:], data.y_train[-VALIDATION:])
    return fit, Split(x, y, data.x_test, data.y_test)


class Trainer:
    """One network, to be trained again and again; its own parameters are never used.

    Args:
        net: a network for the digits; parameters that require no gradient keep their start.
        batch: rows of a minibatch, at least 2.
    """

    def __init__(self, net: nn.Module, batch: int):
        self.batch, self.functions = batch, _functions(net)
        self.instance = Instance(compile_functions(self.functions, (batch, batch)))

    def scores(
        self,
        steps: Iterable[int],
        *,
        lr: float | Callable[[int], float],
        scale: float,
        seed: int,
        l2: float = 0.0,
        first: int | None = None,
        until: float = 1.1,
    ) -> dict[str, list[float]]:
        """Accuracies after so many steps of gradient descent.

        Args:
            steps: at which to look, ascending.
            lr: learning rate, or a function of the number of steps made.
            scale: of the initial weights, as in `nets.initialise`.
            seed: of initial weights and minibatches.
            l2: times each weight matrix is added to its gradient.
            first: train on so many of the training rows only.
            until: look no more once both accuracies have reached it.

        Returns:
            "validation" and "test", a share for each of the steps, in evaluation mode. Once a
            parameter is not finite it is that of guessing.
        """
        run, rows = self.instance, Shuffler(first or len(held_out()[0].x_train), seed)
        rate = lr if callable(lr) else lambda step: lr
        controls = torch.tensor([rate(0), scale, l2])
        run.run("initial", seed=torch.tensor([float(seed)]), controls=controls)
        run.keep("initial")
        found: dict[str, list[float]] = {"validation": [], "test": []}
        done = 0
        for number in steps:
            for step in range(done, number):
                given = {"controls": torch.tensor([rate(step), scale, l2])} if callable(lr) else {}
                run.run("step", rows=rows.take(self.batch), **given)
                run.keep("step")
            done = number
            seen = run("observe")
            finite = bool(seen["finite"])
            for key, values in found.items():
                values.append(float(seen[key]) if finite else GUESSING)
            if min(values[-1] for values in found.values()) >= until:
                break
        return found


@cache
def trainer(batch: int, frozen: tuple[str, ...] = (), **network) -> Trainer:
    """An MLP's trainer, the same one for the same network: it is compiled once in a process.

    Args:
        batch: as of `Trainer`.
        frozen: what the name of a parameter contains that keeps its initial value, such as
            ("linear.weight", "linear.bias") for the hidden weights.
        network: as of `nets.MLP`.
    """
    net = MLP(**network)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not any(part in name for part in frozen))
    return Trainer(net, batch)


def _functions(net: nn.Module) -> list[Function]:
    """`initial`, `step` and `observe` of a network, as the compiler wants them."""
    fit, judge = held_out()
    layout = Layout({k: tuple(v.shape) for k, v in net.state_dict().items()})
    weights = [name for name, v in net.named_parameters() if v.ndim > 1]

    def initial(seed: Tensor, controls: Tensor) -> State:
        return {
            "next_state": layout.pack(lengths_of(initialise(net, seed.reshape(()), controls[1])))
        }

    def step(state: Tensor, rows: Tensor, controls: Tensor) -> State:
        now = layout.unpack(state)
        new, _ = descend(net, now, now, (fit.x_train[rows], fit.y_train[rows]), controls[0])
        for name in weights:
            new[name] = new[name] - controls[0] * controls[2] * now[name]
        return {"next_state": layout.pack(new)}

    def observe(state: Tensor) -> State:
        now = layout.unpack(state)
        seen = {"finite": state.isfinite().all().float()}
        for key, split in (("validation", fit), ("test", judge)):
            seen[key] = accuracy(evaluate(net, now, {}, split.x_test), split.y_test)
        return seen

    seed, controls = torch.tensor([0.0]), torch.tensor([0.1, 1.0, 0.0])
    start = initial(seed, controls)["next_state"]
    rows = torch.arange(23)
    return [
        Function("initial", initial, {"seed": seed, "controls": controls}),
        Function("step", step, {"state": start, "rows": rows, "controls": controls}),
        Function("observe", observe, {"state": start}),
    ]
