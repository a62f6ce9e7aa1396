"""drawing: outputs reach the traces they are bound to; the first drawing is a real run."""

import copy
import json
import math

import numpy as np
import pytest
import torch

from bnviz import explorers
from bnviz.figure import drawing
from bnviz.figure.explorer import Binding, Explorer, Simulation
from bnviz.figure.history import History
from bnviz.figure.run import Run, remember
from tests.described import figure_of
from tests.twin import first_drawing

FIGURE = {
    "data": [
        {"type": "scatter", "uid": "line", "x": [1, 2], "y": []},
        {"type": "heatmap", "uid": "heat", "xaxis": "x2", "y": [0, 1, 2], "z": []},
        {"type": "scatter", "uid": "loss", "xaxis": "x3", "y": []},
    ],
    "layout": {"xaxis2": {"range": [0, 4], "title": {"text": "step"}}},
}


def test_an_output_replaces_the_bound_attribute_and_nothing_else():
    before = copy.deepcopy(FIGURE)
    bindings = (Binding("p", "line", "y", (1,)), Binding("missing", "line", "x"))
    figure = drawing.apply(FIGURE, bindings, {"p": torch.tensor([[0.0, 1.0], [2.0, 0.5]])})
    assert figure["data"][0] == {**FIGURE["data"][0], "y": [2.0, 0.5]}
    assert figure["data"][1:] == FIGURE["data"][1:]
    assert figure["layout"] == FIGURE["layout"]
    assert before == FIGURE
    figure["data"][1]["y"].append(3)
    assert before == FIGURE


def test_what_is_not_finite_is_drawn_as_nothing_and_is_json():
    value = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    figure = drawing.apply(FIGURE, (Binding("v", "line", "y"),), {"v": value})
    assert figure["data"][0]["y"] == [1.0, None, None, None]
    json.dumps(figure, allow_nan=False)


def test_histories_become_curves_and_heatmaps_over_steps():
    heat, loss = Binding("h", "heat", "z", append=True), Binding("l", "loss", "y", append=True)
    collected = {heat: History(4), loss: History(2, every=2)}
    for number in range(1, 7):
        outputs = {"h": torch.tensor([number, 10.0 * number, 0.0])}
        if number % 2 == 0:
            outputs["l"] = torch.tensor(float(number))
        remember(collected, outputs)
    figure = drawing.apply(FIGURE, (heat, loss), {}, collected)
    assert figure["data"][1]["x"] == [1.5, 3.5, 5.5]
    assert figure["data"][1]["z"] == [[1.5, 3.5, 5.5], [15.0, 35.0, 55.0], [0.0, 0.0, 0.0]]
    assert figure["data"][2]["x"] == [3.0, 7.0]
    assert figure["data"][2]["y"] == [3.0, 6.0]
    assert figure["layout"]["xaxis2"] == {"range": [0, 8], "title": {"text": "step"}}
    assert figure["layout"]["xaxis3"] == {"range": [0, 8]}


def test_a_control_chooses_the_element_of_a_history_that_is_drawn():
    binding = Binding("v", "loss", "y", append=True, by=("layer", "unit"))
    collected = {binding: History(4)}
    assert drawing.apply(FIGURE, (binding,), {}, collected, {binding: (1, 2)})["data"][2]["y"] == []
    for number in range(3):
        remember(collected, {"v": number + torch.arange(6.0).reshape(2, 3)})
    figure = drawing.apply(FIGURE, (binding,), {}, collected, {binding: (1, 2)})
    assert figure["data"][2]["y"] == [5.0, 6.0, 7.0]
    drift = explorers.get("drift")
    numbers = drift.numbers({"layer": 5, "unit": 1})
    assert set(drift.places(numbers).values()) == {(4, 0)}


def test_choosing_from_what_is_not_kept_is_refused():
    with pytest.raises(ValueError, match="set append=True"):
        Binding("v", "loss", "y", by=("layer",))
    with pytest.raises(ValueError, match="no control is called as in"):
        Explorer(
            "one", "One", "Look.", (), None, FIGURE,
            (Binding("v", "loss", "y", append=True, by=("layer",)),), "",
        )  # fmt: skip


