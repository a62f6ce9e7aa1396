"""The data of the book: handwritten digits, split by seed, toy clouds, and the papers' own sets."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments
from bnviz.maths import _sets, prng

__all__ = ["Split", "cifar10", "clouds", "digits", "mnist", "per_feature"]

_TEST_ROWS = 360  # a fifth of the 1,797 images


@dataclass(frozen=True)
class Split:
    """Training and test rows.

    `x`: (n, features), or (n, channels, h, w), float32; `y`: (n,) int64 class numbers.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


@cache
def digits(seed: int = 0, binary: bool = False) -> Split:
    """The 1,797 real 8 x 8 images of handwritten digits that ship with scikit-learn.

    Pixels become one row of 64 features, shifted and scaled by the mean and the standard deviation
    of ALL training pixels together (one number each, so that no pixel is standardised by itself).

    Args:
        seed: chooses which 360 rows are the test set; 1,437 remain for training.
        binary: pixels of 8 and more (of 16) become 1, the others 0, and nothing is standardised.

    Raises:
        TypeError, ValueError: unless seed is a whole number in [0, 2**32 - 2].
        ImportError: scikit-learn is not installed.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository.

    >>> digits().x_train.shape, digits().x_test.shape
    (torch.Size([1437, 64]), torch.Size([360, 64]))
    """
    bunch = _sets.sklearn_datasets().load_digits()
    x = torch.tensor(bunch.data, dtype=torch.float32)  # (1797, 64), pixel values 0 to 16
    y = torch.tensor(bunch.target, dtype=torch.long)
    order = prng.permutation(len(x), seed, stream=0)
    test, train = order[:_TEST_ROWS], order[_TEST_ROWS:]
    mean, std = x[train].mean(), x[train].std()
    x = (x >= 8).float() if binary else (x - mean) / std
    return Split(x[train], y[train], x[test], y[test])


@cache
def mnist(binary: bool = False) -> Split:
    """MNIST: 60,000 and 10,000 images of handwritten digits, 28 x 28, as rows of 784 features.

    From the folder that the environment variable BNVIZ_DATA names (file mnist.npz), else fetched
    from OpenML by scikit-learn, once, with a bar that counts the bytes (some 15 MB).

    Args:
        binary: pixels of 128 and more (of 255) become 1, the others 0; else all are shifted and
            scaled by the mean and the standard deviation of all training pixels together.

    Raises:
        FileNotFoundError, ValueError: the folder lacks the file, or the file holds something else.
        ConnectionError: no folder is named, and OpenML cannot be reached.

    Source: LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
    recognition.
    """
    x_train, y_train, x_test, y_test = map(_tensor, _sets.arrays("mnist"))
    x_train, x_test = x_train.flatten(1), x_test.flatten(1)
    if binary:
        x_train, x_test = ((x >= 128).float() for x in (x_train, x_test))
    else:
        x_train, x_test = x_train.float(), x_test.float()
        mean, std = x_train.mean(), x_train.std()
        x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    return Split(x_train, y_train, x_test, y_test)


@cache
def cifar10() -> Split:
    """CIFAR-10: 50,000 and 10,000 colour photos of ten kinds of thing, (n, 3, 32, 32).

    From the folder that the environment variable BNVIZ_DATA names (file cifar10-jpeg.npz: its
    images went through JPEG, so that numbers can differ a little from those of the original), else
    fetched from OpenML by scikit-learn, once, with a bar that counts the bytes (several hundred
    MB). Each channel is shifted and scaled by its mean and standard deviation over all training
    pixels.

    Raises:
        FileNotFoundError, ValueError: the folder lacks the file, or the file holds something else.
        ConnectionError: no folder is named, and OpenML cannot be reached.

    Source: Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    x_train, y_train, x_test, y_test = map(_tensor, _sets.arrays("cifar10"))
    x_train, x_test = x_train.float(), x_test.float()
    mean = x_train.mean((0, 2, 3))[:, None, None]
    std = x_train.std((0, 2, 3))[:, None, None]
    x_train.sub_(mean).div_(std)  # in place: each of them is 600 MB
    x_test.sub_(mean).div_(std)
    return Split(x_train, y_train, x_test, y_test)


def _tensor(v: np.ndarray) -> Tensor:
    return torch.from_numpy(v)  # pyright: ignore[reportUnknownMemberType]


def per_feature(split: Split) -> Split:
    """Every feature standardised by itself, with mean and biased variance of its training rows.

    x'_j = (x_j - mean_j) / std_j; a feature that is constant in training becomes 0 there.

    >>> x = per_feature(digits()).x_train
    >>> bool((x.mean(0).abs() < 1e-3).all())
    True
    """
    mean, std = split.x_train.mean(0), split.x_train.std(0, correction=0)
    scale = torch.where(std > 1e-5, std, 1.0)  # below, it is rounding
    x_train, x_test = ((x - mean) / scale for x in (split.x_train, split.x_test))
    return Split(x_train, split.y_train, x_test, split.y_test)


def clouds(
    n: int, *, seed: int = 0, distance: float = 2.0, correlation: float = 0.0, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Two Gaussian clouds in the plane, one for each class.

    Args:
        n: points per class, at least 1.
        seed: whole number in [0, 2**32 - 2].
        distance: between the two centres, along the first axis; finite.
        correlation: between the two features inside a cloud, in (-1, 1).
        scale: standard deviation of the second feature; that of the first is 1.

    Returns:
        x of shape (2 n, 2) and y of shape (2 n,), the first n rows of class 0.

    Raises:
        TypeError: if an argument is no number, or n not a whole one.
        ValueError: if an argument is out of its range.

    >>> x, y = clouds(3, seed=1)
    >>> x.shape, y.tolist()
    (torch.Size([6, 2]), [0, 0, 0, 1, 1, 1])
    """
    arguments.whole("n", n, 1)
    arguments.number("distance", distance)
    arguments.number("scale", scale, 0, above=True)
    if not -1 < correlation < 1:
        raise ValueError(f"correlation must lie in (-1, 1), got {correlation}")
    z = prng.normal((2 * n, 2), torch.tensor(arguments.seed_number(seed)), stream=0)
    second = correlation * z[:, 0] + (1 - correlation**2) ** 0.5 * z[:, 1]
    y = torch.arange(2).repeat_interleave(n)
    x = torch.stack([z[:, 0], scale * second], dim=1)
    x[:, 0] += distance * (y - 0.5)
    return x, y
