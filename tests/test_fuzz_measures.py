"""Any input for random numbers and measures: a documented error, or what plain Python finds too."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bnviz.maths import ics, measures, prng
from tests.fuzzing import (
    DOCUMENTED,
    JUNK,
    TENSORS,
    WHATEVER,
    answer,
    examples,
    floats,
    one_odd,
    steady,
    usable,
)

LARGEST_SEED = 2**32 - 2
SEEDS = st.integers(0, LARGEST_SEED)
WHOLE = st.integers(-3, 40)
# tensors with 2 or 3 axes more often than anything else
V = {n: st.one_of(floats((3, 2, 2)[:n], math.inf), floats((1, 2, 2)[:n]), WHATEVER) for n in (2, 3)}
GAPPY = arrays(np.float32, (3, 2), elements=st.sampled_from([0, 1, math.nan])).map(torch.from_numpy)
LABELS = arrays(np.int64, st.sampled_from([3, 1]), elements=st.integers(-1, 2)).map(
    torch.from_numpy
)
ACTIVATIONS = st.sampled_from([0.0, 1.0, 2.0])
LIMITS = {0.0: np.float32(3.6369), 1.0: np.float32(1.8184)}  # a tenth of the largest slope


# --- random numbers ------------------------------------------------------------------------------


def hashed(x: int) -> int:
    """`prng.hash32` in Python's integers, which never overflow."""
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x31848BAB % 2**32
    return x ^ (x >> 16)


def bits(count: int, seed: int, stream: int) -> list[int]:
    start = (hashed(hashed(seed + 1) + stream & 0xFFFFFFFF)) & 0xFFFFFFFF
    return [hashed((i + start) % 2**32) for i in range(count)]


@steady
@given(WHATEVER)
def test_a_hash_takes_whole_numbers_only(x):
    found = answer(prng.hash32, x)
    assert (found is not None) == (isinstance(x, torch.Tensor) and x.dtype == torch.int64)


@steady
@given(st.lists(st.integers(0, 2**32 - 1), max_size=9))
def test_a_hash_never_overflows(numbers):
    assert prng.hash32(torch.tensor(numbers, dtype=torch.int64)).tolist() == [
        hashed(x) for x in numbers
    ]


@steady
@given(SEEDS, st.integers(0, 2**40), st.lists(st.integers(0, 4), max_size=3))
def test_numbers_are_those_of_python_for_any_seed_and_stream(seed, stream, shape):
    count, tensor = math.prod(shape), torch.tensor(seed)
    u = [(x + 1) / 2**32 for x in bits(count, seed, 2 * stream)]
    found = prng.uniform(tuple(shape), tensor, stream)
    assert list(found.shape) == shape
    np.testing.assert_allclose(found.flatten(), u, rtol=1e-6)
    v = [(x + 1) / 2**32 for x in bits(count, seed, 2 * stream + 1)]
    z = [math.sqrt(-2 * math.log(a)) * math.cos(2 * math.pi * b) for a, b in zip(u, v, strict=True)]
    found = prng.normal(tuple(shape), tensor, stream).flatten()
    np.testing.assert_allclose(found, z, atol=2e-3)  # -ln u close to u = 1 keeps few digits
    assert prng.below(5, count, tensor, stream).tolist() == [
        x % 32 for x in bits(count, seed, stream)
    ]
    order = sorted(range(count), key=bits(count, seed, stream).__getitem__)
    assert prng.permutation(count, seed, stream).tolist() == order


@steady
@given(st.lists(st.one_of(WHOLE, JUNK), max_size=3), WHATEVER, st.one_of(WHOLE, JUNK))
def test_shapes_seeds_and_streams_of_any_kind(shape, seed, stream):
    good = all(type(n) is int and 0 <= n < 99 for n in shape) and type(stream) is int
    if any(type(n) is int and n > 99 for n in shape) or (type(stream) is int and stream > 2**40):
        return
    good = good and stream >= 0 and isinstance(seed, torch.Tensor) and seed.ndim == 0
    for draw in (prng.uniform, prng.normal):
        found = answer(draw, tuple(shape), seed, stream)
        assert found is not None or not (good and not seed.is_complex())
        if found is not None:
            assert list(found.shape) == shape
            assert found.isfinite().all()