def test_a_binding_to_a_trace_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="curve"):
        drawing.apply(FIGURE, (Binding("p", "curve", "y"),), {"p": torch.zeros(2)})


@pytest.mark.parametrize("name", explorers.names())
def test_the_first_drawing_fills_every_bound_trace(name):
    """But for what a run collects: it has not begun, and a reader may guess."""
    explorer = explorers.get(name)
    first = first_drawing(name)
    traces = {trace["uid"]: trace for trace in first.figure["data"]}
    for binding in explorer.bindings:
        values = np.array(traces[binding.trace][binding.attribute], dtype=float)
        assert binding.append or np.isfinite(values).any(), binding
    assert len(json.dumps(first.figure, allow_nan=False)) < 2_000_000
    assert first.readout
    assert first.step == 0


def test_the_first_drawing_is_always_the_same():
    for explorer in (explorers.get("scale-shift"), counting()):
        first = drawing.first(explorer)
        assert drawing.first(explorer) == first


def test_an_explorer_is_drawn_with_its_start_values():
    explorer = explorers.get("scale-shift")
    outputs = explorer.outputs()
    first = drawing.first(explorer)
    drawn = next(t for t in first.figure["data"] if t["uid"] == "after-histogram")
    np.testing.assert_array_equal(np.float32(drawn["y"]), outputs["after_share"].numpy())
    assert first.readout == explorer.say(explorer.numbers({}), outputs)


def counting(every: int = 2, observe: bool = True) -> Simulation:
    """A simulation whose state counts its steps and adds up its rows."""

    def initial(seed, **controls):
        return {"n": torch.zeros(1) + seed, "sum": torch.zeros(1)}

    def step(state, rows, batch, rate):
        new = {"n": state["n"] + 1, "sum": state["sum"] + rows.sum()}
        return new, {"n": new["n"][0], "sum": new["sum"][0], "row": torch.full((3,), rate)}

    def look(state, batch, rate):
        return {"seen": state["n"][0]}

    fields = Explorer(
        "counting", "Counting", "Look.", (), None, FIGURE,
        (
            Binding("row", "heat", "z", append=True),
            Binding("n", "loss", "y", append=True),
            *([Binding("seen", "line", "y", append=True)] if observe else []),
        ),
        "step {n:d}, sum {sum:d}",
    ).to_dict()  # fmt: skip
    fields |= {"controls": CONTROLS, "rows": 7, "every": every, "history": 8}
    fields |= {"watch": {}, "kind": "simulation"}
    return figure_of(fields, initial=initial, step=step, observe=look if observe else None)


CONTROLS = [
    {
        "kind": "slider",
        "name": "batch",
        "label": "batch",
        "min": 1,
        "max": 7,
        "value": 3,
        "step": 1,
    },
    {
        "kind": "slider",
        "name": "rate",
        "label": "rate",
        "min": 0,
        "max": 1,
        "value": 0.5,
        "step": 0.1,
    },
]


def test_the_first_readout_tells_what_the_first_step_would():
    first = drawing.first(counting())
    assert first.figure["layout"]["xaxis2"]["range"] == [0, 8]
    assert first.step == 0
    assert first.figure["data"][2]["y"] == []
    assert first.readout.startswith("step 1, ")


def test_a_simulation_need_not_be_observed():
    assert drawing.first(counting(observe=False)).observed == []


def test_observed_outputs_get_a_coarser_record_over_about_the_same_steps():
    simulation = counting(every=2)
    run = Run(simulation, 0, simulation.tensors({}))
    by_output = {binding.output: history for binding, history in run.histories.items()}
    assert run.observed == ("seen",)
    assert (by_output["n"].capacity, by_output["n"].every) == (8, 1)
    assert (by_output["seen"].capacity, by_output["seen"].every) == (4, 2)
    assert by_output["n"].extent == by_output["seen"].extent
