"""Somebody's own repository: her figure, by name in Jupyter and in pages that Sphinx builds."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, output_from_msg

from bnviz.tools.serve import serving
from tests.reader import Figure
from tests.wheel import ROOT, install

pytestmark = pytest.mark.xdist_group("wheel")  # one environment for all

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "hers"
version = "1.0"
dependencies = ["bnviz"]

[project.entry-points."bnviz.figures"]
her-line = "hers.figures:HER_LINE"
her-slip = "hers.figures:X"

[tool.setuptools]
packages = ["hers"]
"""
FIGURE = '''\
"""Her figure."""

import torch

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer

from .helper import stretched

X = torch.linspace(-1, 1, 5)


def compute(gain):
    return {"y": stretched(gain * X), "end": stretched(gain)}


HER_LINE = Explorer(
    name="her-line",
    title="A line",
    caption="Move the gain: the line turns about the origin.",
    controls=(Slider("gain", "gain", -2, 2, 1, 0.1),),
    compute=compute,
    figure={
        "data": [{"uid": "line", "type": "scatter", "x": X.tolist(), "y": []}],
        "layout": {"height": 240, "xaxis": {"range": [-1, 1]}, "yaxis": {"range": [-4, 4]}},
    },
    bindings=(Binding("y", "line", "y"),),
    readout="It ends at {end:.1f}.",
)
'''
HELPER = "def stretched(x):\n    return {} * x\n"
# the code of the book's page: a figure, and the three lines for Sphinx
EXAMPLE, CONF = re.findall(
    "```python\n(.*?)```",
    (ROOT / "book" / "api.md").read_text(encoding="utf-8").partition("## Figures of your own")[2],
    re.DOTALL,
)
PAGE = (
    "# Hers\n\n```{explorer} her-line\n```\n\nSee {fig}`her-line`.\n\n```{toctree}\nlesson\n```\n"
)
SHOW = """\
import json, bnviz

figure = bnviz.show("her-line", gain=-2)
data = figure._repr_mimebundle_()
print(json.dumps({k: data[k] for k in ("text/plain", "text/html")}))
"""


class Repository:
    """Her repository, with her package installed."""

    def __init__(self, folder: Path, python: Path):
        self.folder, self.python = folder, python
        (folder / "hers").mkdir()
        (folder / "docs").mkdir()
        for name, text in {
            "pyproject.toml": PROJECT, "hers/__init__.py": "", "hers/figures.py": FIGURE,
            "docs/conf.py": CONF, "docs/index.md": PAGE,
        }.items():  # fmt: skip
            (folder / name).write_text(text)
        self.stretch(2)

    def stretch(self, by: int) -> None:
        """Write the helper, and install her package as she does after a change."""
        (self.folder / "hers" / "helper.py").write_text(HELPER.format(by))
        shutil.rmtree(self.folder.parent / f"{self.folder.name}-wheels", ignore_errors=True)
        shutil.rmtree(self.folder / "build", ignore_errors=True)
        install(self.python, self.folder, "--force-reinstall")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run her Python in her repository, where only what is installed can be imported."""
        settings = {"BNVIZ_CACHE": str(self.folder / "cache"), "PYTHONSAFEPATH": "1"}
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [str(self.python), *command], cwd=self.folder, env=kept | settings,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def build(self) -> str:
        """Build her pages, with warnings as errors; what Sphinx said."""
        done = self.run("-m", "sphinx", "-W", "--keep-going", "docs", "pages")
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def pages(self) -> Path:
        return self.folder / "pages"


@pytest.fixture(scope="module")
def hers(tmp_path_factory, python) -> Repository:
    return Repository(tmp_path_factory.mktemp("stranger"), python)


def test_her_figure_is_shown_by_its_name(hers):
    done = hers.run("-c", SHOW)
    assert done.returncode == 0, done.stdout
    data = json.loads(done.stdout)
    assert data["text/plain"] == "bnviz figure 'her-line': A line"
    cells = [new_markdown_cell("# A lesson"), new_code_cell("bnviz.show('her-line', gain=-2)")]
    cells[1].outputs = [
        output_from_msg({
            "header": {"msg_type": "display_data"}, "content": {"data": data, "metadata": {}},
        })
    ]  # fmt: skip
    cells[1].execution_count = 1
    language = {"language_info": {"name": "python"}}
    nbformat.write(
        new_notebook(cells=cells, metadata=language), hers.folder / "docs" / "lesson.ipynb"
    )


def test_the_figure_on_the_page_of_functions_is_one():
    found: dict = {}
    exec(EXAMPLE, found)
    assert found["MY_FIGURE"].outputs(gain=2)["y"][-1] == torch.tensor(2.0).tanh()
    assert len(CONF.splitlines()) == 3


def test_a_slip_in_an_entry_point_is_told(hers):
    done = hers.run("-c", "import bnviz; bnviz.show('her-slip')")
    assert "must lead to a figure of that name; hers.figures:X is tensor" in done.stdout
    done = hers.run("-c", "import bnviz; bnviz.show('her-lines')")
    assert "no figure is called 'her-lines'; the book has" in done.stdout
    assert "other packages ('her-line', 'her-slip')" in done.stdout


def drawn(browser, pages: Path, page: str, gain: float | None = None) -> tuple[list[float], str]:
    """The line that a page of hers draws, after a move of the slider, and what the readout says."""
    opened = browser.new_page(viewport={"width": 900, "height": 900})
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    with serving(pages, prefix="/") as url:
        opened.goto(url + page)
        figure = Figure(opened, "her-line")
        figure.root.scroll_into_view_if_needed()
        figure.wait_for("node.dataset.state === 'live'")
        if gain is not None:
            figure.move("gain", gain)
        figure.rest()
        found = figure.drawn("line", "y"), figure.readout
    opened.close()
    assert errors == []
    return found


def test_her_pages_are_live_and_follow_her_sources(hers, browser):
    assert "index" in hers.build()
    assert drawn(browser, hers.pages, "index.html") == ([-2, -1, 0, 1, 2], "It ends at 2.0.")
    assert drawn(browser, hers.pages, "lesson.html")[0] == [4, 2, 0, -2, -4]  # started at -2
    assert '<a class="bnviz-fig" href="#her-line">A line</a>' in (
        hers.pages / "index.html"
    ).read_text(encoding="utf-8")

    assert "0 added, 0 changed, 0 removed" in hers.build()  # nothing is built twice
    hers.stretch(3)
    assert "0 added, 2 changed, 0 removed" in hers.build()  # pages of a figure that has changed
    assert drawn(browser, hers.pages, "index.html", -1) == (
        [3, 1.5, 0, -1.5, -3],
        "It ends at −3.0.",
    )


def test_no_more_is_compiled_than_her_pages_show(hers):
    figures = hers.pages / "_static" / "bnviz" / "figures"
    assert {path.name.split(".")[0] for path in figures.glob("*.wasm.gz")} == {"her-line"}
