"""MNIST and CIFAR-10: from a folder, from OpenML, and in words when neither is there.

The images here are made up, a dozen of each.
"""

import io
import urllib.error

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image

from bnviz.maths import _sets
from bnviz.maths.data import cifar10, mnist

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (12, 28, 28), np.uint8)
# smooth, so that JPEG changes them little
PHOTOS = np.stack(
    [np.full((32, 32, 3), 20 * k, np.uint8) + np.uint8([0, 5, 10]) for k in range(12)]
)
KINDS = np.arange(12, dtype=np.uint8) % 10


def jpeg(images):
    """JPEG files end to end, and where each ends."""
    files = []
    for image in images:
        held = io.BytesIO()
        Image.fromarray(image).save(held, "JPEG", quality=95)
        files.append(held.getvalue())
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([len(f) for f in files])


def write_mnist(folder, **changed):
    parts = {"x_train": DIGITS[:8], "y_train": KINDS[:8], "x_test": DIGITS[8:], "y_test": KINDS[8:]}
    np.savez(folder / "mnist.npz", **parts | changed)


def write_cifar(folder):
    parts = {}
    for part, at in (("train", slice(9)), ("test", slice(9, 12))):
        parts[f"jpeg_{part}"], parts[f"ends_{part}"] = jpeg(PHOTOS[at])
        parts[f"y_{part}"] = KINDS[at]
    np.savez(folder / "cifar10-jpeg.npz", **parts)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BNVIZ_DATA", str(tmp_path))
    mnist.cache_clear()
    cifar10.cache_clear()
    yield tmp_path
    mnist.cache_clear()
    cifar10.cache_clear()


def test_mnist_from_a_folder(folder):
    write_mnist(folder)
    split = mnist()
    assert split.x_train.shape == (8, 784)
    assert split.x_train.mean() == pytest.approx(0, abs=1e-5)
    assert split.x_train.std() == pytest.approx(1, abs=1e-5)
    assert split.y_test.tolist() == [8, 9, 0, 1]
    assert split.y_test.dtype == torch.int64
    # one number for all pixels: shifted and scaled back, the images are there again
    raw = torch.tensor(DIGITS[8:], dtype=torch.float32).flatten(1)
    scale, shift = np.polyfit(split.x_test.flatten(), raw.flatten(), 1)
    torch.testing.assert_close(scale * split.x_test + shift, raw, atol=1e-2, rtol=0)


def test_binary_mnist_is_black_and_white(folder):
    write_mnist(folder)
    expected = torch.tensor(DIGITS[:8].reshape(8, -1) > 127).float()
    assert torch.equal(mnist(binary=True).x_train, expected)


def test_cifar10_from_a_folder(folder):
    write_cifar(folder)
    split = cifar10()
    assert split.x_train.shape == (9, 3, 32, 32)
    assert split.x_train.mean((0, 2, 3)).abs().max() < 1e-5
    assert (split.x_train.std((0, 2, 3)) - 1).abs().max() < 1e-5
    # every photo has one colour, and each is lighter than the one before
    levels = torch.cat([split.x_train, split.x_test]).mean((2, 3))
    assert (levels.diff(dim=0) > 0).all()
    assert split.y_test.tolist() == [9, 0, 1]


def test_a_folder_without_the_file_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz is not there; BNVIZ_DATA must name"):
        mnist()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_train": DIGITS[:8].astype(float)}, "images are float64"),
        ({"x_test": DIGITS[8:, :27]}, r"of shape \(4, 27, 28\), must be uint8 \(n, 28, 28\)"),
        ({"y_train": KINDS[:5]}, "a class from 0 to 9 for each of 8 images"),
        ({"y_test": KINDS[8:] + 10}, "a class from 0 to 9"),
    ],
)
def test_a_wrong_file_is_refused_in_words(folder, changed, words):
    write_mnist(folder, **changed)
    with pytest.raises(ValueError, match=words):
        mnist()


def test_a_file_of_something_else_is_refused_in_words(folder):
    np.savez(folder / "mnist.npz", other=DIGITS)
    with pytest.raises(ValueError, match="does not hold mnist"):
        mnist()
    (folder / "cifar10-jpeg.npz").write_text("no archive")
    with pytest.raises(ValueError, match="does not hold cifar10"):
        cifar10()


def test_openml_without_a_network_says_what_to_do(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.delenv("BNVIZ_DATA")
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", unreachable)
    with pytest.raises(ConnectionError, match=r"no route.*put mnist\.npz into a folder"):
        mnist()


def test_openml_rows_are_cut_where_the_test_set_begins(monkeypatch, tmp_path, capsys):
    """Its rows stand in one table, pixels as floating numbers and classes as text."""
    asked = {}

    def fetch(name, **options):
        asked.update(options, name=name)
        (tmp_path / "fetched").write_bytes(bytes(3000))
        photos = PHOTOS.transpose(0, 3, 1, 2).reshape(12, -1).astype(float)
        return photos, KINDS.astype(str).astype(object)

    monkeypatch.delenv("BNVIZ_DATA")
    monkeypatch.setattr(sklearn.datasets, "get_data_home", lambda: str(tmp_path))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    split = cifar10()
    assert asked["name"] == "CIFAR_10"
    assert split.x_train.shape == (10, 3, 32, 32)
    assert split.y_test.tolist() == [0, 1]
    assert "CIFAR_10" in capsys.readouterr().err  # the bar


def test_the_bar_counts_what_arrives(tmp_path, capsys):
    with _sets._growing(tmp_path, "a set"):
        (tmp_path / "new").write_bytes(bytes(5000))
        import time

        time.sleep(1.2)
    assert "5.00k" in capsys.readouterr().err