@steady
@given(st.one_of(st.integers(-1, 3), st.integers(30, 40), JUNK), WHOLE, st.one_of(SEEDS, JUNK))
def test_powers_and_counts_of_any_kind(power, count, seed):
    found = answer(prng.below, power, count, torch.tensor(3), 0)
    if found is not None:
        assert len(found) == count
        assert all(0 <= x < 2**power for x in found.tolist())
        assert power <= 32
    found = answer(prng.permutation, count, seed, 0)
    if found is not None:
        assert sorted(found.tolist()) == list(range(count))
        assert 0 <= seed <= LARGEST_SEED
    assert answer(prng.fold_in, torch.tensor(1), torch.ones(2)) is None


BIG = st.sampled_from([2**32 - 1, 2**40, 2**32 - 2, 0.5, 2.0, -1, 0])


@steady
@given(
    one_odd({"seed": 3, "n": 4}, st.one_of(BIG, JUNK)).map(lambda a: (a["n"], a["seed"])),
    st.lists(st.one_of(st.integers(0, 5), JUNK), max_size=4),
)
def test_a_shuffler_of_anything(arguments, sizes):
    n, seed = arguments
    if type(n) is int and n > 99:
        return
    shuffler = answer(prng.Shuffler, n, seed)
    whole = isinstance(seed, (int, float)) and not isinstance(seed, bool) and 0 <= seed < 2**32 - 1
    if type(n) is int and n > 0 and whole and seed == int(seed):
        assert shuffler is not None
    if shuffler is None:
        return
    assert 0 <= seed <= LARGEST_SEED
    taken = []
    for m in sizes:
        rows = answer(shuffler.take, m)
        assert (rows is not None) == (type(m) is int and 1 <= m <= n)
        taken += [] if rows is None else rows.tolist()
    epochs = [taken[k : k + n] for k in range(0, len(taken), n)]
    assert all(len(set(epoch)) == len(epoch) for epoch in epochs)
    assert set(taken) <= set(range(n))


# --- measures ------------------------------------------------------------------------------------


HISTOGRAM = {"v": torch.ones(2, 3), "low": -2.0, "high": 3.0, "bins": 4}


@settings(steady, max_examples=examples(30))
@given(one_odd(HISTOGRAM, st.one_of(V[2], st.floats(-9, 9), st.integers(-9, 9), JUNK)))
def test_a_density_of_anything(arguments):
    v, low, high, bins = arguments.values()
    if type(bins) is int and bins > 99:
        return
    found = answer(measures.density, v, low, high, bins)
    ends = [end for end in (low, high) if isinstance(end, torch.Tensor)]
    assert found is None or all(end.ndim == 0 for end in ends)
    if found is None or ends:  # the value of a tensor is not looked at
        return
    assert usable(v, 0, 0)
    assert low < high
    if high - low > 1e9:
        return
    known = (~v.isnan()).float().mean(1).double() * bins / (high - low)
    np.testing.assert_allclose(found.sum(1).double(), known, rtol=1e-4)


@steady
@given(V[3], st.one_of(st.sampled_from([0.0, 0.3, 1.0, 1.5, -0.5]), JUNK))
def test_percentiles_of_anything(v, share):
    shares = (0.5, share)
    found = answer(measures.percentiles, v, shares)
    good = all(type(s) is float and 0 <= s <= 1 for s in shares)
    assert found is not None or not (usable(v, 0, 0, 0) and good)
    assert found is None or all(0 <= s <= 1 for s in shares)


