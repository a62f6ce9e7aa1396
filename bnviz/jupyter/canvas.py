"""Outputs become a picture: the bindings of an Explorer drive the traces of a FigureWidget."""

from copy import deepcopy
from time import perf_counter

import numpy as np
from plotly.basedatatypes import Undefined
from torch import Tensor

from bnviz.figure import theme
from bnviz.figure.drawing import Places
from bnviz.figure.explorer import Binding, Explorer
from bnviz.figure.history import History
from bnviz.figure.run import Histories
from bnviz.jupyter.figurewidget import FigureWidget

__all__ = ["Canvas", "trace_values"]

_PATIENCE = 90.0  # seconds without an answer after which a browser is given up


def trace_values(
    explorer: Explorer, outputs: dict[str, Tensor], histories: Histories, places: Places
) -> dict[str, dict]:
    """What each trace shows: trace uid -> attribute -> value, arrays as float32."""
    values: dict[str, dict] = {trace["uid"]: {} for trace in explorer.figure["data"]}
    for binding in explorer.bindings:
        if binding.append:
            values[binding.trace] |= _over_time(binding, histories[binding], places)
        elif binding.output in outputs:
            values[binding.trace][binding.attribute] = _array(binding.pick(outputs))
    return values


def _array(value: Tensor):
    """A number, a float32 array, or a list of float32 rows, which travel as bytes."""
    array = value.detach().float().numpy().copy()
    if array.ndim == 0:
        return array.item()
    return list(array) if array.ndim == 2 else array


def _over_time(binding: Binding, history: History, places: Places) -> dict:
    """As bytes, which travel only from contiguous arrays."""
    values = history.values(*places.get(binding, ()))  # (columns,) or (columns, bins)
    values = np.ascontiguousarray(values.T)
    shown = list(values) if values.ndim == 2 else values  # bins rows of (columns,)
    return {"x": history.steps().astype(np.float32), binding.attribute: shown}


class Canvas:
    """A FigureWidget that shows the outputs of one Explorer.

    Attributes:
        widget: the FigureWidget.
    """

    def __init__(self, explorer: Explorer):
        figure = deepcopy(explorer.figure)
        white = {"paper_bgcolor": "white", "plot_bgcolor": "white"}  # also on a dark page
        layout = figure["layout"] | white | {"template": theme.template("light")}
        self.explorer = explorer
        self.widget = FigureWidget(data=figure["data"], layout=layout)
        self._sent = perf_counter()  # when the newest picture went out

    @property
    def busy(self) -> bool:
        """Whether a browser is still drawing what it got last."""
        return self.widget.busy and not self.deserted

    @property
    def rested(self) -> bool:
        """Whether a browser has drawn the last picture, then had half as long for its reader."""
        spent = self.widget.heard - self._sent
        return not self.busy and perf_counter() - self.widget.heard >= spent / 2

    @property
    def deserted(self) -> bool:
        """Whether the browser that should draw no longer answers; its page is closed."""
        last = max(self._sent, self.widget.heard)
        return self.widget.busy and perf_counter() - last > _PATIENCE

    def draw(self, outputs: dict[str, Tensor], histories: Histories, places: Places) -> None:
        """Show outputs and histories, in one message to the browser."""
        values = list(trace_values(self.explorer, outputs, histories, places).values())
        names = sorted({name for value in values for name in value})
        self.widget.plotly_update(
            {name: [value.get(name, Undefined) for value in values] for name in names},
            self._time_axes(histories),
        )
        self._sent = perf_counter()

    def _time_axes(self, histories: Histories) -> dict[str, list[float]]:
        """Every axis that counts steps reaches to the end of the finest history."""
        if not histories:
            return {}
        finest = min(h.every for h in histories.values())
        extent = max(h.extent for h in histories.values() if h.every == finest)
        axes = {t["uid"]: t.get("xaxis", "x") for t in self.explorer.figure["data"]}
        named = {axes[b.trace].replace("x", "xaxis") for b in histories}
        return {f"{axis}.range": [0, extent] for axis in sorted(named)}
