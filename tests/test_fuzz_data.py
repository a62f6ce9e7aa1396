"""Any input for data, records, drawings and checks: a documented error, or what was asked for."""

import json
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bnviz.figure import drawing
from bnviz.figure.explorer import Binding
from bnviz.maths.checks import failures
from bnviz.maths.data import clouds, digits
from bnviz.maths.record import ActivationRecorder
from tests.fuzzing import JUNK, TENSORS, answer, examples, few, plain, steady

COUNT = st.one_of(st.integers(-2, 5), JUNK)
NUMBER = st.one_of(st.floats(-9, 9), JUNK)


CLOUDS = {"n": 3, "seed": 1, "distance": 2.0, "correlation": 0.5, "scale": 1.0}


@settings(steady, max_examples=examples(30))
@given(st.sampled_from(list(CLOUDS)), st.one_of(st.integers(-2, 5), NUMBER, st.integers(0, 2**33)))
def test_clouds_of_anything(name, value):
    if name == "n" and type(value) is int and value > 99:
        return
    options = CLOUDS | {name: value}
    n, seed, distance, correlation, scale = options.values()
    found = answer(clouds, n, seed=seed, distance=distance, correlation=correlation, scale=scale)
    correlation = 0.0 if correlation is False else correlation  # as good as 0
    fits = type(n) is int and n > 0 and all(map(plain, (seed, distance, correlation, scale)))
    fits = fits and 0 <= seed < 2**32 - 1 and seed == int(seed)
    assert (found is not None) == (fits and -1 < correlation < 1 and scale > 0)
    if found is not None:
        x, y = found
        assert x.shape == (2 * n, 2)
        assert y.tolist() == [0] * n + [1] * n
        if abs(distance) < 1e6:
            again, _ = clouds(n, seed=seed)  # another distance moves the classes apart, no more
            moved = ((distance - 2) * (y - 0.5)).float()
            torch.testing.assert_close(x[:, 0] - again[:, 0], moved, rtol=1e-4, atol=1e-4)


@few
@given(JUNK)
def test_digits_take_a_seed_and_nothing_else(seed):
    found = answer(digits, seed)
    if found is not None:
        assert seed == int(seed) >= 0
        assert len(torch.cat([found.x_train, found.x_test])) == 1797


@steady
@given(COUNT)
def test_a_recorder_of_any_rhythm(every):
    relu = nn.ReLU()
    recorder = answer(ActivationRecorder, [relu], every)
    assert (recorder is not None) == (type(every) is int and every >= 1)
    if recorder is None:
        return
    with recorder:
        assert answer(recorder.stack, "mean") is None
        for k in range(5):
            relu(torch.full((2, 3), float(k)))
    assert recorder.stack("mean").flatten().tolist() == list(range(0, 5, every))


@steady
@given(TENSORS)
def test_what_is_drawn_is_json_with_the_same_numbers(v):
    figure = {"data": [{"uid": "a", "y": []}], "layout": {}}
    bound = (Binding("out", "a", "y"),)
    if v.is_complex():
        assert answer(drawing.apply, figure, bound, {"out": v}) is None
        return
    drawn = drawing.apply(figure, bound, {"out": v})
    again = json.loads(json.dumps(drawn, allow_nan=False))["data"][0]["y"]
    flat = np.array(again, dtype=object).ravel().tolist()
    for mine, x in zip(flat, v.flatten().tolist(), strict=True):
        assert (mine is None and not math.isfinite(x)) or mine == x
    assert figure["data"][0]["y"] == []


@few
@given(JUNK)
def test_only_a_layer_can_be_checked(kind):
    assert answer(failures, kind) is None
