"""Any input at all: a documented error, or numbers that another way of computing gives as well."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bnviz import explorers
from bnviz.figure.controls import Choice, Slider, Toggle
from bnviz.figure.history import History
from bnviz.maths import batchnorm, gradcheck, measures
from tests.fuzzing import ANYTHING, DOCUMENTED, JUNK, examples, steady


def wide(x):
    """Mean, biased variance and x - mean in the widest floats that the machine has."""
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    v = x.astype(np.longdouble)
    centred = v - v.mean(axes, keepdims=True)
    return v.mean(axes), (centred**2).mean(axes), centred


@steady
@given(ANYTHING)
def test_batch_statistics_of_anything(x):
    try:
        mean, var = batchnorm.batch_statistics(x)
    except DOCUMENTED:
        floating = np.issubdtype(x.dtype, np.floating)
        usable = x.ndim in (2, 4) and x.size and x.size // x.shape[1] > 1
        # what can be computed is computed, unless its squares overflow
        assert not (floating and usable and np.isfinite(x).all() and np.abs(x).max() < 1e3)
        return
    right_mean, right_var, centred = wide(x)
    step = np.finfo(np.result_type(x, np.float32)).eps
    size = float(np.abs(x).max())
    np.testing.assert_allclose(mean, right_mean.astype(float), rtol=0, atol=4 * step * size)
    spread = float(np.abs(centred).max())
    atol = 8 * step * spread**2 + (4 * step * size) ** 2
    np.testing.assert_allclose(var, right_var.astype(float), rtol=1e-5, atol=atol)


@steady
@given(ANYTHING, ANYTHING, ANYTHING, JUNK)
def test_forward_of_anything(x, gamma, beta, eps):
    try:
        y, _ = batchnorm.forward(x, gamma, beta, eps)
    except DOCUMENTED:
        return
    assert y.shape == x.shape
    assert y.dtype == x.dtype


@settings(steady, max_examples=examples(20))
@given(st.data(), st.sampled_from([np.float32, np.float64]), st.floats(1e-8, 1e3))
def test_forward_and_infer_agree_with_wide_floats(data, dtype, eps):
    m, d = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 3))
    limit = st.floats(-1e6, 1e6, width=32)
    x = data.draw(arrays(dtype, (m, d), elements=limit))
    gamma, beta = (data.draw(arrays(dtype, d, elements=st.floats(-9, 9, width=32))) for _ in "gb")
    y, _ = batchnorm.forward(x, gamma, beta, eps)
    mean, var, centred = wide(x)
    expected = gamma * centred / np.sqrt(var + eps) + beta
    # rounding of x itself, seen through the division
    reach = 9 * 8 * np.finfo(dtype).eps * np.abs(x).max() / math.sqrt(eps)
    scale = 200 * np.finfo(dtype).eps * 18 * math.sqrt(m)
    np.testing.assert_allclose(y, expected.astype(float), rtol=0, atol=scale + min(reach, 30))
    used = batchnorm.infer(x, gamma, beta, mean.astype(dtype), var.astype(dtype), eps)
    assert used.shape == x.shape
    assert np.isfinite(used).all()


@steady
@given(ANYTHING, ANYTHING)
def test_relative_error_of_anything(a, b):
    try:
        error = gradcheck.relative_error(a, b)
    except DOCUMENTED:
        return
    assert 0 <= error <= 2 * (1 + 1e-9)
    assert (error == 0) == bool((a.astype(float) == b.astype(float)).all())


@steady
@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(width=32)),
    st.integers(1, 9),
)
def test_a_density_counts_every_value_that_is_a_number(v, bins):
    found = measures.density(torch.from_numpy(v), -2.0, 3.0, bins).numpy()
    inside = np.clip(v.astype(float), -2 + 1e-6, 3 - 1e-6)
    counts = (~np.isnan(inside)).sum(1) / v.shape[1]
    np.testing.assert_allclose(found.sum(1) * 5 / bins, counts, atol=1e-5)


@steady
@given(st.integers(-3, 12), st.lists(st.floats(-1e6, 1e6, width=32), max_size=80))
def test_a_history_of_any_length_keeps_the_mean(capacity, values):
    if capacity < 2 or capacity % 2:
        with pytest.raises(ValueError, match="capacity"):
            History(capacity)
        return
    history = History(capacity)
    for value in values:
        history.append(value)
    kept = history.values()
    assert len(kept) <= capacity
    assert history.extent >= len(values)
    full = len(values) // history.stride
    means = [np.mean(values[k * history.stride : (k + 1) * history.stride]) for k in range(full)]
    np.testing.assert_allclose(kept[:full], means, rtol=1e-4, atol=1)


def fits(control, value) -> bool:
    """Whether a value is one that this control can have."""
    if isinstance(control, Toggle):
        return isinstance(value, bool)
    if isinstance(control, Choice):
        return isinstance(value, str) and value in control.options
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and control.min <= value <= control.max


@pytest.mark.parametrize("name", explorers.names())
def test_a_control_takes_what_fits_and_nothing_else(name):
    explorer = explorers.get(name)

    @steady
    @given(st.sampled_from([c.name for c in explorer.controls]), JUNK)
    def check(control_name, value):
        control = next(c for c in explorer.controls if c.name == control_name)
        try:
            numbers = explorer.numbers({control_name: value})
        except DOCUMENTED:
            assert not fits(control, value)
        else:
            assert fits(control, value)
            if isinstance(control, Slider):
                assert numbers[control_name] == value

    check()


@pytest.mark.parametrize("name", explorers.names())
def test_an_unknown_control_is_named(name):
    with pytest.raises(ValueError, match="nonsense"):
        explorers.get(name).numbers({"nonsense": 1})
