"""A copy of the repository with another remote, to which somebody adds a figure in three steps."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bnviz.tools.serve import serving
from tests.reader import reading

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("fork")]  # its book is built once

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("BNVIZ_CACHE", ROOT / ".bnviz-cache"))
MODULE = '''\
"""`toy-gain`: a line and its gain."""

import torch

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer

X = torch.linspace(-1, 1, 5)


def compute(gain):
    return {"y": gain * X, "end": gain}


TOY_GAIN = Explorer(
    name="toy-gain",
    title="A line",
    caption="Move the gain: the line turns about the origin.",
    controls=(Slider("gain", "gain", -2, 2, 1, 0.1),),
    compute=compute,
    figure={
        "data": [{"uid": "line", "type": "scatter", "x": X.tolist(), "y": []}],
        "layout": {"height": 240, "xaxis": {"range": [-1, 1]}, "yaxis": {"range": [-2, 2]}},
    },
    bindings=(Binding("y", "line", "y"),),
    readout="It ends at {end:.1f}.",
)
'''


def run(folder: Path, *command: str) -> None:
    """Run Python there, with the package of that folder; shows what it said if it fails."""
    settings = {"PYTHONPATH": str(folder), "BNVIZ_CACHE": str(folder / ".bnviz-cache")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=kept | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def fork(tmp_path_factory) -> Path:
    """The copy, with the figure in it and its book built."""
    folder = tmp_path_factory.mktemp("fork") / "repository"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, files.stdout.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    shutil.copytree(CACHE, folder / ".bnviz-cache", copy_function=os.link,
                    ignore=shutil.ignore_patterns("pytest", "*.lock"))  # fmt: skip
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "--quiet", "--initial-branch", "lessons"], check=True)
    remote = "git@github.com:Somebody/bn-course.git"
    subprocess.run([*git, "remote", "add", "origin", remote], check=True)
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run([*git, *identity, "commit", "--quiet", "--allow-empty", "-m", "a"], check=True)

    # one: declare it
    (folder / "bnviz" / "explorers" / "toy_gain.py").write_text(MODULE)
    # two: register it
    registry = folder / "bnviz" / "explorers" / "__init__.py"
    text = registry.read_text()
    registry.write_text(text.replace('    "steps": (', '    "steps": ("toy-gain", '))
    # three: show it in a notebook
    cells = [
        new_markdown_cell("# Toy"),
        new_code_cell('from bnviz import show\n\nshow("toy-gain")'),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "book" / "toy.ipynb")
    run(folder, "-m", "bnviz.tools.notebooks", "book/toy.ipynb")

    toc = folder / "_toc.yml"
    later = "- file: book/ledger"
    toc.write_text(toc.read_text().replace(later, f"- file: book/toy\n      {later}"))
    build = "from jupyter_book.cli.main import main; main()"
    run(folder, "-c", build, "build", ".", "--warningiserror", "--keep-going", "--nitpick")
    return folder


def test_every_link_leads_to_the_fork(fork):
    for name in ("shift", "steps", "toy"):
        page = (fork / "_build" / "html" / "book" / f"{name}.html").read_text()
        for link in (
            f"https://mybinder.org/v2/gh/Somebody/bn-course/lessons?urlpath=lab/tree/book/{name}.ipynb",
            "https://colab.research.google.com/github/Somebody/bn-course/blob/lessons/"
            f"book/{name}.ipynb",
            f"https://github.com/Somebody/bn-course/edit/lessons/book/{name}.ipynb",
            "https://github.com/Somebody/bn-course/issues/new",
            f"https://somebody.github.io/bn-course/book/{name}.html",
        ):
            assert link in page, link


def test_three_steps_add_a_figure_that_the_tests_find(fork):
    run(fork, "-m", "pytest", "-q", "tests/test_explorers.py",
        "tests/test_jupyter_host.py", "tests/test_poster.py", "-k", "toy-gain")  # fmt: skip


def test_the_new_figure_lives_in_the_page(browser, fork):
    with serving(fork / "_build" / "html", prefix="/") as url, reading(browser, url) as reader:
        reader.open("book/toy.html")
        figure = reader.figure("toy-gain")
        figure.move("gain", -2)
        figure.rest()
        assert figure.drawn("line", "y") == [2, 1, 0, -1, -2]
        assert figure.readout == "It ends at −2.0."
