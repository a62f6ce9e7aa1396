"""A model that is run without being changed, and the batches it is run on."""

import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["Batch", "as_it_was", "batches_of", "first_of", "logits_of"]

_ADVICE = "pass forward=, for example forward=lambda model, batch: model(batch['image'])"


@dataclass(frozen=True)
class Batch:
    """What one call of the model gets, and the classes if they came along."""

    call: Callable[[nn.Module], Any]
    inputs: Tensor | None  # where the model gets one tensor and nothing else
    labels: Tensor | None

    def run(self, model: nn.Module) -> Any:
        """What the model returns.

        Raises:
            RuntimeError: if the model raises, with what it said and what to try.
        """
        try:
            return self.call(model)
        except Exception as error:
            raise RuntimeError(
                f"the model failed on a batch of the loader ({type(error).__name__}: {error}); "
                f"if it wants another form of input, {_ADVICE}"
            ) from error


@contextmanager
def as_it_was(model: nn.Module) -> Generator[None]:
    """Buffers, parameters, gradients, modes and random numbers are afterwards as before."""
    held = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    values = {name: v.detach().clone() for name, v in held.items()}
    gradients = {name: p.grad for name, p in model.named_parameters()}
    buffers = {module: dict(module._buffers) for module in model.modules()}
    modes = {module: module.training for module in model.modules()}
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        try:
            yield
        finally:
            with torch.no_grad():
                for module, own in buffers.items():
                    module._buffers.update(
                        own
                    )  # the very tensors, also where a layer replaced them
                for name, v in held.items():
                    v.copy_(values[name])
            for name, p in model.named_parameters():
                p.grad = gradients[name]
            for module, training in modes.items():
                module.training = training


def batches_of(
    loader: Iterable[Any],
    model: nn.Module,
    forward: Callable[[nn.Module, Any], Any] | None,
    most: int,
) -> list[Batch]:
    """The first batches of a loader.

    A batch is a tensor, a mapping of the model's arguments, or a tuple or list that begins with
    one of these; classes behind it, (m,) of whole numbers, are taken along.

    Raises:
        TypeError: for a loader or a batch of another form, with the remedy.
        ValueError: for a loader without a batch.
    """
    if isinstance(loader, Tensor):
        loader = [loader]
    if not isinstance(loader, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"loader must yield batches (a DataLoader, a list of tensors, a tensor), got "
            f"{type(loader).__name__}"
        )
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    found = [_batch(b, model, forward, device) for b in islice(loader, most)]
    if not found:
        raise ValueError("the loader yields no batch; an iterator can be used only once")
    return found


def _batch(
    batch: Any,
    model: nn.Module,
    forward: Callable[[nn.Module, Any], Any] | None,
    device: torch.device,
) -> Batch:
    batch = _moved(batch, device)
    labels = _labels(batch)
    if forward is not None:
        return Batch(lambda m: forward(m, batch), None, labels)
    first = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if isinstance(first, Tensor):
        return Batch(lambda m: m(first), first, labels)
    if isinstance(first, Mapping):
        named = cast("Mapping[str, Any]", first)
        wanted = inspect.signature(model.forward).parameters
        known = {k: v for k, v in named.items() if k in wanted}
        anything = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
        if known or anything:
            return Batch(lambda m: m(**(named if anything else known)), None, labels)
        raise TypeError(
            f"the loader yields dicts with {', '.join(map(repr, named))}, and the model's forward "
            f"takes {', '.join(wanted) or 'nothing'}: {_ADVICE}"
        )
    raise TypeError(
        f"the loader yields {type(first).__name__}, from which no input is clear: {_ADVICE}"
    )


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {k: _moved(v, device) for k, v in cast("Mapping[Any, Any]", value).items()}
    if type(value) in (tuple, list):
        return type(value)(_moved(v, device) for v in value)
    return value


def _labels(batch: Any) -> Tensor | None:
    rest: Iterable[Any] = ()
    if isinstance(batch, (tuple, list)):
        rest = cast("list[Any]", batch)[1:]
    elif isinstance(batch, Mapping):
        named = cast("Mapping[str, Any]", batch)
        rest = [v for k, v in named.items() if k in ("label", "labels", "target", "targets", "y")]
    for value in rest:
        if isinstance(value, Tensor) and value.ndim == 1 and not value.is_floating_point():
            return value
    return None


def first_of(value: Any) -> Tensor | None:
    """The first floating-point tensor in what a model returns, or in a layer's arguments."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, Mapping):
        value = list(cast("Mapping[Any, Any]", value).values())
    if isinstance(value, (tuple, list)):
        found = (first_of(v) for v in cast("list[Any]", value))
        return next((v for v in found if v is not None), None)
    return None


def logits_of(outputs: Any) -> Tensor | None:
    """Outputs as (m, classes), in float32; None where they do not look like that."""
    y = first_of(outputs)
    return y.float() if y is not None and y.ndim == 2 and y.shape[1] > 1 else None
