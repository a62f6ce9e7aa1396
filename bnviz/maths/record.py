"""Watch the inside of a network while it trains: hooks that are always removed again."""

import functools
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bnviz.maths import _arguments as arguments
from bnviz.maths import measures

__all__ = ["ActivationRecorder", "inputs_of"]


@contextmanager
def inputs_of(modules: Iterable[nn.Module]) -> Generator[list[Tensor]]:
    """Collect the input of each module in a list, in the order of the calls.

    The hooks are gone when the `with` block ends, also after an exception.

    >>> relu = nn.ReLU()
    >>> with inputs_of([relu]) as seen:
    ...     _ = relu(torch.tensor([-1.0]))
    >>> seen
    [tensor([-1.])]
    """
    seen: list[Tensor] = []
    handles = [m.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for m in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class ActivationRecorder:
    """Summarise what enters chosen modules, at every `every`-th training step.

    A context manager. It keeps one row of numbers for each layer and step, never the activations.

    Args:
        modules: layers to watch, for example `net.activations` for the pre-activations.
        every: record each `every`-th training step, at least 1.
        summary: (n,) or larger tensor -> dict of small tensors; histogram, percentiles 15/50/85,
            mean and standard deviation unless told otherwise.

    `rows[k][layer]` is the k-th record of one layer. Evaluation passes are not recorded.

    Raises:
        TypeError, ValueError: unless every is a whole number >= 1.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())
    >>> with ActivationRecorder([net[1]]) as recorder:
    ...     _ = net(torch.zeros(4, 2))
    >>> sorted(recorder.rows[0][0])
    ['histogram', 'mean', 'percentiles', 'std']
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        every: int = 1,
        summary: Callable[[Tensor], dict[str, Tensor]] | None = None,
    ):
        arguments.whole("every", every, 1)
        self.modules, self.every = list(modules), every
        self.summary = summary or summarise
        self.rows: list[list[dict[str, Tensor]]] = []
        self._handles: list[RemovableHandle] = []
        self._passes = 0

    def __enter__(self) -> "ActivationRecorder":
        first = self.modules[:1]
        self._handles = [m.register_forward_pre_hook(self._count) for m in first]
        self._handles += [m.register_forward_pre_hook(self._record) for m in self.modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _count(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if module.training:
            if self._passes % self.every == 0:
                self.rows.append([])
            self._passes += 1

    def _record(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if module.training and (self._passes - 1) % self.every == 0:
            self.rows[-1].append(self.summary(args[0].detach()))

    def stack(self, key: str) -> Tensor:
        """One summary over training: (records, layers, ...).

        Raises KeyError for an unknown key, ValueError if nothing was recorded.
        """
        if not self.modules or not self.rows:
            raise ValueError("nothing was recorded: run the network in training mode in the block")
        return torch.stack([torch.stack([layer[key] for layer in row]) for row in self.rows])


def summarise(v: Tensor) -> dict[str, Tensor]:
    """Histogram on -6..6, percentiles 15/50/85, mean and std of all values of one layer."""
    flat = v.reshape(-1)
    std, mean = torch.std_mean(flat, correction=0)
    return {
        "histogram": measures.density(flat.unsqueeze(0), -6.0, 6.0, 48)[0],
        "percentiles": _percentiles(flat),
        "mean": mean,
        "std": std,
    }


def _percentiles(v: Tensor) -> Tensor:
    """`torch.quantile(v, [0.15, 0.5, 0.85])`, a third faster: places in the order are known."""
    places, parts = _places(len(v), v.dtype, v.device)
    below, above, last = torch.split(v.sort().values[places], [3, 3, 1])
    return torch.where(last.isnan(), last, torch.lerp(below, above, parts))


@functools.cache
def _places(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Neighbours of the three percentiles among n values in order, and the last; parts between."""
    exact = torch.tensor([0.15, 0.5, 0.85], dtype=dtype, device=device) * (n - 1)
    below, last = exact.floor(), torch.tensor([n - 1], device=device)
    return torch.cat([below.long(), exact.ceil().long(), last]), exact - below
