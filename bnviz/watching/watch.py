"""Watching any training loop: a context manager that knows neither the loop nor the optimiser.

At the steps that are recorded, and only then, every watched layer carries a hook. It looks at the
layer's input or output at once (what comes later may change it in place) and asks for its gradient.
A record is put together when the step has ended.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from bnviz.watching.draft import Draft, in_backward
from bnviz.watching.layers import Chosen, choose, unwrapped
from bnviz.watching.log import LayerLog, Log
from bnviz.watching.steps import Steps

__all__ = ["Watch"]


class _Hook:
    """A hook that stays with its own module: copies of the module, and pickles, carry none."""

    def __init__(self, call: Callable[..., None]):
        self._call = call

    def __call__(self, *args: Any) -> None:
        self._call(*args)

    def __deepcopy__(self, memo: Any) -> "_Hook":
        return _Hook(_nothing)

    def __reduce__(self) -> tuple[type["_Hook"], tuple[Callable[..., None]]]:
        return _Hook, (_nothing,)


def _nothing(*args: Any) -> None:
    pass


class Watch:
    """Records a network while it trains; `bnviz.watch` makes one.

    As a context manager it gives its `Log`. Its hooks are gone when the block ends, also after an
    exception; nothing of the model is changed.

    Args:
        model: any module; DataParallel and DistributedDataParallel are looked through.
        every: record each `every`-th training step, at least 1, beginning with the first.
        layers: see `layers.choose`.
        most: largest number of records, at least 2; when they are full, every second one goes.
        told: called with the log after each record.

    Raises:
        TypeError, ValueError: for arguments that are not as above; the sentence has the remedy.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 10,
        layers: Iterable[str | type | nn.Module] | str | type | None = None,
        most: int = 1000,
        told: Callable[[Log], None] | None = None,
    ):
        for name, value, low in (("every", every, 1), ("most", most, 2)):
            if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}")
        self._outer, self._model = model, unwrapped(model)
        self._chosen = choose(self._model, layers)
        self._modules = dict(self._model.named_modules())
        self.log = Log(every, most)
        for layer in self._chosen:
            self.log.layers[layer.name] = LayerLog(layer.kind, layer.side, layer.bn)
        self._told = told
        self._steps = Steps(self._model, self._before_update, self._ended)
        self._always: list[RemovableHandle] = []
        self._hooks: list[RemovableHandle] = []  # of the step that is being recorded
        self._draft: Draft | None = None
        self._passes = 0

    # The block

    def __enter__(self) -> Log:
        if self._always:
            raise RuntimeError("this watch is running already: make one for each block")
        self._always = [self._outer.register_forward_pre_hook(_Hook(self._pass_begins))]
        self._steps.begin()
        self._begin_step()
        return self.log

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._steps.forward_begins()  # without an optimiser the last step shows only now
                self._warn()
        finally:
            self._steps.end()
            for handle in (*self._hooks, *self._always):
                handle.remove()
            self._hooks, self._always, self._draft = [], [], None

    def _warn(self) -> None:
        if self.log.seen == 0 and self._draft is not None and not self._draft.empty:
            warnings.warn(
                "the model ran in this block, but no step of training was seen: its parameters "
                "never changed. Train inside the block, and the very model that is watched",
                stacklevel=3,
            )

    # The step

    def _begin_step(self) -> None:
        """Hooks for the step that comes, if it is to be recorded."""
        if self._hooks or self.log.seen % self.log.every:
            return
        draft = self._draft = Draft(self._modules, dict(self._model.named_parameters()))
        for name, module in self._modules.items():
            if any(True for _ in module.parameters(recurse=False)):
                hook = _Hook(lambda module, args, out, name=name: draft.weights_pass(name))
                self._hooks.append(module.register_forward_hook(hook))
        for layer in self._chosen:
            self._hooks.append(self._hooked(layer, draft))

    def _hooked(self, layer: Chosen, draft: Draft) -> RemovableHandle:
        def look(module: nn.Module, values: object) -> None:
            # a copy of the model (an average, say) may carry the same hook; DataParallel's may
            if module is layer.module or getattr(module, "_is_replica", False):
                draft.look(layer, module, values, self._passes)

        if layer.side == "output":
            hook = _Hook(lambda module, args, out: look(module, out))
            return layer.module.register_forward_hook(hook)
        hook = _Hook(lambda module, args, kwargs: look(module, (args, kwargs)))
        return layer.module.register_forward_pre_hook(hook, with_kwargs=True)

    def _pass_begins(self, *args: Any) -> None:
        if torch.is_grad_enabled() and not in_backward():
            self._steps.forward_begins()
            self._passes += 1

    def _before_update(self) -> None:
        if self._draft is not None:
            self._draft.before_update()

    def _ended(self) -> None:
        self.log.seen += 1
        draft, self._draft = self._draft, None
        for handle in self._hooks:
            handle.remove()
        self._hooks = []
        if draft is not None and draft.finish(self.log, self._chosen) and self._told is not None:
            self._told(self.log)
        self._begin_step()
