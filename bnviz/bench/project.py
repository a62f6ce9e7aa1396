"""The project itself: what it takes to build the book and to test everything."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bnviz.bench.rows import Row

__all__ = ["book_rows", "test_rows"]

_ROOT = Path(__file__).parent.parent.parent
_BUILD = (
    "from jupyter_book.cli.main import main; main()",
    *("build", ".", "--all", "--warningiserror", "--keep-going", "--nitpick"),
)
_GROUP = "The project"


def book_rows() -> Iterator[Row]:
    """The book from nothing, and unchanged."""
    with tempfile.TemporaryDirectory() as name:
        cold = _build(Path(name))
        again = _build(Path(name))
    yield Row(_GROUP, "the book, every figure compiled anew", "", "s", (cold,))
    yield Row(_GROUP, "the book, with nothing changed", "", "s", (again,))
    yield Row(_GROUP, "the largest process of both", "", "MB", (_largest(),))


def test_rows() -> Iterator[Row]:
    """All tests, and what they do beforehand."""
    began = time.perf_counter()
    done = subprocess.run(["make", "test"], cwd=_ROOT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError("make test failed, and how long that took is of no use")
    minutes = (time.perf_counter() - began) / 60
    yield Row(_GROUP, "make test, after installing", "", "min", (minutes,), target=20)
    yield Row(_GROUP, "the largest process of it", "", "MB", (_largest(),))


def _build(folder: Path) -> float:
    """Seconds to build the book with the graphs that this folder holds."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", *_BUILD, "--path-output", str(folder / "book")],
        cwd=_ROOT,
        env=os.environ | {"BNVIZ_CACHE": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def _largest() -> float:
    """The most memory that one process which has ended held at a time."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
