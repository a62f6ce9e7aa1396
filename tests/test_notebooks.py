"""The stored notebooks are clean, and running them gives what they store."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from bnviz.tools import notebooks

BOOK = Path(__file__).parent.parent / "book"
NOTEBOOKS = notebooks.find(BOOK)
NAMES = [str(path.relative_to(BOOK)) for path in NOTEBOOKS]

MEMORY = 1_000_000_000  # bytes for a kernel: Binder ends what takes 2 GB, its server included
# Runs a command and adds how much memory the largest of its processes took.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("peak memory", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)


def nbval(path: Path, executable: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run every cell of a notebook in a fresh kernel; every output must equal the stored one."""
    # Alone: the settings, plugins and caches of this project's own tests are not for notebooks.
    alone = ["-c", os.devnull, "--rootdir", path.parent, "-p", "no:cacheprovider", "-p", "no:xdist"]
    python = [executable, "-c", MEASURED, executable]
    return subprocess.run(
        [*python, "-m", "pytest", "--nbval", "--nbval-cell-timeout=300", *alone, path],
        cwd=path.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def spoil(cell: NotebookNode) -> bool:
    """Change the first digit that a cell's outputs store; False if they store none."""
    for output in cell.get("outputs", []):
        for holder in (output, output.get("data", {})):
            for key in ("text", "text/plain", "text/html"):
                text = holder.get(key, "")
                spoilt = re.sub(r"\d", lambda digit: str(9 - int(digit[0])), text, count=1)
                if spoilt != text:
                    holder[key] = spoilt
                    return True
    return False


def test_the_book_has_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_a_stored_notebook_is_clean(path: Path):
    assert notebooks.problems(path) == [], "`make notebooks` stores it clean"


@every_notebook
def test_running_a_notebook_gives_what_it_stores(path: Path):
    done = nbval(path)
    assert done.returncode == 0, f"`make notebooks` stores new outputs\n{done.stdout}"
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert f" {len(cells)} passed" in done.stdout, f"some cells were not run\n{done.stdout}"
    assert 5e7 < int(re.search(r"peak memory (\d+)", done.stdout)[1]) < MEMORY


def test_a_wrong_stored_number_is_noticed(tmp_path: Path):
    numbers = [
        (index, path)
        for path in NOTEBOOKS
        for index, cell in enumerate(nbformat.read(path, as_version=4).cells)
        if spoil(cell)
    ]
    assert numbers, "no notebook stores a number"
    last, path = min(numbers)

    folder = shutil.copytree(BOOK, tmp_path / "book", ignore=shutil.ignore_patterns("_build"))
    copy = folder / path.relative_to(BOOK)
    notebook = nbformat.read(copy, as_version=4)
    del notebook.cells[last + 1 :]  # the rest takes time and shows nothing more
    spoil(notebook.cells[last])
    nbformat.write(notebook, copy)

    done = nbval(copy)
    assert done.returncode == 1, done.stdout
    assert " 1 failed" in done.stdout
    assert "Cell outputs differ" in done.stdout
