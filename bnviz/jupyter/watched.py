"""A training of the reader's own, watched in a notebook while it goes on."""

from html import escape
from time import perf_counter
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from plotly.basedatatypes import Undefined
from torch import nn

from bnviz.jupyter.figurewidget import FigureWidget
from bnviz.jupyter.turns import while_a_cell_runs
from bnviz.watching.log import Log
from bnviz.watching.picture import picture, spread
from bnviz.watching.watch import Watch

__all__ = ["LiveWatch"]

_VIEW = "application/vnd.jupyter.widget-view+json"
_SHARE = 0.05  # of the time may go into drawing
_PAUSE = 0.2  # seconds between two pictures, at least; where no browser answers, 1


class LiveWatch:
    """A `Watch` that shows its log below the cell, in turns with the training.

    The controls choose which layers are drawn, the range of values, and how often a step is
    recorded. In JupyterLab from 4.4 on they act while the training runs; elsewhere the kernel hears
    of them when the cell has ended.

    Args:
        model, every, layers, most: see `Watch`.
    """

    def __init__(self, model: nn.Module, every: int, layers: Any, most: int):
        self._watch = Watch(model, every, layers, most, told=self._told)
        self.log = self._watch.log
        self._running = False
        self._drawn_at, self._spent = 0.0, 0.0
        self._canvas: FigureWidget | None = None
        self._shape: tuple[Any, ...] = ()
        self._build()

    def __enter__(self) -> Log:
        log = self._watch.__enter__()
        self._running = True
        display(self)
        while_a_cell_runs(*self._controls)
        return log

    def __exit__(self, *error: Any) -> None:
        self._running = False
        self._watch.__exit__(*error)
        self._draw()

    def __repr__(self) -> str:
        return f"bnviz watches {len(self.log.layers)} layers: {', '.join(self.log.layers)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, object]:
        note = "In a notebook with a kernel, the layers are drawn here while the network trains."
        model = self.widget.model_id
        return {
            "text/plain": repr(self),
            "text/html": f"<p>{escape(repr(self))}. {note}</p>",
            _VIEW: {"version_major": 2, "version_minor": 0, "model_id": model},
        }

    # Building

    def _build(self) -> None:
        names = list(self.log.layers)
        wide = {"style": {"description_width": "110px"}, "layout": {"width": "480px"}}
        self._layers = widgets.SelectionRangeSlider(
            options=[(name or "the model", k) for k, name in enumerate(names)],
            index=(0, len(names) - 1), description="layers", **wide,
        )  # fmt: skip
        self._range = widgets.FloatLogSlider(
            value=4, min=-3, max=4, step=0.1, description="values up to ±", disabled=True,
            readout_format=".2g", **wide,
        )  # fmt: skip
        self._own = widgets.Checkbox(value=True, description="a range for each layer", indent=False)
        self._every = widgets.IntSlider(
            value=self.log.every, min=1, max=max(100, self.log.every), continuous_update=False,
            description="record every", **wide,
        )  # fmt: skip
        for control in (self._layers, self._own, self._range):
            control.observe(self._chosen, "value")
        self._controls = (self._layers, self._own, self._range, self._every)
        self._every.observe(self._paced, "value")
        self._status = widgets.HTML()
        self._place = widgets.VBox([widgets.HTML("<p>Waiting for the first step.</p>")])
        ranges = widgets.HBox([self._range, self._own])
        self.widget = widgets.VBox([self._status, self._layers, ranges, self._every, self._place])
        self.widget.add_class("bnviz")

    # What the reader moves

    def _chosen(self, change: Any) -> None:
        self._range.disabled = self._own.value
        self._draw()

    def _paced(self, change: Any) -> None:
        with self.log.lock:
            self.log.every = self._every.value

    # What the training tells

    def _told(self, log: Log) -> None:
        now = perf_counter()
        canvas = self._canvas
        pause = max(_PAUSE, self._spent / _SHARE)
        if canvas is not None and canvas.watched:
            if not canvas.heard:
                pause = max(pause, 1.0)
            elif canvas.busy and now - self._drawn_at < 10:
                return
        if now - self._drawn_at >= pause:
            self._draw()

    def _draw(self) -> None:
        with self.log.lock:
            self._say()
            if not len(self.log):
                return
            start = perf_counter()
            limits = None if self._own.value else (-self._range.value, self._range.value)
            first, last = self._layers.index
            while_a_cell_runs(*self._controls)
            self._show(picture(self.log, spread(list(self.log.layers)[first : last + 1]), limits))
            if self._canvas is not None:
                while_a_cell_runs(self._canvas)
            self._drawn_at = perf_counter()
            self._spent = self._drawn_at - start

    def _say(self) -> None:
        if self.log.every != self._every.value and self.log.every <= self._every.max:
            self._every.value = self.log.every
        state = "running" if self._running else "ended"
        self._status.value = (
            f'<p aria-live="off"><b>{self.log.seen}</b> training steps, {len(self.log)} recorded '
            f"({state})</p>"
        )

    def _show(self, drawn: dict[str, Any]) -> None:
        """In the widget that stands there, or in a new one where the picture has other parts."""
        traces, layout = drawn["data"], drawn["layout"]
        shape = tuple((t["type"], t.get("name"), t["xaxis"], t["yaxis"]) for t in traces)
        if self._canvas is None or shape != self._shape:
            old, self._shape = self._canvas, shape
            white = {"paper_bgcolor": "white", "plot_bgcolor": "white"}  # also on a dark page
            self._canvas = FigureWidget(data=traces, layout=layout | white)
            self._place.children = [self._canvas]
            if old is not None:
                old.close()
            return
        columns = {key: [t.get(key, Undefined) for t in traces] for key in ("x", "y", "z")}
        axes = {
            f"{name}.range": axis["range"]
            for name, axis in layout.items()
            if name.startswith(("xaxis", "yaxis")) and "range" in axis
        }
        texts = {
            f"annotations[{k}].text": note["text"] for k, note in enumerate(layout["annotations"])
        }
        self._canvas.plotly_update(columns, axes | texts)
