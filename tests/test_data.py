"""bnviz.maths.data: real digits, split by seed; toy clouds with the asked-for shape."""

import pytest
import torch
from sklearn.datasets import load_digits

from bnviz.maths.data import clouds, digits


def test_the_split_holds_every_digit_image_once():
    split, bunch = digits(), load_digits()
    assert split.x_train.shape == (1437, 64)
    assert split.x_test.shape == (360, 64)
    x = torch.cat([split.x_train, split.x_test])
    y = torch.cat([split.y_train, split.y_test])
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    raw = torch.tensor(bunch.data, dtype=torch.float32)
    scale = (raw.max() - raw.min()) / (x.max() - x.min())
    pixels = (x - x.min()) * scale  # undo shift and scale
    ours = sorted(
        (*row.round().int().tolist(), label) for row, label in zip(pixels, y.tolist(), strict=True)
    )
    theirs = sorted(
        (*row, int(label)) for row, label in zip(raw.int().tolist(), bunch.target, strict=True)
    )
    assert ours == theirs


def test_training_pixels_together_have_mean_0_and_std_1():
    x = digits().x_train
    assert x.mean() == pytest.approx(0, abs=1e-5)
    assert x.std() == pytest.approx(1, abs=1e-5)
    assert x.mean(0).abs().max() > 0.5  # not pixel by pixel: that would be a normalisation already


def test_the_seed_chooses_the_test_rows():
    first, again, other = digits(0), digits(0), digits(1)
    assert first is again
    assert not torch.equal(first.y_test, other.y_test)
    counts = torch.bincount(first.y_test, minlength=10)
    assert counts.min() >= 20  # every class is there: 36 on average


def test_clouds_have_the_asked_for_shape():
    x, y = clouds(20_000, seed=2, distance=3.0, correlation=0.8, scale=5.0)
    assert x.shape == (40_000, 2)
    assert y.tolist() == [0] * 20_000 + [1] * 20_000
    zero, one = x[y == 0], x[y == 1]
    for cloud in (zero, one):
        assert cloud[:, 0].std() == pytest.approx(1, abs=0.03)
        assert cloud[:, 1].std() == pytest.approx(5, abs=0.1)
        assert torch.corrcoef(cloud.T)[0, 1] == pytest.approx(0.8, abs=0.02)
    gap = one.mean(0) - zero.mean(0)
    assert gap[0] == pytest.approx(3, abs=0.05)
    assert gap[1] == pytest.approx(0, abs=0.2)
    assert (one.mean(0) + zero.mean(0))[0] == pytest.approx(0, abs=0.05)


def test_clouds_depend_on_the_seed_alone():
    assert torch.equal(clouds(5, seed=3)[0], clouds(5, seed=3)[0])
    assert not torch.equal(clouds(5, seed=3)[0], clouds(5, seed=4)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": 3, "correlation": 1.0}, r"correlation must lie in \(-1, 1\), got 1.0"),
        ({"n": 3, "correlation": float("nan")}, "correlation must lie in"),
        ({"n": 3, "scale": 0.0}, "scale must be a finite number > 0, got 0.0"),
        ({"n": 3, "scale": float("nan")}, "scale must be a finite number > 0"),
    ],
)
def test_impossible_clouds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        clouds(**arguments)
