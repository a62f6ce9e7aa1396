"""In a kernel: from a moved control to the message that carries the new picture."""

import json
from collections.abc import Callable, Iterator

import plotly.graph_objects as go
import torch

from bnviz import explorers
from bnviz.bench.rows import Row, in_ms, in_turns, seconds
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer
from bnviz.jupyter.show import show

__all__ = ["jupyter_rows"]


def jupyter_rows() -> Iterator[Row]:
    """Each figure that does not train, against a plotly figure made anew for each move."""
    torch.set_num_threads(1)
    for name in explorers.names():
        explorer = explorers.get(name)
        if explorer.compute is None:
            continue
        handle = show(name)
        ours = _alternating(explorer, lambda values, h=handle: h.set(**values))
        theirs = _alternating(explorer, lambda values, h=handle: _anew(h, values))
        ms = in_ms(in_turns(seconds(ours), seconds(theirs)))
        against = "a new go.Figure as JSON"
        yield Row("In Jupyter", name, against, "ms", *ms)
        handle.close()


def _alternating(explorer: Explorer, work: Callable[[dict], object]) -> Callable[[], None]:
    """A call of `work` with the first slider at one of two places by turns."""
    slider = next(c for c in explorer.controls if isinstance(c, Slider))
    places = [{slider.name: slider.min}, {slider.name: slider.max}]

    def call() -> None:
        places.reverse()
        work(places[0])

    return call


def _anew(handle, values: dict) -> str:
    """What `ipywidgets.interact` would do: compute, make the whole figure, and write it down."""
    explorer = handle.explorer
    outputs = explorer.outputs(**values)
    traces = {trace["uid"]: dict(trace) for trace in explorer.figure["data"]}
    for binding in explorer.bindings:
        traces[binding.trace][binding.attribute] = binding.pick(outputs).numpy()
    figure = go.Figure(data=list(traces.values()), layout=explorer.figure["layout"])
    return json.dumps(figure.to_plotly_json(), default=lambda array: array.tolist())
