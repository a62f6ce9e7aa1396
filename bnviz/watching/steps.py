"""When has a step of training ended? Asked of the optimisers, or else of the parameters."""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch
from torch import nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle

__all__ = ["Steps"]


class Steps:
    """Counts the steps of a training that nobody has told it about.

    A step is a call of `step` of the first optimiser that holds a parameter of the model. So
    gradient accumulation, a closure that is called many times, and a step that a gradient scaler
    leaves out all count as they should. A second optimiser beside it, one for the biases say, does
    not count again. It takes over where it makes two steps and the first none, and at once where it
    holds the same parameters: then it is a successor.

    Without any optimiser, parameters that changed from one forward pass to the next are a step.

    Args:
        model: whose parameters count.
        before: called at the beginning of an optimiser's step, while gradients are there.
        after: called when a step has ended.
    """

    def __init__(self, model: nn.Module, before: Callable[[], None], after: Callable[[], None]):
        self._model, self._before, self._after = model, before, after
        self._ours = WeakSet[Optimizer]()
        self._leader: int | None = None
        self._led: set[int] = set()  # its parameters
        self._others: set[int] = set()  # optimisers that made a step since the leader's last
        self._print: tuple[Any, ...] | None = None
        self._handles: list[RemovableHandle] = []

    def begin(self) -> None:
        """Listen to all optimisers; `end` must follow."""
        self._handles = [
            register_optimizer_step_pre_hook(self._begins),
            register_optimizer_step_post_hook(self._ends),
        ]

    def end(self) -> None:
        """Listen no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def forward_begins(self) -> None:
        """To be called at each forward pass of training; counts where no optimiser does."""
        if self._leader is not None:
            return
        now, before = self._fingerprint(), self._print
        self._print = now
        if before is not None and now != before:
            self._after()

    def _begins(self, optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._holds(optimiser):
            return
        if self._leader is None:
            self._follow(optimiser)  # already here: a closure may call the model in this step
        if id(optimiser) == self._leader or self._takes_over(optimiser):
            self._before()

    def _ends(self, optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._holds(optimiser):
            return
        if id(optimiser) != self._leader:
            if not self._takes_over(optimiser):
                self._others.add(id(optimiser))
                return
            self._follow(optimiser)
        self._others.clear()
        self._after()

    def _follow(self, optimiser: Optimizer) -> None:
        self._leader, self._led = id(optimiser), _held(optimiser)

    def _takes_over(self, optimiser: Optimizer) -> bool:
        """A second step without one of the leader, or a successor with the same parameters."""
        return id(optimiser) in self._others or not self._led.isdisjoint(_held(optimiser))

    def _holds(self, optimiser: Optimizer) -> bool:
        if optimiser in self._ours:
            return True
        own = {id(p) for p in self._model.parameters()}  # anew: layers may have been replaced
        if own.isdisjoint(_held(optimiser)):
            return False
        self._ours.add(optimiser)
        return True

    @torch.no_grad()
    def _fingerprint(self) -> tuple[Any, ...]:
        """Something that changes when parameters do, for a few microseconds each.

        In-place changes are counted by PyTorch, except those of `p.data`; the values show these.
        """
        return tuple(
            (p._version, p.detach().reshape(-1)[:4].tolist())  # pyright: ignore[reportPrivateUsage]
            for p in self._model.parameters()
            if p.requires_grad and p.numel()
        )


def _held(optimiser: Optimizer) -> set[int]:
    return {id(p) for group in optimiser.param_groups for p in group["params"]}
