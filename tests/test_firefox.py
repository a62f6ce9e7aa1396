"""The built book in Firefox: trainings give the numbers of Chromium, and every slider works.

WebAssembly leaves no freedom in how numbers are rounded: both browsers must agree to the last bit.
Where there is no Firefox, this is left out.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bnviz import explorers
from bnviz.figure.explorer import Simulation
from bnviz.tools.assets import node_modules, node_program
from tests.pages import PAGE
from tests.reader import reading

_HERE = Path(__file__).parent / "firefox"
_TASKS = (_HERE / "tasks.js").read_text(encoding="utf-8")
_PLACES = ("firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox")
FIREFOX = next(filter(None, map(shutil.which, _PLACES)), None)
# past the end of the first history, so that pairs of columns have become one
STEPS = {
    name: figure.history + 60
    for name in explorers.names()
    if isinstance(figure := explorers.get(name), Simulation)
}
SLIDERS = {path: [n for n in PAGE if PAGE[n] == path and n not in STEPS] for path in PAGE.values()}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(FIREFOX is None, reason="no Firefox: install it so that it is on the PATH"),
]


def in_firefox(url: str, path: str, tasks: list[dict]) -> list[dict]:
    """What the tasks saw on a page, on which nothing may have gone wrong."""
    plan = {"executable": FIREFOX, "url": url, "pages": {f"book/{path}": tasks}}
    done = subprocess.run(
        [node_program(), _HERE / "drive.cjs"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_PATH": str(node_modules(_HERE))},
    )
    assert done.returncode == 0, done.stderr
    (seen,) = json.loads(done.stdout).values()
    assert seen["errors"] == []
    return seen["found"]


@pytest.mark.parametrize("name", STEPS)
def test_a_training_gives_the_numbers_of_chromium(name, browser, book_url):
    task = {"do": "train", "figure": name, "steps": STEPS[name]}
    (ours,) = in_firefox(book_url, PAGE[name], [task])
    with reading(browser, book_url) as reader:
        reader.open(f"book/{PAGE[name]}")
        reader.page.evaluate(_TASKS)
        theirs = reader.page.evaluate("task => reader[task.do](task)", task)
    assert ours["step"] == STEPS[name]
    assert ours["state"] == "live"
    assert ours == theirs


@pytest.mark.parametrize("path", [path for path, names in SLIDERS.items() if names])
def test_every_slider_goes_to_both_ends(path, book_url):
    tasks = [{"do": "sliders", "figure": name} for name in SLIDERS[path]]
    for found in in_firefox(book_url, path, tasks):
        for move in found["moves"]:
            where = found["figure"], move["slider"], move["end"]
            assert (move["state"], move["note"]) == ("live", ""), where
            assert "NaN" not in move["readout"], where
