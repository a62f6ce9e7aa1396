"""Figures in a Jupyter kernel: ipywidgets around a plotly FigureWidget.

`show` gives a handle that a notebook displays. The controls and the handle's methods do the same
things: `fig.set(gamma=2)` is a moved slider, `fig.play()` a pressed button.
"""

import sys

from bnviz import explorers
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.jupyter import cells
from bnviz.jupyter.live import LiveFigure
from bnviz.jupyter.simulation import LiveSimulation

__all__ = ["show"]


def show(figure: str | Explorer, /, **values: float | str | bool) -> LiveFigure:
    """Show a figure; see `bnviz.show`."""
    explorer = explorers.get(figure) if isinstance(figure, str) else figure
    kind = LiveSimulation if isinstance(explorer, Simulation) else LiveFigure
    live = kind(explorer, values)
    cells.register(live)
    _let_colab_draw()
    return live


def _let_colab_draw() -> None:
    """Google Colab draws a FigureWidget only after it has been asked to."""
    if colab := sys.modules.get("google.colab"):
        colab.output.enable_custom_widget_manager()
