"""The package as a wheel, as Google Colab installs it: it holds all that a notebook needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pages import FIGURES
from tests.test_notebooks import nbval
from tests.wheel import ROOT

pytestmark = pytest.mark.xdist_group("wheel")  # one environment for all

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


ALONE = """
import importlib.metadata as metadata, re, sys

def needed(name, seen):
    name = re.sub("[-_.]+", "-", name).lower()
    if name not in seen:
        seen.add(name)
        try:
            requires = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:  # of another system or Python
            return seen
        for line in requires:
            if "extra ==" not in line:
                needed(re.match(r"[\\w.-]+", line)[0], seen)
    return seen

allowed = needed("bnviz", set())
known = {top: {re.sub("[-_.]+", "-", n).lower() for n in names}
         for top, names in metadata.packages_distributions().items()}

class Only:
    def __init__(self, finders):
        self.finders = finders

    def find_spec(self, name, path=None, target=None):
        owners = known.get(name.partition(".")[0])
        if owners and not owners & allowed:
            return None  # as if it were not there
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec), None)

    def find_distributions(self, context=None):
        for finder in self.finders:
            yield from getattr(finder, "find_distributions", lambda context: ())(context)

sys.meta_path[:] = [Only(list(sys.meta_path))]
assert {"torch", "numpy", "plotly", "anywidget"} <= allowed
assert not {"scikit-learn", "pandas", "scipy", "sphinx"} & allowed
"""
USE = """
import bnviz, torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
x, y = torch.randn(512, 6), torch.randint(4, (512,))
descent = torch.optim.SGD(net.parameters(), lr=0.1)
with bnviz.watch(net) as log:
    for step in range(300):
        rows = torch.randint(512, (64,))
        descent.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        descent.step()
assert (log.seen, len(log)) == (300, 30), log
assert len(log.figure().data) > 2
net[1].reset_running_stats()
found = bnviz.examine(net, [5 + 3 * part for part in x.split(64)])
assert "running values were never updated" in found.kinds
assert log.frame()[0]["step"] == 1, "a list of rows, where there is no pandas"
try:
    bnviz.show("scale-shift")
except ImportError as error:
    print(error)
"""


def test_it_watches_and_examines_with_what_it_requires_and_nothing_else(python, tmp_path):
    command = [str(python), "-c", ALONE + USE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "reestimate(model, loader)" in done.stdout
    assert 'pip install "bnviz[book]"' in done.stdout.splitlines()[-1]


def test_type_checkers_find_its_types(python, tmp_path):
    command = [str(python), "-c", "import bnviz; print(bnviz.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).with_name("py.typed").is_file()
