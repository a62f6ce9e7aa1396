"""One training loop. It fires one event per step and knows nothing of recording or drawing."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bnviz.maths import _arguments as arguments
from bnviz.maths.data import Split
from bnviz.maths.prng import Shuffler

__all__ = ["DivergenceError", "Step", "train"]


@dataclass(frozen=True)
class Step:
    """What has just happened: step `number` (from 1) on the minibatch `rows` cost `loss`.

    `loss` belongs to the weights BEFORE the step; their gradients are still on the parameters.
    """

    number: int
    loss: float
    rows: Tensor


class DivergenceError(ArithmeticError):
    """The loss has left the finite numbers.

    `step` is the number of the step, counted from 1; `losses` are those of all steps so far, the
    last one being NaN or infinite.
    """

    def __init__(self, losses: list[float]):
        self.losses, self.step = losses, len(losses)
        super().__init__(
            f"diverged at step {self.step}: the loss is {losses[-1]}; "
            "try a smaller learning rate or smaller initial weights"
        )


def train(
    net: nn.Module,
    split: Split,
    *,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int = 0,
    on_step: Callable[[Step], None] | None = None,
) -> list[float]:
    """Minimise the cross-entropy by stochastic gradient descent: w <- w - lr * dL/dw.

    The network is changed in place. It is in training mode whenever a step begins, so `on_step` may
    call `net.eval()` and need not undo it. Modules that are FROZEN stay in evaluation mode: those
    that are so while the net itself is in training mode, when `train` is called or after an
    `on_step`. A net that is given in evaluation mode wakes as a whole. Frozen is only what
    evaluation mode stops, such as running statistics; parameters learn unless `requires_grad` is
    off.

    Args:
        net: maps (m, features) to logits (m, classes).
        split: training rows; the test rows are not touched.
        steps: how many minibatches, at least 0.
        batch_size: m, in [1, training rows]; a net with BatchNorm needs at least 2.
        lr: learning rate, > 0.
        seed: of the order in which `prng.Shuffler` hands out the rows.
        on_step: called after each step.

    Returns:
        The training loss at each step.

    Raises:
        ValueError: for an argument out of its range; the network is then unchanged.
        DivergenceError: when a loss is NaN or infinite; that step is not applied.

    >>> from bnviz.maths.data import digits
    >>> from bnviz.maths.nets import MLP, initialise
    >>> net = MLP((64, 32, 10), norm=True)
    >>> _ = net.load_state_dict(initialise(net, seed=0))
    >>> losses = train(net, digits(), steps=20, batch_size=64, lr=0.5)
    >>> losses[0] > 2 > losses[-1]
    True
    """
    _check(split, steps, batch_size, lr)
    shuffler = Shuffler(len(split.x_train), seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    losses: list[float] = []
    frozen: set[nn.Module] = set()
    for number in range(1, steps + 1):
        rows = shuffler.take(batch_size)  # (m,)
        _wake(net, frozen)
        loss = cross_entropy(net(split.x_train[rows]), split.y_train[rows])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise DivergenceError(losses)
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]  PyTorch types no argument
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]  nor does it here
        if on_step is not None:
            on_step(Step(number, losses[-1], rows))
    return losses


def _wake(net: nn.Module, frozen: set[nn.Module]) -> None:
    """Training mode for all but the frozen; those that were frozen meanwhile are added to them."""
    if net.training:
        frozen.update(m for m in net.modules() if not m.training)
    if frozen or not net.training:
        net.train()
        for module in frozen:
            module.training = False


def _check_whole(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")


def _check(split: Split, steps: int, batch_size: int, lr: float) -> None:
    n = len(split.x_train)
    _check_whole("steps", steps, 0)
    _check_whole("batch_size", batch_size, 1)
    if batch_size > n:
        raise ValueError(
            f"batch_size = {batch_size} is outside [1, {n}]: there are {n} training rows; "
            "take a smaller batch"
        )
    if not (arguments.finite(lr) and lr > 0):
        raise ValueError(f"lr must be a finite number > 0, got {lr}; 0.1 is a usual start")
    if not torch.isfinite(split.x_train).all():
        raise ValueError("x_train holds values that are not finite; remove or fill those rows")
