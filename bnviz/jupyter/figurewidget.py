"""plotly's FigureWidget with a front end of its own, made for pictures that move."""

from copy import deepcopy
from pathlib import Path
from threading import Lock
from time import perf_counter

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

__all__ = ["FigureWidget"]


class FigureWidget(go.FigureWidget):
    """A `plotly.graph_objects.FigureWidget` that draws fast, and in the width it is given.

    plotly's own front end brings plotly.js (5 MB) with every single figure, keeps the width with
    which it began, and answers every picture by sending its arrays back. Here the figure in Python
    is the truth, and the browser says no more than which picture it has drawn. The price: Python
    does not hear of clicks and selections.

    Attributes:
        heard: when a browser last said something, as `time.perf_counter` has it.
    """

    # The text: of a file that it is given by name, anywidget 0.11 waits for changes, and what waits
    # holds on to every figure that was ever shown.
    _esm = Path(__file__).with_name("figurewidget.js").read_text(encoding="utf-8")
    heard = 0.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._newest_drawn = 0
        self._whole = Lock()  # the questions of a browser may come in a thread of their own
        self.on_msg(FigureWidget._hear)

    @property
    def watched(self) -> bool:
        """Whether a browser shows it."""
        return bool(self._view_count)

    @property
    def busy(self) -> bool:
        """Whether a browser has not drawn yet what it got last."""
        return self.watched and self._newest_drawn < self._last_trace_edit_id

    def plotly_update(self, *args, **kwargs) -> None:
        """As plotly has it; a browser that asks for the figure waits until it is whole."""
        with self._whole:
            super().plotly_update(*args, **kwargs)

    def _hear(self, content: dict, buffers) -> None:
        self.heard = perf_counter()
        if "drawn" in content:
            self._newest_drawn = content["drawn"]
        elif content.get("ask") == "plotly":
            self.send({"answer": "plotly"}, [get_plotlyjs().encode()])
        elif content.get("ask") == "figure":
            with self._whole:
                self._newest_drawn = self._last_trace_edit_id
                self._widget_layout = deepcopy(self._layout)
                self._widget_data = deepcopy(self._data)
                self.send({"answer": "figure"})
