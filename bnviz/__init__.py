"""Interactive figures that show how Batch Normalization works.

`show` puts a figure into a notebook. `watch` shows the inside of a network of your own while it
trains, and `examine` says what is wrong with it. Everything else is imported from its own module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch, plotly and ipywidgets take seconds to import
    from torch import nn, optim

    from bnviz.clinic.finding import Findings
    from bnviz.figure.explorer import Explorer
    from bnviz.jupyter.live import LiveFigure
    from bnviz.jupyter.watched import LiveWatch
    from bnviz.watching.log import Log
    from bnviz.watching.watch import Watch

__all__ = ["examine", "show", "watch"]


def show(figure: str | Explorer, /, **values: float | str | bool) -> LiveFigure:
    """Show a figure of the book by its name, live where there is a kernel.

    Args:
        figure: its name, such as "scale-shift", one that another package declares
            (`bnviz.figure.registry` says how), or an `Explorer` of your own.
        values: start values of its controls, by name.

    Returns:
        A handle, `LiveFigure` or `LiveSimulation` (bnviz.jupyter); a notebook displays it.

    Raises:
        ValueError: for an unknown figure or control, or a value out of range.
        TypeError: for a value of the wrong type.

    >>> show("scale-shift", gamma=2)
    bnviz figure 'scale-shift': Normalise, then scale and shift
    """
    from bnviz.jupyter import show as jupyter

    return jupyter.show(figure, **values)


def watch(
    model: nn.Module,
    every: int = 10,
    layers: Iterable[str | type[nn.Module] | nn.Module] | str | type[nn.Module] | None = None,
    *,
    most: int = 1000,
    live: bool | None = None,
) -> Watch | LiveWatch:
    """Watch every layer of a network while it trains, whatever the training loop.

    Around the loop::

        with bnviz.watch(model) as log:
            train(model)

    In a notebook the layers are drawn while the training goes on, in a plain script they are
    recorded silently. Afterwards there are `log.figure()`, `log.frame()` and `log.save(path)`.

    A training step is a step of the optimiser that holds the model's parameters, however many
    forward passes, calls of a shared layer or checkpoints it takes; without an optimiser it is a
    change of the parameters. Of tensors beyond 65,536 values an evenly spaced sample is looked at.
    With a gradient scaler, gradients at the layers are scaled; those of the weights are not.

    Args:
        model: any torch.nn.Module, on any device, in any floating-point format. DataParallel and
            DistributedDataParallel are looked through; compiled and scripted models are refused.
        every: record each `every`-th step, at least 1, beginning with the first.
        layers: names as in `named_modules`, types, or modules. None: BN layers and activations, of
            which the input is looked at; of others it is the output.
        most: largest number of records; when they are full, every second one is forgotten.
        live: draw while training; None: in a Jupyter kernel.

    Returns:
        A context manager that gives the `Log` (bnviz.watching.log). When its block ends, also with
        an error, its hooks are gone, and the model is as if it had not been watched.

    Raises:
        TypeError, ValueError: for a model without anything to watch, an unknown layer, a compiled
            model, numbers out of range; the sentence says what to do.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> descent = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> with watch(net, every=2) as log:
    ...     for _ in range(4):
    ...         descent.zero_grad()
    ...         net(torch.ones(8, 2)).sum().backward()
    ...         descent.step()
    >>> log.steps, list(log.layers)
    ([1, 3], ['1'])
    """
    if live is None:
        from sys import modules

        # without IPython nobody is in a kernel, and a script need not import it
        live = "IPython" in modules and _in_kernel()
    if live:
        from bnviz.jupyter.watched import LiveWatch

        return LiveWatch(model, every, layers, most)
    from bnviz.watching.watch import Watch

    return Watch(model, every, layers, most)


def _in_kernel() -> bool:
    from bnviz.jupyter.cells import in_kernel

    return in_kernel()


def examine(
    model: nn.Module | Log,
    loader: Iterable[Any] | None = None,
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    optimizer: optim.Optimizer | None = None,
    batches: int = 8,
    quiet: bool = False,
) -> Findings:
    """Examine a network's Batch Normalization on its own data, and say what is wrong.

    Either of::

        bnviz.examine(model, loader)
        bnviz.examine(log)  # of bnviz.watch

    The model is run on some batches: in evaluation mode, as in training, with statistics measured
    anew, with the examples dealt anew. Nothing of it changes: parameters, buffers, gradients, modes
    and random numbers are afterwards as before, also after an error. Looked for are running values
    that are stale, never updated or not finite, a momentum that does not suit, frozen layers,
    batches that are too small or not alike, eps above the variances, layers that serve several
    distributions, copies that differ, dead or saturated units, gamma at 0, a bias, Dropout or
    padding in front, weight decay on gamma and beta. The level of a finding follows from what was
    measured; thresholds stand at the top of the modules of `bnviz.clinic`.

    Args:
        model: a torch.nn.Module, in training mode if it is being trained (then layers that are in
            evaluation mode count as frozen), or a `Log`.
        loader: yields batches as in training: tensors, tuples that begin with one, or dicts of the
            model's arguments. Shuffled or not as it is in training.
        forward: forward(model, batch) -> outputs, where the model wants something else.
        optimizer: to look for weight decay on gamma and beta.
        batches: how many to run, at least 1; from three on, their order is looked at.
        quiet: do not print the report.

    Returns:
        `Findings`, a list, most serious first; each has evidence in numbers, what it means, the
        remedy in code, and a place in the book.

    Raises:
        TypeError, ValueError: for a loader without batches, batches of an unknown form, a model
            without BN and activations, a compiled model; the sentence says what to do.
        RuntimeError: when the model raises in evaluation mode, with what it said.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    >>> data = 5 + torch.randn(8, 32, 3, generator=torch.Generator().manual_seed(0))
    >>> examine(net, list(data), quiet=True).kinds
    ['running values were never updated']
    """
    from bnviz.clinic.examine import examine as see

    return see(model, loader, forward=forward, optimizer=optimizer, batches=batches, quiet=quiet)
