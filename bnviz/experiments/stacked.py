"""Many small networks trained side by side, each with its own weights, rate and data.

A step of one network with a minibatch of ten is mostly overhead; a hundred of them take little
longer. Every parameter has one more axis in front, the network's: (n, ...). Each network sees only
its own numbers, so that a run alone gives what it gives in company.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bnviz.experiments.contest import Contest
from bnviz.experiments.experiment import Experiment, Row, Sweep, rounded
from bnviz.maths.data import Split
from bnviz.maths.nets import ACTIVATIONS, MLP, initialise
from bnviz.maths.prng import Shuffler

__all__ = ["GUESSING", "SideBySide", "SideBySideSweep", "Stack", "Task", "train_stacked"]

EPS, MOMENTUM = 1e-5, 0.1
GUESSING = 0.1  # the accuracy of a network that has diverged
GROUP = 80  # networks in one process at a time
Values = dict[str, Tensor]
ACTIVATE = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


@dataclass(frozen=True)
class Task:
    """What all networks of a stack have in common.

    Attributes:
        sizes, norm, activation: as of `nets.MLP`.
        batch: rows of a minibatch.
        ghost: rows that share statistics, a divisor of batch; BN proper has ghost = batch.
        scale: of the initial weights.

    Raises ValueError for an unknown activation.
    """

    sizes: tuple[int, ...]
    norm: bool
    batch: int
    ghost: int
    scale: float = 2**0.5
    activation: str = "relu"

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}; choose from {ACTIVATIONS}")

    def net(self) -> MLP:
        """One such network."""
        return MLP(self.sizes, norm=self.norm, activation=self.activation)


class Stack:
    """Networks in mid-training: `advance` takes steps, `state` shows one of them.

    Args:
        task: what is the same for all.
        cells: "seed", "lr" and perhaps "p", the share of hidden outputs that Dropout drops.
        data: seed -> the training rows. Where all seeds have one data set, hand in one object:
            it is then held once.
        starts: the state of each network at the start, by name; `initialise` without it.
    """

    def __init__(
        self,
        task: Task,
        cells: Sequence[Row],
        data: Mapping[int, Split],
        starts: Sequence[Values] | None = None,
    ):
        net = task.net()
        drawn = starts or [initialise(net, cell["seed"], task.scale) for cell in cells]
        names = [name for name, _ in net.named_parameters()]
        self.task = task
        self.values = {k: torch.stack([start[k] for start in drawn]) for k in names}
        self.running = {
            k: torch.stack([start[k] for start in drawn]) for k in drawn[0] if "running" in k
        }
        self.lr = torch.tensor([cell["lr"] for cell in cells])
        self.feed = _Feed(cells, data, task.batch)

    def advance(self, steps: int) -> None:
        """Take so many steps."""
        for _ in range(steps):
            self.values = _step(self.task, self.values, self.running, self.feed, self.lr)

    def state(self, k: int) -> Values:
        """Parameters and running statistics of network k; fits `task.net()`."""
        return {name: v[k].detach() for name, v in (self.values | self.running).items()}


def train_stacked(
    task: Task,
    cells: Sequence[Row],
    looks: Sequence[int],
    splits: Mapping[int, tuple[Split, Split]],
    starts: Sequence[Values] | None = None,
) -> list[Row]:
    """Train a network for each cell by gradient descent, and look at its accuracy on the way.

    Args:
        task, cells, starts: as of `Stack`.
        looks: steps, ascending.
        splits: seed -> (fit, judge): `fit.x_test` are the rows for validation.

    Returns:
        {"validation": [..], "test": [..]} for each cell, in evaluation mode; a network that is not
        finite guesses.
    """
    stack = Stack(task, cells, {seed: fit for seed, (fit, _) in splits.items()}, starts)
    found: list[Row] = [{"validation": [], "test": []} for _ in cells]
    done = 0
    for number in looks:
        stack.advance(number - done)
        done = number
        for k, cell in enumerate(cells):
            one = stack.state(k)
            for key, split in zip(("validation", "test"), splits[cell["seed"]], strict=True):
                found[k][key].append(_accuracy(task, one, split))
    return found


class _Feed:
    """Minibatches and Dropout's masks; what a network gets depends on its seed alone."""

    def __init__(self, cells: Sequence[Row], data: Mapping[int, Split], batch: int):
        seeds = list(dict.fromkeys(cell["seed"] for cell in cells))
        self.whose = torch.tensor([seeds.index(cell["seed"]) for cell in cells])
        self.data = [data[seed] for seed in seeds]
        self.shufflers = [Shuffler(len(data[seed].x_train), seed) for seed in seeds]
        self.batch, self.kept = batch, None
        if any("p" in cell for cell in cells):
            self.kept = 1 - torch.tensor([cell["p"] for cell in cells])[:, None, None]
            self.chance = [np.random.default_rng(cell["seed"]) for cell in cells]

    def rows(self) -> tuple[Tensor, Tensor]:
        """(n, m, features) and (n, m)."""
        rows = [shuffler.take(self.batch) for shuffler in self.shufflers]
        pairs = list(zip(self.data, rows, strict=True))
        x = torch.stack([split.x_train[at] for split, at in pairs])
        y = torch.stack([split.y_train[at] for split, at in pairs])
        return x[self.whose], y[self.whose]

    def drop(self, h: Tensor) -> Tensor:
        """Inverted Dropout: 0 in a share p of the places, the others divided by 1 - p."""
        if self.kept is None:
            return h
        drawn = np.stack([c.random(h.shape[1:], dtype=np.float32) for c in self.chance])
        return h * (torch.from_numpy(drawn) < self.kept) / self.kept


