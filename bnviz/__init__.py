"""Interactive figures that show how Batch Normalization works.

`show` puts a figure into a notebook. `watch` shows the inside of a network of your own while it
trains. Everything else is imported from its own module.
"""

__all__ = ["show", "watch"]


def show(figure, /, **values):
    """Show a figure of the book by its name, live where there is a kernel.

    Args:
        figure: its name, such as "scale-shift", or an `Explorer` of your own.
        values: start values of its controls, by name.

    Returns:
        A handle, `LiveFigure` or `LiveSimulation` (bnviz.jupyter); a notebook displays it.

    Raises:
        ValueError: for an unknown figure or control, or a value out of range.
        TypeError: for a value of the wrong type.

    >>> show("scale-shift", gamma=2)
    bnviz figure 'scale-shift': Normalise, then scale and shift
    """
    from bnviz.jupyter import (
        show as jupyter,  # only now: torch, plotly and ipywidgets take seconds to import
    )

    return jupyter.show(figure, **values)


def watch(model, every=10, layers=None, *, most=1000, live=None):
    """Watch every layer of a network while it trains, whatever the training loop.

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


def _in_kernel():
    from bnviz.jupyter.cells import in_kernel

    return in_kernel()
