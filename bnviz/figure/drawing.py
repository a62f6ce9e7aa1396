"""Put numbers into a figure: bindings carry outputs to traces, without plotly or any host.

`first` is the drawing that readers see before anything runs: start values, and for a Simulation a
short run with seed 0.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bnviz.figure.explorer import Binding, Explorer, Simulation
from bnviz.figure.history import History
from bnviz.maths.prng import Shuffler

__all__ = [
    "Drawing",
    "Histories",
    "Places",
    "apply",
    "filled",
    "first",
    "histories",
    "observed_names",
    "remember",
]

Histories = dict[Binding, History]
Places = dict[Binding, tuple[int, ...]]


@dataclass(frozen=True)
class Drawing:
    """A figure with numbers in it, the sentence that goes with it, and the steps behind it."""

    figure: dict
    readout: str
    step: int = 0


def apply(
    figure: dict,
    bindings: tuple[Binding, ...],
    outputs: dict[str, Tensor],
    collected: Histories | None = None,
    places: Places | None = None,
) -> dict:
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


def filled(explorer: Explorer) -> dict:
    """The figure as `first` draws it."""
    return first(explorer).figure


def first(explorer: Explorer) -> Drawing:
    """What a reader sees first: start values, in a Simulation after `preview` steps, seed 0."""
    if isinstance(explorer, Simulation):
        return _first_of_simulation(explorer)
    outputs = explorer.outputs()
    figure = apply(explorer.figure, explorer.bindings, outputs)
    return Drawing(figure, explorer.say(explorer.numbers({}), outputs))


def _first_of_simulation(simulation: Simulation) -> Drawing:
    numbers, controls = simulation.numbers({}), simulation.tensors({})
    shuffler = Shuffler(simulation.rows, seed=0)
    collected = histories(simulation)
    with torch.no_grad():
        state = simulation.initial(torch.tensor(0.0), **controls)
        outputs = simulation.observe(state, **controls) if simulation.observe else {}
        for number in range(1, simulation.preview + 1):
            rows = shuffler.take(round(numbers["batch"]))
            state, new = simulation.step(state, rows, **controls)
            if simulation.observe and number % simulation.every == 0:
                new = new | simulation.observe(state, **controls)
            remember(collected, new)
            outputs = outputs | new
        if not simulation.preview:  # what the first step would show; nothing moves
            rows = shuffler.take(round(numbers["batch"]))
            outputs |= simulation.step(state, rows, **controls)[1]
    places = simulation.places(numbers)
    figure = apply(simulation.figure, simulation.bindings, outputs, collected, places)
    return Drawing(figure, simulation.say(numbers, outputs), simulation.preview)


def observed_names(simulation: Simulation) -> list[str]:
    """Outputs that come only every `every` steps, from `observe`."""
    if simulation.observe is None:
        return []
    controls = simulation.tensors({})
    with torch.no_grad():
        state = simulation.initial(torch.tensor(0.0), **controls)
        return list(simulation.observe(state, **controls))


def histories(simulation: Simulation) -> Histories:
    """An empty record for each appended binding; an observed output needs fewer columns."""
    seldom = observed_names(simulation)
    every = simulation.every
    fewer = max(2, simulation.history // every // 2 * 2)  # even, over about the same steps
    return {
        binding: History(fewer, every) if binding.output in seldom else History(simulation.history)
        for binding in simulation.bindings
        if binding.append
    }


def remember(collected: Histories, outputs: dict[str, Tensor]) -> None:
    """Append the newest outputs to the records they belong to."""
    for binding, history in collected.items():
        if binding.output in outputs:
            history.append(binding.pick(outputs))


def _stretch_time(layout: dict, traces: dict[str, dict], collected: Histories) -> None:
    if not collected:
        return
    finest = min(h.every for h in collected.values())
    extent = max(h.extent for h in collected.values() if h.every == finest)
    for binding in collected:
        axis = traces[binding.trace].get("xaxis", "x").replace("x", "xaxis")
        layout.setdefault(axis, {})["range"] = [0, extent]


def _plain(value: Tensor | np.ndarray):
    """Nested lists of numbers; None for what is not finite."""
    array = np.asarray(value)
    if np.iscomplexobj(array):
        raise TypeError(f"an output is {array.dtype}: bind its real or its imaginary part")
    return np.where(np.isfinite(array), array.astype(object), None).tolist()