def _step(task: Task, values: Values, running: Values, feed: _Feed, lr: Tensor) -> Values:
    x, y = feed.rows()
    values = {k: v.requires_grad_() for k, v in values.items()}
    logits = _forward(task, values, running, x, feed.drop)
    losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / task.batch
    slopes = torch.autograd.grad(losses, list(values.values()))  # the networks share nothing
    with torch.no_grad():
        return {
            k: v - lr.view(-1, *[1] * (v.ndim - 1)) * g
            for (k, v), g in zip(values.items(), slopes, strict=True)
        }


def _forward(
    task: Task, values: Values, running: Values, h: Tensor, drop: Callable[[Tensor], Tensor]
) -> Tensor:
    """Logits in training mode, (n, m, classes); the running statistics move."""
    for i in range(len(task.sizes) - 2):
        z = h @ values[f"layers.{i}.linear.weight"].mT  # (n, m, width)
        if task.norm:
            groups = z.unflatten(1, (-1, task.ghost))  # (n, groups, ghost, width)
            mean, var = groups.mean(2, keepdim=True), groups.var(2, correction=0, keepdim=True)
            unbiased = var.detach() * (task.ghost / (task.ghost - 1))
            for name, now in (("mean", mean.detach()), ("var", unbiased)):
                key = f"layers.{i}.norm.running_{name}"
                running[key] = torch.lerp(running[key], now.mean((1, 2)), MOMENTUM)
            z = ((groups - mean) * torch.rsqrt(var + EPS)).flatten(1, 2)
            z = z * values[f"layers.{i}.norm.weight"][:, None]
            z = z + values[f"layers.{i}.norm.bias"][:, None]
        else:
            z = z + values[f"layers.{i}.linear.bias"][:, None]
        h = drop(ACTIVATE[task.activation](z))
    return h @ values["head.weight"].mT + values["head.bias"][:, None]


@torch.no_grad()
def _accuracy(task: Task, values: Values, split: Split) -> float:
    """Of one network, in evaluation mode, on the rows that a split holds back."""
    if not all(v.isfinite().all() for v in values.values()):
        return GUESSING
    net = task.net().eval()
    net.load_state_dict(values)
    return (net(split.x_test).argmax(1) == split.y_test).float().mean().item()


class SideBySide(Contest):
    """A contest whose `run` takes many cells of one contender: {"cells": [..]} -> {"rows": [..]}.

    Cells of a contender differ in seed and tuned values only; they run together.
    """

    def compute(self, sweep: Sweep) -> list[Row]:
        return super().compute(
            lambda run, cells: _in_groups(sweep, run, list(cells), lambda c: c["contender"])
        )

    def row(self, cell: Row) -> Row:
        """One run alone."""
        return self.run({"cells": [cell]})["rows"][0]


class SideBySideSweep(Experiment):
    """An experiment whose `run` takes many cells at once: {"cells": [..]} -> {"rows": [..]}.

    Cells that differ in the seed alone run together.
    """

    def compute(self, sweep: Sweep) -> list[Row]:
        return _in_groups(sweep, replace(self, grid={}).together, list(self.cells), _but_seed)

    def together(self, group: Row) -> Row:
        """Cells and results of a group, rounded as they are stored."""
        found = self.run({**self.options, **group})["rows"]
        pairs = zip(group["cells"], found, strict=True)
        return {"rows": [{**cell, **rounded(row, self.digits)} for cell, row in pairs]}

    def row(self, cell: Row) -> Row:
        """One run alone."""
        return self.together({"cells": [cell]})["rows"][0]


def _but_seed(cell: Row) -> Any:
    return tuple(v for k, v in cell.items() if k != "seed")


def _in_groups(
    sweep: Sweep, run: Callable[[Row], Row], cells: Sequence[Row], alike: Callable[[Row], Any]
) -> list[Row]:
    """Run cells that are alike together, at most `GROUP` at a time; rows in the order of cells."""
    groups: dict[Any, list[int]] = {}
    for at, cell in enumerate(cells):
        groups.setdefault(alike(cell), []).append(at)
    parts = [
        places[k : k + GROUP] for places in groups.values() for k in range(0, len(places), GROUP)
    ]
    done = sweep(run, [{"cells": [cells[at] for at in part]} for part in parts])
    found = {at: row for part, many in zip(parts, done, strict=True)
             for at, row in zip(part, many["rows"], strict=True)}  # fmt: skip
    return [found[at] for at in range(len(cells))]
