"""Put numbers into a figure: bindings carry outputs to traces, without plotly or any host.

`first` is the drawing that readers see before anything runs: start values, and a Simulation before
its first step, with seed 0. What its run shows is for the reader to guess.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bnviz.figure.explorer import Binding, Explorer, Simulation
from bnviz.figure.run import Histories, Run

__all__ = ["Drawing", "Places", "apply", "first"]

Places = dict[Binding, tuple[int, ...]]


@dataclass(frozen=True)
class Drawing:
    """A figure with numbers in it, the sentence that goes with it, and the steps behind it.

    Attributes:
        observed: of a Simulation, the outputs that come only every `every` steps.
    """

    figure: dict[str, Any]
    readout: str
    step: int = 0
    observed: list[str] = field(default_factory=list[str])


def apply(
    figure: dict[str, Any],
    bindings: tuple[Binding, ...],
    outputs: dict[str, Tensor],
    collected: Histories | None = None,
    places: Places | None = None,
) -> dict[str, Any]:
    """A copy of a figure in which the bound attributes hold the outputs, as plain lists.

    Args:
        figure: a plotly figure as a dict; every bound trace has a `uid`. It is not changed.
        bindings: those whose output is missing leave their trace as it is.
        outputs: by name.
        collected: what the appended bindings have gathered; the x of their traces counts steps, and
            their time axes reach to the end of the record.
        places: which element is drawn of those that keep several, from `Explorer.places`.

    A number that is not finite becomes None, which draws nothing and is valid JSON. Complex ones
    raise TypeError.
    """
    figure = copy.deepcopy(figure)
    traces = {trace.get("uid"): trace for trace in figure["data"]}
    for binding in bindings:
        trace = traces[binding.trace]
        if not binding.append and binding.output in outputs:
            trace[binding.attribute] = _plain(binding.pick(outputs))
        elif binding.append and collected and binding in collected:
            history = collected[binding]
            trace["x"] = _plain(history.steps())
            shown = history.values(*(places or {}).get(binding, ()))  # (columns,) or more
            trace[binding.attribute] = _plain(shown.T)  # a heatmap's rows are its y
    _stretch_time(figure["layout"], traces, collected or {})
    return figure


def first(explorer: Explorer) -> Drawing:
    """What a reader sees first: start values, in a Simulation before its first step, seed 0."""
    if isinstance(explorer, Simulation):
        return _first_of_simulation(explorer)
    outputs = explorer.outputs()
    figure = apply(explorer.figure, explorer.bindings, outputs)
    return Drawing(figure, explorer.say(explorer.numbers({}), outputs))


def _first_of_simulation(simulation: Simulation) -> Drawing:
    numbers, controls = simulation.numbers({}), simulation.tensors({})
    run = Run(simulation, 0, controls)
    places = simulation.places(numbers)
    figure = apply(simulation.figure, simulation.bindings, run.outputs, run.histories, places)
    return Drawing(figure, simulation.say(numbers, run.outputs), run.number, list(run.observed))


def _stretch_time(
    layout: dict[str, Any], traces: dict[str, dict[str, Any]], collected: Histories
) -> None:
    if not collected:
        return
    finest = min(h.every for h in collected.values())
    extent = max(h.extent for h in collected.values() if h.every == finest)
    for binding in collected:
        axis = traces[binding.trace].get("xaxis", "x").replace("x", "xaxis")
        layout.setdefault(axis, {})["range"] = [0, extent]


def _plain(value: Tensor | NDArray[Any]) -> Any:
    """Nested lists of numbers; None for what is not finite."""
    array = np.asarray(value)
    if np.iscomplexobj(array):
        raise TypeError(f"an output is {array.dtype}: bind its real or its imaginary part")
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()
