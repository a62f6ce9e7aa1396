"""Watch the inside of a network while it trains: hooks that are always removed again.

Both tools keep what ENTERS a module, before anything overwrites it, and change nothing: the
network computes what it would compute unwatched. Modules inside one that was compiled or scripted
run no hooks; watch the network before that is done to it.
"""

import functools
import inspect
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim.optimizer import register_optimizer_step_post_hook

from bnviz.maths import _arguments as arguments
from bnviz.maths import measures

__all__ = ["ActivationRecorder", "first_argument", "inputs_of"]

Summary = dict[str, Tensor]
_SHARES = (0.15, 0.5, 0.85)
_EXACT = 2**24  # float32 counts one by one up to here
# Their forward passes leave the input alone unless they have `inplace`; others are not known here.
_KNOWN = ("torch.nn.modules.", "bnviz.maths.")


@contextmanager
def inputs_of(modules: Iterable[nn.Module], *, copy: bool = False) -> Generator[list[Tensor]]:
    """Collect the input of each module in a list, in the order of the calls.

    The input is the first argument, given by place or by keyword. A module that is called twice
    is there twice; one that is named twice is not. The tensors are those of the network, so that
    gradients reach them; where a module overwrites its input, a copy is kept, which they do not
    reach. The hooks are gone when the `with` block ends, also after an exception.

    Args:
        modules: whose inputs; any.
        copy: keep copies always. That is needed where something else overwrites them later.

    Raises:
        TypeError: in the forward pass, for a module whose first argument is no tensor.
        RuntimeError: at the end of the block, if something other than the watched module has
            overwritten an input that was not copied.

    >>> relu = nn.ReLU(inplace=True)
    >>> with inputs_of([relu]) as seen:
    ...     _ = relu(torch.tensor([-1.0]))
    >>> seen
    [tensor([-1.])]
    """
    seen: list[Tensor] = []
    kept: list[tuple[nn.Module, Tensor, int | None]] = []  # the same, with their versions

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = first_argument(module, args, kwargs)
        own = x.clone() if copy else x
        seen.append(own)
        kept.append((module, own, _version(own)))

    def guard(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """As `enter`, with a copy at hand until the module has left its input alone."""
        x = first_argument(module, args, kwargs)
        spare = x.clone()
        enter(module, args, kwargs)
        at, version = len(seen) - 1, _version(x)

        def leave(*_: object) -> None:
            handle.remove()
            if version is None or _version(x) != version:
                seen[at] = spare
                kept[at] = (module, spare, _version(spare))

        handle = module.register_forward_hook(leave, prepend=True)

    with ExitStack() as stack:
        for module in dict.fromkeys(modules):
            hook = guard if not copy and _may_overwrite(module) else enter
            handle = module.register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield seen
        for module, x, version in kept:
            if _version(x) != version:
                raise RuntimeError(
                    f"what entered {type(module).__name__} was overwritten in place after its "
                    "call; keep copies: inputs_of(modules, copy=True)"
                )


def _may_overwrite(module: nn.Module) -> bool:
    return any(
        getattr(m, "inplace", False) or not type(m).__module__.startswith(_KNOWN)
        for m in module.modules()
    )


def _version(x: Tensor) -> int | None:
    """How often x was written to; None where PyTorch does not count."""
    return None if x.is_inference() else x._version


def first_argument(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The first argument of a module's call, by place or by keyword.

    Args:
        module: whose `forward` names the arguments.
        args, kwargs: as a forward hook gets them.

    Raises TypeError if it is no tensor, or there is none.

    >>> first_argument(nn.ReLU(), (), {"input": torch.ones(1)})
    tensor([1.])
    """
    x: object = args[0] if args else next(iter(kwargs.values()), None)
    if not args:
        named = inspect.signature(module.forward).parameters
        x = next((kwargs[name] for name in named if name in kwargs), x)
    if not isinstance(x, Tensor):
        raise TypeError(
            f"the first argument of {type(module).__name__} is no tensor but a "
            f"{type(x).__name__}: watch a module inside it, or in front of it"
        )
    return x


class ActivationRecorder:
    """Summarise what enters chosen modules, at every `every`-th training step.

    A context manager. It keeps one row of numbers for each layer and step, never the activations.

    A LAYER is a call of a module: one that is called twice in a pass is two layers. `layers` says
    which is which. A PASS is a call of the outermost module, and a STEP ends when an optimizer of
    `torch.optim` steps: of several passes for one step (accumulated gradients) the first is
    recorded. Where no such optimizer steps in the block, each pass is taken for a step.

    A pass is training if any of the watched modules is in training mode. So a layer that is frozen
    in evaluation mode is recorded with the others; watched alone, it needs `evaluation`.

    Args:
        modules: layers to watch, for example `net.activations` for the pre-activations.
        every: record each `every`-th training step, at least 1.
        summary: (n,) or larger tensor -> dict of small tensors; `summarise` unless told otherwise.
            For another range of its histogram: `functools.partial(summarise, low=0, high=200)`.
        evaluation: record passes in evaluation mode, too.

    `rows[k][layer]` is the k-th record of one layer, None if the layer was not called then.

    Raises:
        TypeError, ValueError: unless every is a whole number >= 1.
        TypeError: in the forward pass, for a module whose first argument is no tensor.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())
    >>> with ActivationRecorder([net[1]]) as recorder:
    ...     _ = net(torch.zeros(4, 2))
    >>> sorted(recorder.rows[0][0])
    ['histogram', 'mean', 'outside', 'percentiles', 'std']
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        every: int = 1,
        summary: Callable[[Tensor], Summary] | None = None,
        *,
        evaluation: bool = False,
    ):
        arguments.whole("every", every, 1)
        self.modules, self.every = list(dict.fromkeys(modules)), every
        self.summary, self.evaluation = summary or summarise, evaluation
        self._records: list[dict[tuple[int, int], Summary]] = []
        self._hooks = ExitStack()
        self._steps = 0

    def __enter__(self) -> "ActivationRecorder":
        # (steps, records) when the block began; how deep in calls; who was outermost in this pass
        self._start, self._depth = (self._steps, len(self._records)), 0
        self._outermost: set[nn.Module] = set()
        self._calls: dict[int, int] = {}  # place of a module -> its calls in this pass
        self._optimised = self._within_step = self._recording = False
        with ExitStack() as hooks:
            for handle in (
                register_module_forward_pre_hook(self._down),
                register_module_forward_hook(self._up, always_call=True),
                register_optimizer_step_post_hook(self._stepped),
            ):
                hooks.callback(handle.remove)
            for place, module in enumerate(self.modules):
                record = functools.partial(self._record, place)
                hooks.callback(module.register_forward_pre_hook(record, with_kwargs=True).remove)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    def _down(self, module: nn.Module, _: object) -> None:
        if self._depth == 0:
            if module in self._outermost:  # once more from the top: another pass
                self._outermost.clear()
                self._calls.clear()
            self._outermost.add(module)
        self._depth += 1

    def _up(self, *_: object) -> None:
        self._depth -= 1

    def _stepped(self, *_: object) -> None:
        if not self._optimised:  # all passes so far were for this one step
            steps, records = self._start
            self._steps = min(self._steps, steps + 1)
            del self._records[records + (steps % self.every == 0) :]
        self._optimised, self._within_step = True, False

    def _record(
        self, place: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if not (self.evaluation or any(m.training for m in self.modules)):
            return
        if not self._calls:
            self._begin()
        call = self._calls[place] = self._calls.get(place, -1) + 1
        if self._recording:
            x = first_argument(module, args, kwargs).detach()
            self._records[-1][place, call] = {k: _own(v, x) for k, v in self.summary(x).items()}

    def _begin(self) -> None:
        """A pass begins: is it the first one of a step, and is that step's turn?"""
        first = not (self._optimised and self._within_step)
        self._within_step = True
        self._recording = first and self._steps % self.every == 0
        self._steps += first
        if self._recording:
            self._records.append({})

    @property
    def layers(self) -> list[tuple[int, int]]:
        """What stands where in a row: (place of the module in `modules`, its call in the pass)."""
        return sorted(set[tuple[int, int]]().union(*self._records))

    @property
    def rows(self) -> list[list[Summary]]:
        """The records; a row has a place for each of `layers`."""
        layers = self.layers
        # None only where a layer was not called: most networks call every layer in every pass
        return [[cast(Summary, row.get(layer)) for layer in layers] for row in self._records]

    def stack(self, key: str) -> Tensor:
        """One summary over training: (records, layers, ...); NaN where a layer was not called.

        Raises KeyError for an unknown key, ValueError if nothing was recorded.
        """
        layers = self.layers
        if not layers:
            raise ValueError(
                "nothing was recorded: run the network in training mode in the block; where all "
                "the watched modules are frozen in evaluation mode, pass evaluation=True"
            )
        blank = next(value for row in self._records for value in row.values())[key]
        blank = torch.full_like(
            blank, torch.nan, dtype=torch.promote_types(blank.dtype, torch.half)
        )
        rows = [[row[at][key] if at in row else blank for at in layers] for row in self._records]
        return torch.stack([torch.stack(row) for row in rows])


def _own(value: Tensor, x: Tensor) -> Tensor:
    """A summary without graph, in memory of its own: what follows may overwrite x."""
    value = value.detach()
    shared = value.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    return value.clone() if shared else value


def summarise(v: Tensor, low: float = -6.0, high: float = 6.0, bins: int = 48) -> Summary:
    """Histogram on low..high, percentiles 15/50/85, mean and std of all values of one layer.

    Values below and above the range count in the end bins of the histogram; "outside" holds their
    shares, (2,). The standard deviation is the biased one. Half-precision values and whole numbers
    are summarised in float32. A value that is NaN makes all but histogram and "outside" NaN, and
    counts in neither.

    Raises TypeError for complex values, ValueError if there are none, or for an impossible range.

    >>> summarise(torch.tensor([-7.0, 0.0, 1.0, 99.0]))["outside"]
    tensor([0.2500, 0.2500])
    """
    arguments.tensor("v", v, *["n"] * v.ndim)
    flat = v.reshape(-1)
    if v.dtype not in (torch.float32, torch.float64):
        flat = flat.float()
    std, mean = torch.std_mean(flat, correction=0)
    parts = torch.split(flat, _EXACT)
    histograms = [
        measures.density(part[None], low, high, bins)[0] * (len(part) / len(flat)) for part in parts
    ]
    return {
        "histogram": torch.stack(histograms).sum(0),
        "outside": torch.stack([(flat < low).sum(), (flat > high).sum()]) / len(flat),
        "percentiles": _percentiles(flat),
        "mean": mean,
        "std": std,
    }


def _percentiles(v: Tensor) -> Tensor:
    """`torch.quantile(v, [0.15, 0.5, 0.85])`, a third faster: places in the order are known."""
    places, parts = _places(len(v), v.dtype, v.device)
    below, above, last = torch.split(v.sort().values[places], [3, 3, 1])
    return torch.where(last.isnan(), last, torch.lerp(below, above, parts))


@functools.lru_cache(256)
def _places(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Neighbours of the three percentiles among n values in order, and the last; parts between."""
    counting = dtype if n <= _EXACT else torch.float64
    exact = torch.tensor(_SHARES, dtype=counting) * (n - 1)
    below, last = exact.floor(), torch.tensor([n - 1])
    places = torch.cat([below.long(), exact.ceil().long(), last])
    return places.to(device), (exact - below).to(device, dtype)
