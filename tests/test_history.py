"""bnviz.figure.history against a record that keeps everything and averages at the end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnviz.figure.history import History

capacities = st.integers(1, 8).map(lambda k: 2 * k)


def oracle(values: list, capacity: int, every: int = 1):
    """Means of `stride` values, the middle of their steps, the stride."""
    stride = 1
    while len(values) > capacity * stride:
        stride *= 2
    groups = [values[i : i + stride] for i in range(0, len(values), stride)]
    steps = [every * (k * stride + (stride + 1) / 2) for k in range(len(groups))]
    return [np.mean(np.float64(g), axis=0) for g in groups], steps, stride


@given(
    capacity=capacities,
    every=st.integers(1, 10),
    values=st.lists(st.floats(-100, 100, width=32), max_size=200),
)
def test_numbers_are_kept_as_means_of_ever_longer_stretches(capacity, every, values):
    history = History(capacity, every)
    for n, value in enumerate(values, start=1):
        history.append(value)
        means, steps, stride = oracle(values[:n], capacity, every)
        np.testing.assert_allclose(history.values(), means, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(history.steps(), steps)
        assert history.stride == stride
        assert history.extent == capacity * stride * every >= n * every
        assert len(history.values()) <= capacity


@given(capacity=capacities, length=st.integers(1, 60), seed=st.integers(0, 99))
def test_rows_become_columns_of_the_same_length(capacity, length, seed):
    rows = np.random.default_rng(seed).normal(size=(length, 3)).astype(np.float32)
    history = History(capacity)
    for row in rows:
        history.append(row)
    means, *_ = oracle(list(rows), capacity)
    assert history.values().dtype == np.float32
    np.testing.assert_allclose(history.values(), means, atol=1e-5)


def test_a_record_does_not_change_when_its_source_does():
    row = np.ones(3, dtype=np.float32)
    history = History(4)
    history.append(row)
    row[:] = 7
    assert history.values().tolist() == [[1.0, 1.0, 1.0]]


def test_what_is_not_a_number_stays_where_it_was():
    history = History(4)
    for value in (1.0, float("nan"), 3.0):
        history.append(value)
    assert np.isnan(history.values()).tolist() == [False, True, False]


def test_an_empty_record_is_empty():
    history = History(6, every=10)
    assert history.values().shape == history.steps().shape == (0,)
    assert history.extent == 60


@pytest.mark.parametrize("capacity", [0, 1, 3, -2])
def test_an_odd_capacity_is_refused(capacity):
    with pytest.raises(ValueError, match=f"even and at least 2, got {capacity}"):
        History(capacity)
