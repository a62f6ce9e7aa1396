"""The package as a wheel, as Google Colab installs it: it holds all that a notebook needs."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.pages import BOOK, FIGURES
from tests.test_notebooks import nbval

ROOT = BOOK.parent
SOURCES = ("bnviz", "pyproject.toml", "README.md", "LICENSE")
PROGRAM = """
import sys
from pathlib import Path
import bnviz

assert Path(bnviz.__file__).is_relative_to(sys.prefix), bnviz.__file__
figure = bnviz.show(sys.argv[1])
figure._repr_mimebundle_()
figure.step(3)
print(figure, "at step", figure.number)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python that has bnviz from its wheel, and everything else from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source, home = folder / "source", folder / "environment"
    source.mkdir()
    for name in SOURCES:  # a copy: what an earlier build left in the folder would get into a wheel
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, source / name, ignore=unwanted)
        else:
            shutil.copy2(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    subprocess.run([*pip, *build, str(source)], check=True)
    venv.create(home, with_pip=False, symlinks=True)
    executable = home / "bin" / "python"
    (wheel,) = folder.glob("bnviz-*.whl")
    install = ["--python", str(executable), "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, *install, str(wheel)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    # Through this file the .pth files of that folder do not count, so bnviz as edited stays away.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return executable


@pytest.fixture(autouse=True)
def _far_from_the_repository(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)


def test_the_figure_of_the_landing_page_moves(python, tmp_path):
    (name,) = FIGURES["intro.html"]
    command = [str(python), "-c", PROGRAM, name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{name!r}" in done.stdout
    assert "at step 3" in done.stdout


def test_the_stored_measurements_of_the_benchmark_are_there(python, tmp_path):
    path = Path(shutil.copy2(ROOT / "bnviz" / "bench" / "speed.ipynb", tmp_path))
    done = nbval(path, python)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_what_draws_posters_is_there(python, tmp_path):
    command = [str(python), "-c", "import bnviz; print(bnviz.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    there = Path(done.stdout.strip()).parent / "poster"
    sources = {p.name for p in (ROOT / "bnviz" / "poster").iterdir() if p.is_file()}
    assert sources - {p.name for p in there.iterdir()} == {"globals.d.ts"}  # that is for tsc