@settings(steady, max_examples=examples(20))
@given(st.data(), st.integers(1, 9), st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_percentiles_are_numpys_unless_a_value_is_not_finite(data, m, shares):
    v = data.draw(floats((2, m, 2), math.inf if m % 2 else 99.0))
    found = measures.percentiles(v, tuple(shares)).numpy()
    lost = ~v.isfinite().all(1).numpy()  # (layers, units)
    assert np.isnan(found[:, lost]).all()
    wide = v.double().nan_to_num(0, 0, 0).numpy()
    if np.abs(wide).max() < 1e6:
        right = np.percentile(wide, np.multiply(shares, 100), axis=1)
        np.testing.assert_allclose(found[:, ~lost], right[:, ~lost], rtol=1e-4, atol=1e-3)


@steady
@given(st.one_of(V[2], V[3]), st.one_of(WHATEVER, ACTIVATIONS.map(torch.tensor)))
def test_saturation_of_anything(v, activation):
    for measure, axes in ((measures.saturated, (0, 0)), (measures.dead, (0, 0, 0))):
        found = answer(measure, v, activation)
        scalar = isinstance(activation, torch.Tensor) and activation.ndim == 0
        good = usable(v, *axes) and scalar and not activation.is_complex()
        assert (found is not None) == good


@settings(steady, max_examples=examples(20))
@given(floats((2, 3, 2), math.inf), ACTIVATIONS)
def test_saturated_and_dead_are_counted_right(v, index):
    def is_flat(x: float) -> bool:
        return x < 0 if index == 2 else abs(x) > LIMITS[index]

    activation = torch.tensor(index)
    shares, dead = measures.saturated(v.flatten(1), activation), measures.dead(v, activation)
    for layer, share, gone in zip(v.tolist(), shares.tolist(), dead.tolist(), strict=True):
        flat = [[is_flat(x) for x in row] for row in layer]
        if any(math.isnan(x) for row in layer for x in row):
            assert math.isnan(share)
            assert math.isnan(gone)
            continue
        assert round(share * 6, 5) == np.sum(flat)
        assert gone * 2 == np.sum(np.all(flat, 0))


@settings(steady, max_examples=examples(40))
@given(st.one_of(V[2], GAPPY), st.one_of(LABELS, LABELS, WHATEVER))
def test_accuracy_of_anything(logits, y):
    found = answer(measures.accuracy, logits, y)
    if found is None:
        return
    assert usable(logits, 0, 0)
    assert y.shape == logits.shape[:1]
    right = [
        max(row) == row[int(k)] if 0 <= k < len(row) and not any(map(math.isnan, row)) else False
        for row, k in zip(logits.tolist(), y.tolist(), strict=True)
        if not isinstance(k, float) or math.isfinite(k)
    ]
    assert 0 <= found <= sum(right) / len(logits) + 1e-6  # the first of equal logits is taken


@steady
@given(V[2], V[2])
def test_shifts_of_anything(a, b):
    good = usable(a, 0, 0) and usable(b, 0, 0) and a.shape == b.shape
    assert (answer(ics.wasserstein, a, b) is not None) == good
    assert (answer(ics.moments_shift, a, b) is not None) == good


@settings(steady, max_examples=examples(20))
@given(st.data(), st.integers(1, 12), st.integers(1, 3), st.sampled_from([9.0, math.inf]))
def test_wasserstein_is_the_cheapest_of_all_plans(data, m, d, limit):
    pair = [data.draw(floats((m, d), limit)) for _ in "ab"]
    found = ics.wasserstein(*pair).numpy()
    a, b = (np.sort(v.numpy().astype(float), 0) for v in pair)
    known = np.isfinite(a).all(0) & np.isfinite(b).all(0)
    assert not np.isfinite(found[~known]).any()
    with np.errstate(invalid="ignore"):
        right = np.abs(a - b).mean(0)
    small = known & (right < 1e30)
    scale = 1e-6 * max(1.0, np.abs(np.nan_to_num(np.array(pair)))[..., small].max(initial=0))
    np.testing.assert_allclose(found[small], right[small], atol=scale, rtol=1e-5)


@steady
@given(floats((5, 2), 99.0), floats((5, 2), 99.0))
def test_moments_shift_as_numpy_has_it(a, b):
    mean, std = ics.moments_shift(a, b)
    wide = [v.numpy().astype(float) for v in (a, b)]
    np.testing.assert_allclose(mean, np.abs(wide[1].mean(0) - wide[0].mean(0)), atol=1e-4)
    np.testing.assert_allclose(std, np.abs(wide[1].std(0) - wide[0].std(0)), atol=1e-4)


@steady
@given(TENSORS)
def test_an_error_names_the_shape_or_the_kind(v):
    if not usable(v, 0, 0):
        with pytest.raises(DOCUMENTED) as caught:
            measures.saturated(v, torch.tensor(0.0))
        assert str(tuple(v.shape)) in str(caught.value) or str(v.dtype) in str(caught.value)
