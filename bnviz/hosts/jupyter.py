"""Figures in a Jupyter kernel: ipywidgets around a plotly FigureWidget.

`show` gives a handle that a notebook displays. The controls and the handle's methods do the same
things: `fig.set(gamma=2)` is a moved slider, `fig.play()` a pressed button.
"""

from bnviz import explorers
from bnviz.explorer import Explorer, Simulation
from bnviz.hosts import _cells
from bnviz.hosts._live import LiveFigure
from bnviz.hosts._simulation import LiveSimulation

__all__ = ["LiveFigure", "LiveSimulation", "show"]


def show(figure: str | Explorer, /, **values: float | str | bool) -> LiveFigure:
    """Show a figure; see `bnviz.show`."""
    explorer = explorers.get(figure) if isinstance(figure, str) else figure
    kind = LiveSimulation if isinstance(explorer, Simulation) else LiveFigure
    live = kind(explorer, values)
    _cells.register(live)
    return live
