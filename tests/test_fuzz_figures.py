"""Every figure at any setting of its controls: numbers, unless there is nothing to draw."""

import re
import string
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bnviz import explorers
from bnviz.figure import drawing
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.maths.prng import Shuffler
from tests.described import value_at
from tests.fuzzing import examples

# What may hold NaN: a template has more marks than there is something to show for.
BLANK = {
    "effective-rate": r"predicted|\w+_settled",  # without decay there is no equilibrium
    "covariate-shift": r"(train|test)_(rose|other|wrong)_[xy]",  # photos of the other kinds
    "whitening": r"(long|short)_[xy]",  # a circle has no axes
    "normalize": "pale|strong",  # cells that are not filled in yet, or are of the other shade
    "scale-shift": r"(before|normalised|after)_(v|response)",  # examples beyond the batch
    "axes": "pale|strong|numbers|frame_[xy]",
    "shared-cells": "pale|strong",
    "backward-steps": "formulas|autograd|apart",
    "batch-coupling": r"(before|after|nudged)_(points|lines)|own|others|predicted|jacobian",
    "gradient-projection": r"(dy|left)_([xy]|stem_[xy]|angles)",
    "init-scale": r"(plain|bn)_(saturated|signal|gradient|weight|update)",  # layers beyond the last
    "ics": r"(plain|bn|noisy)_(changed|cosine|changed_here|moved|moved_here)",  # a dead layer
    "landscape": r"(plain|bn)_change_line|(plain|bn)_beta",  # a log axis has no 0
    "landscape-linear": r"(plain|bn)_change_line|(plain|bn)_beta",
    "loss-surface": r"(plain|bn)_flat",  # places that are no plateau
}
# What may be infinite: far ahead, or where squares overflow one step before a run diverges.
BOUNDLESS = {
    "drift": r"(plain|bn)_std",
    "placement": r"(plain|before|after)_(in|out)_std",
    "channels": r"(plain|bn|bn_raw)[12]_std_(low|high)",
    "normalisers": r"(batch|layer|group|instance|none)[12]_std",
    "ics": r"(plain|bn|noisy)_(moved|moved_here)",  # counted in standard deviations that are 0
    "landscape": r"(plain|bn)_(line|least|most|norm|beta|change_(line|least|most))",
    "landscape-linear": r"(plain|bn)_(line|least|most|norm|beta|change_(line|least|most))",
    "loss-surface": r"(plain|bn)_(height|highest|lowest)",
}
DEAR = ("loss-surface", "landscape", "landscape-linear", "init-scale", "broken-batchnorm")
SIMULATIONS = [n for n in explorers.names() if isinstance(explorers.get(n), Simulation)]
OTHERS = [n for n in explorers.names() if n not in SIMULATIONS]


def settings_of(explorer: Explorer):
    """Values for all controls: ends of ranges as often as what lies between."""

    def any_value(control):
        if isinstance(control, Choice):
            return st.sampled_from(control.options)
        if not isinstance(control, Slider):
            return st.booleans()
        ends = st.sampled_from([control.min, control.max])
        span = control.position(control.min), control.position(control.max)
        return st.one_of(ends, st.floats(*span).map(partial(value_at, control)))

    return st.fixed_dictionaries({c.name: any_value(c) for c in explorer.controls})


def spoken(explorer: Explorer) -> set[str]:
    """The outputs that a readout names."""
    fields = {name for _, name, _, _ in string.Formatter().parse(explorer.readout) if name}
    return {re.split(r"[.\[]", field)[0] for field in fields} - set(explorer.defaults())


def check(explorer: Explorer, outputs: dict[str, torch.Tensor]) -> None:
    blank, boundless = (t.get(explorer.name, "$^") for t in (BLANK, BOUNDLESS))
    for name, value in outputs.items():
        assert re.fullmatch(blank, name) or not value.isnan().any(), f"{name} is not a number"
        assert re.fullmatch(boundless, name) or not value.isinf().any(), f"{name} is infinite"


@pytest.mark.parametrize("name", explorers.names())
def test_what_may_be_blank_is_not_said(name):
    explorer = explorers.get(name)
    silent = [n for n in spoken(explorer) if re.fullmatch(BLANK.get(name, "$^"), n)]
    assert not silent or name in BOUNDLESS


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", OTHERS)
def test_a_figure_computes_numbers_at_any_setting(name):
    explorer = explorers.get(name)

    @settings(derandomize=True, max_examples=examples(3 if name in DEAR else 8))
    @given(settings_of(explorer))
    def at_any_setting(values):
        outputs = explorer.outputs(**values)
        check(explorer, outputs)
        drawing.apply(explorer.figure, explorer.bindings, outputs)
        assert "{" not in explorer.say(explorer.numbers(values), outputs)

    at_any_setting()


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", SIMULATIONS)
def test_a_training_gives_numbers_at_any_setting_until_it_diverges(name):
    simulation = explorers.get(name)

    @settings(derandomize=True, max_examples=examples(4))
    @given(settings_of(simulation), st.integers(0, 2**20))
    def at_any_setting(values, seed):
        controls, shuffler = simulation.tensors(values), Shuffler(simulation.rows, seed)
        with torch.no_grad():
            state = simulation.initial(torch.tensor(float(seed)), **controls)
            observe = simulation.observe or (lambda state, **controls: {})
            check(simulation, observe(state, **controls))
            for _ in range(3):
                rows = shuffler.take(round(simulation.numbers(values)["batch"]))
                state, outputs = simulation.step(state, rows, **controls)
                if simulation.diverged(outputs) or not all(
                    v.isfinite().all() for v in state.values()
                ):
                    return  # the next loss says so
                check(simulation, outputs)
            check(simulation, observe(state, **controls))

    at_any_setting()
