"""controls and the checks of explorer: bad input is named, with range and remedy."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bnviz.figure.controls import Choice, Slider, Toggle, control_to_dict
from bnviz.figure.explorer import Binding, Explorer
from tests.described import control_of, figure_of

RATE = Slider("rate", "learning rate", 0.001, 10, 0.1, step=0.1, scale="log10", format=".1e")
GAMMA = Slider("gamma", "γ", -3, 3, 1, step=0.05)
BATCH = Slider("batch", "batch size", 2, 256, 32, step=1, scale="log2", format="d")
KIND = Choice("kind", "activation", ("sigmoid", "tanh"), "tanh")
HOLD = Toggle("hold", "hold", False)
CONTROLS = (RATE, GAMMA, BATCH, KIND, HOLD)


def compute(gamma, kind, hold, **others):
    return {"y": gamma * torch.arange(3.0), "mean": gamma + hold, "kind_twice": 2 * kind}


def demo(**changes) -> Explorer:
    fields = {
        "name": "demo",
        "title": "A demo",
        "caption": "Look.",
        "controls": CONTROLS,
        "compute": compute,
        "figure": {"data": [{"type": "scatter", "uid": "line"}], "layout": {}},
        "bindings": (Binding("y", "line", "y"),),
        "readout": "mean {mean:.1f}, {gamma:.0%}",
    }
    return Explorer(**{**fields, **changes})


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_a_control_survives_json(control):
    again = control_of(json.loads(json.dumps(control_to_dict(control))))
    assert again == control
    assert type(again) is type(control)


@given(st.floats(0, 1))
@pytest.mark.parametrize("slider", [RATE, GAMMA, BATCH], ids=lambda s: s.name)
def test_every_position_has_a_stop_beside_it(slider, share):
    low, high = slider.position(slider.min), slider.position(slider.max)
    position = low + share * (high - low)
    stop = slider.stop_at(position)
    assert slider.number(stop) == stop
    assert abs(slider.position(stop) - position) <= slider.step / 2 + 1e-7  # stops have 8 digits
    assert slider.stop_at(low - 1) == slider.min
    assert slider.stop_at(high + 1) == slider.max


def test_scales_are_what_they_are_called():
    assert RATE.position(0.01) == pytest.approx(-2)
    assert BATCH.stop_at(5) == 32
    assert GAMMA.position(0.7) == 0.7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min": 3}, "need min < max"),
        ({"min": 2}, "min <= value <= max, got 2, 3, 1"),
        ({"value": 4}, "min <= value <= max, got -3, 3, 4"),
        ({"value": math.nan}, "min <= value <= max"),
        ({"scale": "log10"}, "log10 scale needs min > 0, got -3"),
        ({"scale": "square"}, "scale 'square' is not one of"),
    ],
)
def test_an_impossible_slider_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Slider(**{**asdict(GAMMA), **changes})


def test_a_choice_must_begin_with_one_of_its_options():
    with pytest.raises(
        ValueError, match=r"kind = 'relu' is unknown; choose from \('sigmoid', 'tanh'\)"
    ):
        Choice("kind", "activation", ("sigmoid", "tanh"), "relu")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"delta": 1.0}, ValueError, r"demo has no control \['delta'\]; it has \('rate', 'gamma'"),
        ({"gamma": 3.01}, ValueError, r"gamma = 3.01 is outside \[-3, 3\]; choose a value in"),
        ({"gamma": -100}, ValueError, r"gamma = -100 is outside"),
        ({"rate": 0.0}, ValueError, r"rate = 0.0 is outside \[0.001, 10\]"),
        ({"gamma": math.nan}, ValueError, "gamma = nan is outside"),
        ({"gamma": math.inf}, ValueError, "gamma = inf is outside"),
        ({"gamma": "1"}, TypeError, "gamma takes a number, got '1'"),
        ({"gamma": True}, TypeError, "gamma takes a number, got True"),
        ({"gamma": None}, TypeError, "gamma takes a number, got None"),
        ({"gamma": 1 + 0j}, TypeError, "gamma takes a number"),
        ({"kind": "relu"}, ValueError, "kind = 'relu' is unknown; choose from"),
        ({"kind": 0}, ValueError, "kind = 0 is unknown"),
        ({"hold": 1}, TypeError, "hold takes True or False, got 1"),
        ({"hold": "yes"}, TypeError, "hold takes True or False, got 'yes'"),
    ],
)
def test_bad_values_are_named_with_range_and_remedy(values, error, message):
    for ask in (demo().numbers, demo().tensors, lambda v: demo().outputs(**v)):
        with pytest.raises(error, match=message):
            ask(values)


def test_values_become_float32_numbers_and_missing_ones_keep_their_start():
    tensors = demo().tensors({"gamma": 2, "kind": "sigmoid", "hold": True})
    assert {k: v.item() for k, v in tensors.items()} == {
        "rate": pytest.approx(0.1),
        "gamma": 2,
        "batch": 32,
        "kind": 0,
        "hold": 1,
    }
    assert all(v.dtype == torch.float32 and v.shape == () for v in tensors.values())
    assert list(tensors) == [c.name for c in CONTROLS]
    assert demo().outputs(gamma=2, hold=True)["mean"] == 3
    assert demo().defaults()["kind"] == "tanh"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Scale Shift"}, "'Scale Shift' is not kebab-case"),
        ({"name": "x--y"}, "not kebab-case"),
        ({"controls": (GAMMA, GAMMA)}, r"two controls share a name: \['gamma', 'gamma'\]"),
        ({"bindings": (Binding("y", "curve", "y"),)}, "no trace has the uid 'curve'"),
        ({"counts": {"y": "bars"}}, "'y' cannot be counted as 'bars'; choose from .*histogram"),
    ],
)
def test_an_impossible_figure_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        demo(**changes)


def test_a_simulation_says_how_many_rows_a_step_takes():
    controls = [c for c in demo().to_dict()["controls"] if c["name"] != "batch"]
    with pytest.raises(ValueError, match='demo: a Simulation has a control named "batch"'):
        figure_of(demo().to_dict() | {"kind": "simulation", "controls": controls})


def test_a_binding_picks_from_the_first_axes():
    outputs = {"p": torch.arange(6.0).reshape(2, 3)}
    assert Binding("p", "t", "y", (1,)).pick(outputs).tolist() == [3, 4, 5]
    assert Binding("p", "t", "y", (1, 2)).pick(outputs) == 5
    assert Binding("p", "t", "z").pick(outputs).shape == (2, 3)
    with pytest.raises(KeyError):
        Binding("q", "t", "y").pick(outputs)


def test_a_readout_spells_out_what_is_not_a_number():
    explorer = demo(readout="{mean:.1f} {y[1]:.0%} {y[2]:d} {gamma:.2f}")
    outputs = {"mean": torch.tensor(math.nan), "y": torch.tensor([0, -0.004, math.inf])}
    assert explorer.say({"gamma": -0.001}, outputs) == "not a number 0% infinite 0.00"


def test_what_has_diverged_is_called_by_its_name():
    fields = {"kind": "simulation", "watch": {"a_loss": "net A", "b_loss": "net B"}, "rows": 5}
    simulation = figure_of(demo().to_dict() | fields)
    finite, lost = torch.tensor(1.0), torch.tensor([1.0, math.inf])
    assert simulation.diverged({"a_loss": finite, "b_loss": finite}) == []
    assert simulation.diverged({"a_loss": finite, "b_loss": lost}) == ["net B"]
    assert simulation.diverged({"a_loss": torch.tensor(math.nan)}) == ["net A"]
    assert figure_of(json.loads(json.dumps(simulation.to_dict()))) == simulation
