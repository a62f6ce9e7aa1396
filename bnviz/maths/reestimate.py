"""Measure the statistics of a trained network anew, with its weights as they are."""

import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.parameter import is_lazy

from bnviz.maths import _arguments as arguments
from bnviz.maths.nets import BatchNorm
from bnviz.maths.record import first_argument

__all__ = ["reestimate"]

_KINDS = (BatchNorm, _BatchNorm)  # _BatchNorm: BatchNorm1d, 2d, 3d, SyncBatchNorm, subclasses


class _Norm(Protocol):
    """What is moved of a BN layer."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    training: bool


def reestimate(net: nn.Module, x: Tensor | Iterable[Any]) -> None:
    """Put population statistics in place of the running ones, whatever those are, NaN included.

        E[x] = sum n mu_B / sum n        Var[x] = sum n var_B / sum (n - 1)

    over the batches, each of n values per feature with mean mu_B and biased variance var_B. For
    batches of one size that is Algorithm 2; for a single one the mean and the unbiased variance of
    all. What differs from batch to batch in mu_B is not in Var[x], as it is not in training.

    While it measures, the BN layers normalise with the batch, so that each layer sees what the
    layers below make of it, and all else is in evaluation mode: Dropout drops nothing, as it will
    drop nothing afterwards. In the end the whole net is in evaluation mode. Weights, momenta and
    the buffers of all other layers are left alone; `num_batches_tracked` becomes the number of
    batches.

    FROZEN layers keep their statistics and are named in a warning. A BN layer counts as frozen if
    it is in evaluation mode while the net itself is in training mode, or if the net's `train`
    leaves it there. In a net that is in evaluation mode as a whole, nothing tells frozen layers
    from others: call `net.train()` and freeze them again first. `requires_grad` says nothing about
    running statistics, and nothing is read from it.

    Args:
        net: with BN layers that keep running statistics: the book's own, `torch.nn.BatchNorm1d`,
            2d, 3d, `SyncBatchNorm` in one process, or subclasses. Changed in place.
        x: training examples as one batch, or an iterable of batches, such as a DataLoader, in
            which a batch is a tensor or a sequence that begins with it. Each batch needs at least
            2 values per feature, all finite; it goes to `net(batch)` as it is.

    Raises:
        TypeError: if net is no module or a batch no tensor.
        ValueError: if there is nothing to measure (no such layer, all frozen, no batch), if a batch
            is not finite, or a statistic is none that the layer's number format can hold.

    What the net raises for a batch goes on to the caller. On any error statistics, counts and modes
    are as before.

    Source: Ioffe and Szegedy (2015), Algorithm 2; Wu and Johnson (2021), "precise BN".

    >>> net = nn.Sequential(nn.BatchNorm1d(1))
    >>> reestimate(net, torch.tensor([[1.0], [3.0]]))
    >>> net[0].running_mean.item(), net[0].running_var.item(), net.training
    (2.0, 2.0, False)
    """
    arguments.instance("net", net, nn.Module, "a torch.nn.Module")
    arguments.instance("x", x, Iterable, "a tensor or an iterable of batches")
    with _restored_on_error(net), torch.no_grad():
        layers = _layers_to_measure(net)
        net.eval()
        for layer in layers:
            layer.training = True  # of the layer alone: its `train` may be made to refuse
        sums = {layer: _Sums() for layer in layers}
        batches = 0
        with ExitStack() as stack:
            for layer, total in sums.items():
                hook = layer.register_forward_pre_hook(total.add, with_kwargs=True)
                stack.callback(hook.remove)
            for batch in [x] if isinstance(x, Tensor) else x:
                net(_checked(batch))
                batches += 1
        if not batches:
            raise ValueError("x holds no batch: an iterator can be used only once")
        _tell_uncalled(net, [layer for layer, total in sums.items() if not total.calls], layers)
        for layer, total in sums.items():
            if total.calls:
                total.put_into(layer, batches)
            layer.training = False


class _Sums:
    """The sums of Algorithm 2 for one layer, in float64."""

    def __init__(self) -> None:
        self.calls, self.values = 0, 0
        self.mean, self.var = torch.zeros(()), torch.zeros(())

    def add(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = first_argument(layer, args, kwargs).detach()
        # there is no float64 on the processors of Apple's graphics
        x = x.to("cpu" if x.device.type == "mps" else x.device, torch.float64)
        axes = (0, *range(2, x.ndim))
        n = x.numel() // max(x.shape[1], 1)
        if n < 2:
            raise ValueError(
                f"{type(layer).__name__} got shape {tuple(x.shape)}: 1 value per feature has no "
                "variance. Take larger batches, and drop a last one that is shorter (drop_last)"
            )
        var, mean = torch.var_mean(x, axes, correction=0)
        self.mean, self.var = self.mean.to(mean) + n * mean, self.var.to(var) + n * var
        self.calls, self.values = self.calls + 1, self.values + n

    def put_into(self, layer: nn.Module, batches: int) -> None:
        norm = cast(_Norm, layer)
        found = {
            "running_mean": self.mean / self.values,
            "running_var": self.var / (self.values - self.calls),
        }
        for name, value in found.items():
            old = cast(Tensor, getattr(norm, name))
            value = value.to(old)
            if not value.isfinite().all():
                raise ValueError(
                    f"{name} of {type(layer).__name__} becomes {value[~value.isfinite()][0]} in "
                    f"{old.dtype}: its inputs are too large or not finite. Look at the layers "
                    "below, scale the data down, or measure with net.double()"
                )
            old.copy_(value)
        if getattr(norm, "num_batches_tracked", None) is not None:
            norm.num_batches_tracked.fill_(batches)


def _layers_to_measure(net: nn.Module) -> list[nn.Module]:
    """BN layers with running statistics, less those that are frozen."""
    names = {m: name or "the net itself" for name, m in _named_modules(net)}
    norms = [m for m in names if isinstance(m, _KINDS)]
    if not norms:
        kept = [n for m, n in names.items() if getattr(m, "running_mean", None) is not None]
        hint = f"; {kept[0]} has statistics, but is no kind that is known here" if kept else ""
        raise ValueError(f"no Batch Normalization in this network: nothing to estimate{hint}")
    tracked = [m for m in norms if getattr(m, "running_mean", None) is not None]
    if not tracked:
        raise ValueError(
            "no BN layer here keeps running statistics (track_running_stats=False): it uses those "
            "of the batch in evaluation, too, and there is nothing to estimate"
        )
    if len({_processes(m) for m in tracked} | {1}) > 1:
        raise ValueError("SyncBatchNorm in several processes: measure in one, then broadcast")
    frozen = [m for m in tracked if net.training and not m.training]
    net.train()
    frozen += [m for m in tracked if not m.training and m not in frozen]
    if frozen:
        told = ", ".join(names[m] for m in frozen)
        words = f"in evaluation mode in a net that trains, and so taken for frozen: {told}"
        if len(frozen) == len(tracked):
            raise ValueError(f"nothing to estimate; {words}. To measure them, call net.eval()")
        warnings.warn(f"left as they are, {words}", stacklevel=4)
    return [m for m in tracked if m not in frozen]


def _tell_uncalled(net: nn.Module, uncalled: list[nn.Module], layers: list[nn.Module]) -> None:
    if uncalled:
        names = ", ".join(name for name, m in _named_modules(net) if m in uncalled)
        if len(uncalled) == len(layers):
            raise ValueError(f"no data came to the BN layers: {names}")
        warnings.warn(f"left as they are, as no data came to them: {names}", stacklevel=3)


def _named_modules(net: nn.Module) -> Sequence[tuple[str, nn.Module]]:
    return list(cast("Iterable[tuple[str, nn.Module]]", net.named_modules()))


def _processes(layer: nn.Module) -> int:
    distributed = torch.distributed
    several = isinstance(layer, nn.SyncBatchNorm) and distributed.is_available()
    return distributed.get_world_size() if several and distributed.is_initialized() else 1


def _checked(batch: object) -> Tensor:
    """The examples of a batch, which may come with their classes."""
    if isinstance(batch, Sequence):
        batch = next(iter(cast("Sequence[object]", batch)), None)
    if not isinstance(batch, Tensor):
        raise TypeError(
            f"a batch must be a tensor, or a sequence that begins with one, got "
            f"{type(batch).__name__}; for other batches, pass (b['name'] for b in loader)"
        )
    if not torch.isfinite(batch).all():
        raise ValueError("x holds values that are not finite; remove or fill those rows")
    return batch


@contextmanager
def _restored_on_error(net: nn.Module) -> Generator[None]:
    """On an error, buffers (the same tensors, with the same values) and modes as before."""
    modules = [m for _, m in _named_modules(net)]
    modes = [m.training for m in modules]
    buffers = [
        (m, name, buffer, None if is_lazy(buffer) else buffer.clone())
        for m in modules
        for name, buffer in m.named_buffers(recurse=False)
    ]
    try:
        yield
    except BaseException:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
        with torch.no_grad():
            for module, name, buffer, value in buffers:
                if value is not None:
                    buffer.copy_(value)
                setattr(module, name, buffer)
        raise
