"""prng: numbers that look random, are the same everywhere, and shuffle without repeats."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bnviz.maths.prng import Shuffler, hash32, normal, permutation

# What `page/prng.js` and the exported graphs give too; a change would change every figure.
KNOWN_HASHES = [0, 774041739, 3246642785]
KNOWN_ORDER = [6, 3, 0, 1, 7, 2, 4, 5]
KNOWN_ROWS = [847, 1261, 1073, 173, 39]
KNOWN_NORMALS = [-0.56276, 0.25349, 0.68525, -1.91272]


def plain_hash(x: int) -> int:
    """The same hash in Python's unbounded integers."""
    for multiplier, shift in ((0x7FEB352D, 16), (0x31848BAB, 15)):
        x ^= x >> shift
        x = x * multiplier % 2**32
    return x ^ x >> 16


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_the_hash_is_exact_in_64_bits(values):
    assert hash32(torch.tensor(values)).tolist() == [plain_hash(v) for v in values]


def test_the_hash_never_collides_and_spreads_every_bit():
    hashed = hash32(torch.arange(1 << 16))
    assert len(torch.unique(hashed)) == 1 << 16
    bits = (hashed[:, None] >> torch.arange(32)) & 1
    assert (bits.double().mean(0) - 0.5).abs().max() < 0.02


def test_known_values():
    assert hash32(torch.tensor([0, 1, 2**32 - 1])).tolist() == KNOWN_HASHES
    assert permutation(8, seed=0, stream=0).tolist() == KNOWN_ORDER
    assert Shuffler(1437, seed=0).take(5).tolist() == KNOWN_ROWS
    torch.testing.assert_close(
        normal((4,), torch.tensor(0), stream=0), torch.tensor(KNOWN_NORMALS), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("seed", [0, 1, 9999])
def test_normal_numbers_have_the_moments_of_the_normal_distribution(seed):
    z = normal((200, 500), torch.tensor(seed), stream=0).double()
    assert z.mean() == pytest.approx(0, abs=0.015)
    assert z.std() == pytest.approx(1, abs=0.01)
    assert (z**3).mean() == pytest.approx(0, abs=0.05)
    assert (z**4).mean() == pytest.approx(3, abs=0.1)
    assert torch.isfinite(z).all()
    neighbours = (z[:, 1:] * z[:, :-1]).mean()
    assert neighbours == pytest.approx(0, abs=0.015)


def test_normal_numbers_follow_the_normal_distribution():
    """Kolmogorov and Smirnov's distance, which stays below 1.95 / sqrt(n) in 999 of 1000 cases."""
    z = normal((20_000,), torch.tensor(7), stream=3).sort().values.double()
    expected = torch.special.ndtr(z)
    steps = torch.arange(1, len(z) + 1) / len(z)
    assert (steps - expected).abs().max() < 1.95 / len(z) ** 0.5


def test_seeds_and_streams_are_unrelated():
    rows = [normal((20_000,), torch.tensor(s), t) for s in (0, 1, 2, 100) for t in (0, 1, 7)]
    correlation = np.corrcoef(torch.stack(rows).numpy()) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.03


def test_a_seed_may_be_float_or_int_and_always_gives_the_same():
    kinds = [torch.tensor(5), torch.tensor(5.0), torch.tensor(5, dtype=torch.int32)]
    first, *others = (normal((3, 2), seed, 1) for seed in kinds)
    assert first.shape == (3, 2)
    assert all(torch.equal(first, z) for z in others)


def test_permutations_put_every_row_everywhere():
    orders = torch.stack([permutation(10, seed, 0) for seed in range(2000)])
    assert (orders.sort(1).values == torch.arange(10)).all()
    for place in range(10):
        counts = torch.bincount(orders[:, place], minlength=10).double()
        chi_square = ((counts - 200) ** 2 / 200).sum()
        assert chi_square < 35  # 9 degrees of freedom: above 33.7 once in 10,000


@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 10_000),
    batches=st.lists(st.integers(1, 60), min_size=1, max_size=30),
)
def test_every_epoch_visits_each_row_once(n, seed, batches):
    shuffler = Shuffler(n, seed)
    taken = [shuffler.take(min(m, n)) for m in batches]
    assert [len(rows) for rows in taken] == [min(m, n) for m in batches]
    rows = torch.cat(taken)
    epochs = rows.split(n)
    for epoch in epochs[:-1]:
        assert epoch.sort().values.tolist() == list(range(n))
    assert len(epochs[-1].unique()) == len(epochs[-1])


def test_batch_size_does_not_change_the_order_of_the_rows():
    one, many = Shuffler(50, 4), Shuffler(50, 4)
    ones = torch.cat([one.take(1) for _ in range(120)])
    sizes = (7, 50, 13, 50)
    assert torch.equal(torch.cat([many.take(m) for m in sizes]), ones)
    assert not torch.equal(ones[:50], ones[50:100])
    assert not torch.equal(ones[:50], Shuffler(50, 5).take(50))


@pytest.mark.parametrize("m", [0, -1, 11])
def test_a_batch_that_the_data_cannot_fill_is_refused(m):
    shuffler = Shuffler(10, 0)
    with pytest.raises(ValueError, match=rf"batch size {m} is outside \[1, 10\].*10 rows"):
        shuffler.take(m)
    assert torch.equal(shuffler.take(10), Shuffler(10, 0).take(10))  # nothing was lost


@pytest.mark.parametrize(
    ("n", "seed"),
    [(0, 0), (-3, 0), (5, -1), (5, 0.5), (5, math.inf), (5, math.nan), (5, 2**32 - 1)],
)
def test_an_impossible_shuffler_is_refused(n, seed):
    with pytest.raises(ValueError, match="got"):
        Shuffler(n, seed)
