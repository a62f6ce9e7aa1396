"""Interactive figures that show how Batch Normalization works.

`show` puts a figure into a notebook; everything else is imported from its own module.
"""

__all__ = ["show"]


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
