"""An examination of a model on its data, or of a log of its training."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from bnviz.clinic import logs
from bnviz.clinic.batches import BATCH_CHECKS
from bnviz.clinic.finding import Findings
from bnviz.clinic.measured import measure
from bnviz.clinic.neighbours import NEIGHBOURS
from bnviz.clinic.patient import as_it_was, batches_of
from bnviz.clinic.running import RUNNING_CHECKS
from bnviz.clinic.units import UNITS
from bnviz.watching.layers import unwrapped
from bnviz.watching.log import Log

__all__ = ["examine"]

_CHECKS = (*RUNNING_CHECKS, *BATCH_CHECKS, *NEIGHBOURS, *UNITS)


def examine(
    model: nn.Module | Log,
    loader: Iterable[Any] | None = None,
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    batches: int = 8,
    quiet: bool = False,
) -> Findings:
    """See `bnviz.examine`."""
    if isinstance(model, Log):
        found = Findings(logs.found(model), f"a log of {model.seen} steps")
    else:
        found = _examined(model, loader, forward, optimizer, batches)
    if not quiet:
        print(found)
    return found


def _examined(
    model: nn.Module,
    loader: Iterable[Any] | None,
    forward: Callable[[nn.Module, Any], Any] | None,
    optimizer: torch.optim.Optimizer | None,
    batches: int,
) -> Findings:
    inner = unwrapped(model)
    if loader is None:
        raise TypeError("examine needs data, too: examine(model, loader), or examine(log)")
    if isinstance(batches, bool) or not isinstance(batches, int) or batches < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"batches must be a whole number >= 1, got {batches!r}")
    with as_it_was(inner):
        taken = batches_of(loader, inner, forward, batches)
        m = measure(inner, taken, loader, optimizer)
        if not m.layers and not m.activations:
            raise ValueError(
                "this model has no BN layer and no activation module: there is nothing to examine"
            )
        found = [finding for check in _CHECKS for finding in check(m)]
    return Findings(
        found, f"{len(m.layers)} BN layers, {len(m.activations)} activations, {len(taken)} batches"
    )
