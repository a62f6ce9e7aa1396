"""bnviz.maths.measures against NumPy and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bnviz.maths.measures import accuracy, dead, density, percentiles, saturated
from bnviz.maths.nets import ACTIVATIONS, Activation

numbers = st.floats(-50, 50, width=32)


@given(
    v=arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 50)), elements=numbers),
    low=st.sampled_from([-8.0, -6.0, 0.0]),
    bins=st.sampled_from([1, 16, 48]),
)
def test_a_density_is_numpys_histogram_with_outliers_in_the_end_bins(v, low, bins):
    high = low + 12.0
    width = (high - low) / bins
    edges = np.arange(1, bins) * width + low
    away = np.abs(v[..., None] - edges).min(-1, initial=1.0) > 1e-4  # on an edge, rounding decides
    v = np.where(away, v, np.float32(low))
    ours = density(torch.tensor(v), low, high, bins).numpy()
    for row, got in zip(v, ours, strict=True):
        counts, _ = np.histogram(np.clip(row, low, high), bins=bins, range=(low, high))
        np.testing.assert_allclose(got, counts / (len(row) * width), rtol=1e-5, atol=1e-7)


def test_nan_counts_nowhere_and_infinity_in_the_end_bins():
    v = torch.tensor([[float("nan"), float("inf"), float("-inf"), 0.5]])
    assert density(v, 0.0, 1.0, 2).tolist() == [[0.5, 1.0]]
    assert density(torch.full((1, 3), float("nan")), 0.0, 1.0, 2).tolist() == [[0.0, 0.0]]


def test_a_range_may_begin_at_any_whole_number():
    low = -(2**63) - 1  # one more than 64 bits hold
    torch.testing.assert_close(
        density(torch.tensor([[0.5]]), low, 1, 2), torch.tensor([[0.0, 2.0 / (1 - low)]])
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_saturated_means_a_slope_below_a_tenth_of_the_largest(name):
    v = torch.linspace(-6, 6, 4001, requires_grad=True)
    (slope,) = torch.autograd.grad(Activation(name)(v).sum(), v)
    flat = (slope < 0.1 * slope.max()).float().mean()
    share = saturated(v.detach().unsqueeze(0), torch.tensor(float(ACTIVATIONS.index(name))))
    assert share.item() == pytest.approx(flat.item(), abs=1e-3)


def test_saturation_is_told_for_each_row():
    v = torch.tensor([[-9.0, 9.0], [0.0, 9.0], [0.0, 0.1]])
    assert saturated(v, torch.tensor(0.0)).tolist() == [1.0, 0.5, 0.0]
    assert saturated(v, torch.tensor(2.0)).tolist() == [0.5, 0.0, 0.0]


@pytest.mark.parametrize("index", range(len(ACTIVATIONS)))
def test_nobody_knows_where_nan_lies(index):
    v, activation = torch.tensor([[[9.0, -9.0], [math.nan, -9.0]]]), torch.tensor(float(index))
    assert saturated(v.flatten(1), activation).isnan().all()
    assert dead(v, activation).isnan().all()
    rest = v[:, :1]  # the layer without it
    share = [1.0, 1.0, 0.5][index]
    assert saturated(rest.flatten(1), activation).item() == share
    assert dead(rest, activation).item() == share


def test_a_unit_with_nan_has_no_percentiles_and_a_row_with_nan_no_answer():
    v = torch.tensor([[[0.0, 0.0], [1.0, math.nan], [2.0, 1.0]]])
    assert percentiles(v, (0.0, 0.5))[:, 0, 0].tolist() == [0.0, 1.0]
    assert percentiles(v, (0.0, 0.5))[:, 0, 1].isnan().all()
    logits = torch.tensor([[0.0, math.nan], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 1])).item() == 0.5


@given(st.integers(1, 30), st.integers(0, 100))
def test_accuracy_is_the_share_of_right_answers(m, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(m, 5, generator=generator)
    y = torch.randint(5, (m,), generator=generator)
    right = sum(
        max(range(5), key=row.__getitem__) == k
        for row, k in zip(logits.tolist(), y.tolist(), strict=True)
    )
    assert accuracy(logits, y).item() == pytest.approx(right / m)
