"""MNIST and CIFAR-10 as arrays: from a folder of the reader's own, or from OpenML.

The folder is named by the environment variable BNVIZ_DATA and holds one file for each set:

    mnist.npz          x_train (60000, 28, 28) uint8, y_train (60000,), x_test, y_test
    cifar10-jpeg.npz   jpeg_train: all images as JPEG files end to end, uint8; ends_train (50000,):
                       where each ends; y_train; and the same with _test

Without it, scikit-learn fetches the set once and keeps it in its own folder.
"""

import contextlib
import importlib.util
import io
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import numpy as np

__all__ = ["FOLDER_VARIABLE", "Arrays", "arrays", "sklearn_datasets"]

FOLDER_VARIABLE = "BNVIZ_DATA"
FILES = {"mnist": "mnist.npz", "cifar10": "cifar10-jpeg.npz"}
SHAPES = {"mnist": (28, 28), "cifar10": (3, 32, 32)}
# name at OpenML, and the share of the rows, from the first on, that are for training
OPENML = {"mnist": ("mnist_784", 6 / 7), "cifar10": ("CIFAR_10", 5 / 6)}
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sklearn_datasets() -> Any:
    """scikit-learn's data sets. Raises ImportError, with the remedy, where it is not installed."""
    try:
        import sklearn.datasets  # pyright: ignore[reportMissingTypeStubs]  it has none
    except ImportError as error:
        raise ImportError(
            "the book's data come with scikit-learn, which is not installed: "
            'pip install "bnviz[book]", or scikit-learn itself'
        ) from error
    return cast(Any, sklearn.datasets)


def arrays(name: str) -> Arrays:
    """x_train (n, *shape) uint8, y_train (n,) int64, x_test, y_test.

    Args:
        name: "mnist" or "cifar10".

    Raises:
        FileNotFoundError: BNVIZ_DATA names a folder without the file.
        ValueError: the file is another one.
        ConnectionError: no folder is named, nothing is kept yet, and OpenML cannot be reached.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    return _from_folder(name, Path(folder)) if folder else _from_openml(name)


def _from_folder(name: str, folder: Path) -> Arrays:
    path = folder / FILES[name]
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there; {FOLDER_VARIABLE} must name a folder with {FILES[name]}. "
            f"Without {FOLDER_VARIABLE}, scikit-learn fetches the images from OpenML."
        )
    try:
        with np.load(path) as held:
            if name == "mnist":
                found = [(held[f"x_{part}"], held[f"y_{part}"]) for part in ("train", "test")]
            else:
                found = [(_decoded(held, part), held[f"y_{part}"]) for part in ("train", "test")]
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{path} does not hold {name}: {error}") from error
    for x, y in found:
        _check(path, name, x, y)
    (x_train, y_train), (x_test, y_test) = found
    return x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64)


def _decoded(held: Any, part: str) -> np.ndarray:
    """(n, 3, 32, 32) uint8 of the JPEG files that stand end to end."""
    from PIL import Image  # only here: whoever has the folder needs it

    data, ends = held[f"jpeg_{part}"], held[f"ends_{part}"].tolist()
    images = np.empty((len(ends), *SHAPES["cifar10"]), np.uint8)
    for k, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        with Image.open(io.BytesIO(data[start:end].tobytes())) as image:
            images[k] = np.asarray(image).transpose(2, 0, 1)  # (h, w, c) -> (c, h, w)
    return images


def _check(path: Path, name: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.dtype != np.uint8 or x.shape[1:] != SHAPES[name] or len(x) == 0:
        raise ValueError(
            f"{path}: images are {x.dtype} of shape {x.shape}, must be uint8 (n, "
            f"{', '.join(map(str, SHAPES[name]))})"
        )
    if y.shape != (len(x),) or y.min() < 0 or y.max() > 9:
        raise ValueError(f"{path}: needs a class from 0 to 9 for each of {len(x)} images")


def _from_openml(name: str) -> Arrays:
    """Fetched once, then from scikit-learn's own folder (SCIKIT_LEARN_DATA moves it)."""
    datasets = sklearn_datasets()
    called, share = OPENML[name]
    # pandas reads the file faster, but is not needed otherwise
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        with _growing(Path(datasets.get_data_home()), called):
            x, y = datasets.fetch_openml(
                called, version=1, return_X_y=True, as_frame=False, parser=parser
            )
    except OSError as error:
        raise ConnectionError(
            f"OpenML's {called} cannot be fetched ({error}). Connect this machine, or put "
            f"{FILES[name]} into a folder and name it in {FOLDER_VARIABLE}."
        ) from error
    x = np.asarray(x).reshape(-1, *SHAPES[name]).astype(np.uint8)
    y, train = np.asarray(y).astype(np.int64), round(share * len(x))
    return x[:train], y[:train], x[train:], y[train:]


@contextlib.contextmanager
def _growing(folder: Path, label: str) -> Generator[None]:
    """A bar that counts the bytes by which a folder grows; how many will come, nobody says."""
    from tqdm.auto import tqdm

    def size() -> int:
        total = 0
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):  # gone again
                total += path.stat().st_size
        return total

    before, done = size(), threading.Event()

    def watch(bar: Any) -> None:
        while not done.wait(0.5):
            bar.update(max(0, size() - before - bar.n))

    with tqdm(desc=label, unit="B", unit_scale=True) as bar:
        watcher = threading.Thread(target=watch, args=(bar,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
