"""A record in the making: what the layers of a network do during one step of training."""

import math
import threading
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from bnviz.watching import reading
from bnviz.watching.layers import Chosen
from bnviz.watching.log import LayerLog, Log
from bnviz.watching.reading import Reading

__all__ = ["Draft", "in_backward"]


def in_backward() -> bool:
    """Whether this code runs inside a backward pass, as what a checkpoint computes again does."""
    # PyTorch has no public question for it; its own checkpoints ask in this way
    return torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType]


class Draft:
    """Gathers the calls of a step, and adds them up to a record.

    A step may hold several forward passes (accumulation), and a pass several calls of one layer
    (shared modules). Which passes belong to the training? Those that a gradient came back to, or,
    where no watched layer gets a gradient, those in training mode.

    Args:
        modules: all modules of the network by name.
        parameters: what is trained, by name, as it is before the step.
    """

    def __init__(self, modules: Mapping[str, nn.Module], parameters: Mapping[str, nn.Parameter]):
        self._modules = modules
        self._lock = threading.RLock()  # DataParallel calls its copies in threads
        self._calls: dict[str, list[tuple[int, Reading]]] = {}
        self._came_back: set[int] = set()  # passes that a gradient came back to
        self._training: set[int] = set()  # passes in training mode
        self._fronts: dict[str, str] = {}
        self._front = ""
        self._gradients: dict[str, float] = {}
        self._held = {
            name: (p, reading.sample(p).clone())
            for name, p in parameters.items()
            if p.requires_grad and p.is_floating_point() and p.numel()
        }

    @property
    def empty(self) -> bool:
        """Whether no watched layer has run."""
        return not self._calls

    # During the step

    def weights_pass(self, name: str) -> None:
        """A layer with parameters begins; it is in front of what comes next."""
        self._front = name

    def look(self, layer: Chosen, module: nn.Module, values: object, number: int) -> None:
        """A watched layer is called.

        Args:
            layer: which one.
            module: itself, or its copy on another device.
            values: its arguments, or what it returned; the first tensor among them counts.
            number: of the forward pass of the whole network.
        """
        v = first_tensor(values)
        if v is None or not torch.is_grad_enabled() or not v.is_floating_point() or not v.numel():
            return
        with self._lock:
            calls = self._calls.setdefault(layer.name, [])
            if in_backward() and any(at == number for at, _ in calls):
                return  # a checkpoint computes again what was seen before
            front = self._fronts.setdefault(layer.name, self._front)
            with torch.no_grad():
                found = reading.read(v, layer.intervals, self._units(layer, front, v))
                if layer.bn:
                    reading.compare(found, module, v)
            if module.training:
                self._training.add(number)
            calls.append((number, found))
        if v.requires_grad:
            v.register_hook(lambda gradient: self._back(number, found, gradient))

    def _units(self, layer: Chosen, front: str, v: Tensor) -> int | None:
        """The axis of the units: that of the channels behind a convolution, the last elsewhere."""
        if not layer.intervals or v.ndim < 2:
            return None
        before = self._modules.get(front)
        if before is None or not front:
            return 1 if v.ndim > 3 else -1
        convolves = "Conv" in type(before).__name__ or isinstance(before, nn.GroupNorm)
        return 1 if convolves or reading.is_batch_norm(before) else -1

    def _back(self, number: int, found: Reading, gradient: Tensor) -> None:
        with self._lock, torch.no_grad():
            drawn = reading.sample(gradient).double()
            found.squares += drawn.square().sum().item()
            found.gradients += drawn.numel()
            self._came_back.add(number)

    def before_update(self) -> None:
        """The optimiser is about to use the gradients."""
        for name, (p, _) in self._held.items():
            if p.grad is not None and not p.grad.is_sparse:
                self._gradients[name] = _rms(reading.sample(p.grad))

    # Its end

    def finish(self, log: Log, chosen: list[Chosen]) -> bool:
        """Add what was seen as a record of the log; False where no watched layer was trained."""
        wanted = self._came_back or self._training
        kept = {
            name: [found for number, found in calls if number in wanted]
            for name, calls in self._calls.items()
        }
        if not any(kept.values()):
            return False
        with log.lock:
            log.begin_record()
            for layer in chosen:
                own = log.layers[layer.name]
                own.front = own.front or self._fronts.get(layer.name, "")
                _add_layer(own, layer, kept.get(layer.name, []))
            self._add_weights(log)
            log.end_record()
        return True

    def _add_weights(self, log: Log) -> None:
        for name, (p, before) in self._held.items():
            after = reading.sample(p)
            same = after.shape == before.shape
            log.weight(name, matrix=p.ndim > 1).append(
                size=_rms(before),
                gradient=self._gradients.get(name),
                update=_rms(after.to(before.device) - before) if same else None,
            )


def _add_layer(own: LayerLog, layer: Chosen, found: list[Reading]) -> None:
    """The calls of a step as one record of a layer."""
    parts = [r.values for r in found if r.n]
    if not parts:
        own.bins.skip()
        lost = 1.0 if found else None
        return own.append(calls=len(found), n=0 if found else None, not_finite=lost)
    own.bins.add(parts)
    v = torch.cat(parts).double()
    std, mean = torch.std_mean(v, correction=0)
    n = len(v)
    flat = [(r.flat, r.n) for r in found if r.flat is not None]
    squares = sum(r.gradients for r in found)
    gaps = [r.gap for r in found if r.gap is not None]
    own.append(
        calls=len(found), n=n, mean=mean.item(), std=std.item(),
        not_finite=sum(r.lost for r in found) / len(found),
        outside=sum(own.bins.outside[-1]) / n,
        flat=sum(share * k for share, k in flat) / sum(k for _, k in flat) if flat else None,
        dead=reading.dead_units(found, layer.intervals),
        gradient=math.sqrt(sum(r.squares for r in found) / squares) if squares else None,
        batch=min((r.batch for r in found if r.batch is not None), default=None),
        mean_gap=sum(a for a, _ in gaps) / len(gaps) if gaps else None,
        var_ratio=math.exp(sum(math.log(b) for _, b in gaps) / len(gaps))
        if gaps and all(b > 0 for _, b in gaps) else None,
        frozen=float(any(r.frozen for r in found)) if layer.bn else None,
    )  # fmt: skip


def _rms(v: Tensor) -> float:
    return v.detach().double().square().mean().sqrt().item()


def first_tensor(values: object) -> Tensor | None:
    """The first tensor in arguments or results, however they are nested.

    >>> first_tensor(({"hidden": [torch.ones(1)]}, 2.0))
    tensor([1.])
    """
    if isinstance(values, Tensor):
        return values
    inside: list[Any] = []
    if isinstance(values, Mapping):
        inside = list(cast("Mapping[Any, Any]", values).values())
    elif isinstance(values, (tuple, list)):  # a PackedSequence is one, too
        inside = list(cast("list[Any]", values))
    return next((t for t in map(first_tensor, inside) if t is not None), None)
