"""An Explorer in a kernel: its controls, its picture, and what a caller can do with them."""

import logging
import traceback
from contextlib import contextmanager
from html import escape

import ipywidgets as widgets
from torch import Tensor

from bnviz.figure.explorer import Explorer
from bnviz.figure.html import figure_html, figure_text
from bnviz.figure.run import one_thread
from bnviz.jupyter import cells
from bnviz.jupyter.canvas import Canvas
from bnviz.jupyter.figurewidget import FigureWidget
from bnviz.jupyter.loop import Loop
from bnviz.jupyter.turns import in_turn
from bnviz.jupyter.widgets import Panel

__all__ = ["LiveFigure", "Values"]

_log = logging.getLogger(__name__)
_VIEW = "application/vnd.jupyter.widget-view+json"
_RETRY = 0.004  # seconds until a busy browser is asked again

Values = dict[str, float | str | bool]


class LiveFigure:
    """A figure with controls, whose picture follows them.

    Args:
        explorer: what to show.
        values: start values that differ from the explorer's own.

    Attributes:
        widget: the ipywidgets box that holds everything.

    Raises:
        ValueError, TypeError: for bad values, as `Explorer.numbers` does.
    """

    _voice = "polite"  # whether a screen reader speaks the readout when it changes

    def __init__(self, explorer: Explorer, values: Values):
        self.explorer = explorer
        self._given = self._switched(values)
        self._values = explorer.defaults() | self._given
        explorer.numbers(self._values)
        self._wanted: Values | None = None  # the newest values, not yet computed
        self._closed = False
        self._begin()
        self._build()
        self._loop = Loop(self._tick, self._failed)
        self._draw()

    # What a caller can do

    @in_turn
    def set(self, **values: float | str | bool) -> None:
        """Move controls: `fig.set(gamma=2, beta=-1)`. The picture is up to date on return.

        Raises:
            ValueError: for an unknown control or a value out of range; nothing has moved then.
            TypeError: for a value of the wrong type; nothing has moved then.
            RuntimeError: after `close`.
        """
        self._require_open()
        new = self.values | self._switched(values)
        self.explorer.numbers(new)
        with self._showing_errors():
            self._apply(new)
        self._wanted = None
        self._panel.show(new)

    @property
    def values(self) -> Values:
        """The value of every control, by name; a copy."""
        return dict(self._values if self._wanted is None else self._wanted)

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The newest outputs, by name; a copy."""
        return dict(self._outputs)

    @property
    def figure(self) -> FigureWidget:
        """The plotly FigureWidget. A two-dimensional `z` is a sequence of float32 rows."""
        return self._canvas.widget

    def pause(self) -> None:
        """Stop what goes on by itself; only a simulation does."""

    @in_turn
    def close(self) -> None:
        """Remove the figure from the notebook and end all its work. `show` makes another."""
        if self._closed:
            return
        self._closed = True
        self.pause()
        self._loop.stop()
        _close_all(self.widget)

    def __repr__(self) -> str:
        return figure_text(self.explorer)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle: dict[str, object] = {
            "text/plain": figure_text(self.explorer),
            "text/html": figure_html(self.explorer, self._given),
        }
        if cells.in_kernel() and not self._closed:
            model = self.widget.model_id
            bundle[_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model}
        return bundle

    # Building

    def _build(self) -> None:
        self._canvas = Canvas(self.explorer)
        self._panel = Panel(self.explorer.controls, self._moved)
        self._panel.show(self._values)
        self._note, self._readout = widgets.HTML(), widgets.HTML()
        title, caption = escape(self.explorer.title), escape(self.explorer.caption)
        self.widget = widgets.VBox(
            [
                widgets.HTML(f'<div style="font-weight:600;font-size:15px">{title}</div>'),
                *self._tools(),
                self._panel.widget,
                self._note,
                self._canvas.widget,
                self._readout,
                widgets.HTML(f'<div style="line-height:1.5;opacity:.8">{caption}</div>'),
            ]
        )
        self.widget.add_class("bnviz")
        self.widget._view_count = 0  # from now on ipywidgets counts the views
        self.widget.observe(self._views_changed, "_view_count")
        if self.widget.comm is not None:  # outside a kernel there is nobody to tell
            self.widget.comm.on_close(lambda message: self.close())

    def _tools(self) -> list[widgets.Widget]:
        """What stands between title and controls."""
        return []

    def _views_changed(self, change) -> None:
        if not change["new"]:
            self.pause()

    # From values to picture

    def _begin(self) -> None:
        """Outputs for the first picture."""
        self._outputs = self._compute(self._values)

    def _compute(self, values: Values) -> dict[str, Tensor]:
        with one_thread():
            return self.explorer.outputs(**values)

    def _apply(self, values: Values) -> None:
        """Compute for these values and show the result; if that raises, all stays as it was."""
        self._outputs = self._compute(values)
        self._values = values
        self._draw()

    def _draw(self) -> None:
        self._canvas.draw(self._outputs, {}, {})
        self._speak("")

    def _speak(self, note: str) -> None:
        """Bring the readout up to date; `note` takes the place of an earlier one."""
        sentence = self.explorer.say(self.explorer.numbers(self._values), self._outputs)
        self._readout.value = (
            f'<p aria-live="{self._voice}" style="line-height:1.5">{escape(sentence)}</p>'
        )
        self._note.value = note

    # From a moved control to picture

    def _switched(self, values: Values) -> Values:
        """Values, with the toggles that they switch on unless told otherwise."""
        on = (getattr(c, "switches_on", "") for c in self.explorer.controls if c.name in values)
        return dict.fromkeys(filter(None, on), True) | values

    @in_turn
    def _moved(self, name: str, value) -> None:
        """A reader moved a control. Only the newest values will be computed."""
        new = self._switched({name: value})
        self._wanted = self.values | new
        del new[name]  # where it is being dragged it stays
        self._panel.show(new)
        if self._loop.possible:
            self._loop.start()
        else:
            self._reporting(self._tick)()

    @in_turn
    def _tick(self) -> float | None:
        """One turn of the loop: newest values, as soon as the browser is ready for them."""
        if self._wanted is None:
            return None
        if self._canvas.busy:
            return _RETRY
        values, self._wanted = self._wanted, None
        self._apply(values)
        return 0

    # Errors

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"this figure is closed; show({self.explorer.name!r}) makes another")

    @contextmanager
    def _showing_errors(self):
        """An exception is shown in the figure, and goes on to the caller."""
        try:
            yield
        except Exception as error:
            self._note.value = _error_html(error)
            raise

    def _reporting(self, method):
        """The method for a button: what it raises is shown and logged, for nobody calls it."""

        def call(*args):
            try:
                method(*args)
            except Exception as error:
                self._failed(error)

        return call

    @in_turn
    def _failed(self, error: BaseException) -> None:
        """Work that nobody waits for has ended with an exception or an interrupt."""
        self._wanted = None
        if isinstance(error, Exception):
            self._note.value = _error_html(error)
            _log.error("figure %r: %s", self.explorer.name, error, exc_info=error)


def _error_html(error: Exception) -> str:
    lines = "".join(traceback.format_exception(error))
    return (
        '<div role="alert" style="color:#c62828;line-height:1.5">'
        f"<b>{escape(type(error).__name__)}:</b> {escape(str(error))}"
        "<details><summary>see traceback</summary>"
        f'<pre style="font-size:12px;line-height:1.3">{escape(lines)}</pre></details></div>'
    )


def _close_all(widget: widgets.Widget) -> None:
    """Close a widget and what it holds; its layout and style are widgets too."""
    for child in getattr(widget, "children", ()):
        _close_all(child)
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    for part in (*parts, widget):
        if isinstance(part, widgets.Widget):  # the layout of a plotly figure is none
            part.close()
