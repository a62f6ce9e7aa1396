"""A network of the reader's own, watched in a real JupyterLab while it trains."""

import json
import math
from collections.abc import Iterator

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Browser, expect

from tests.lab import SECONDS, TOKEN, Notebook, until

pytestmark = pytest.mark.xdist_group("lab")  # one server for all

NETWORK = """\
import time
import torch
from torch import nn

import bnviz

torch.manual_seed(0)
net = nn.Sequential(
    nn.Linear(6, 32), nn.BatchNorm1d(32), nn.Sigmoid(),
    nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4),
)
x, y = torch.randn(4096, 6), torch.randint(4, (4096,))
descent = torch.optim.SGD(net.parameters(), lr=0.1)"""

# At least 300 steps, and as many more as a busy machine needs until the slider was moved.
TRAIN = f"""\
end = time.monotonic() + {3 * SECONDS}
with bnviz.watch(net, every=2) as log:
    while log.seen < 300 or (log.every == 2 and time.monotonic() < end):
        rows = torch.randint(4096, (64,))
        descent.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        descent.step()
        if log.every == 2:
            time.sleep(0.15)"""

EXAMINE = """\
for bn in (net[1], net[4]):
    bn.reset_running_stats()
found = bnviz.examine(net, [5 + 3 * part for part in x.split(64)])"""

TOLD = 'import json\nprint(json.dumps({"seen": log.seen, "every": log.every, "steps": log.steps}))'

READ = "(plot) => Array.from(plot.data?.find((t) => t.type === 'heatmap')?.x || [])"


@pytest.fixture(scope="module")
def notebook(lab, browser: Browser) -> Iterator[Notebook]:
    url, folder = lab
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [v4.new_code_cell(source) for source in (NETWORK, TRAIN, TOLD, EXAMINE)]
    nbformat.write(
        v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "own.ipynb"
    )
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    opened = Notebook(page, f"{url}lab/workspaces/own/tree/own.ipynb?token={TOKEN}")
    yield opened
    page.close()


def test_layers_are_drawn_while_the_training_goes_on(notebook):
    page = notebook.page
    page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")
    root = page.locator(".jp-OutputArea .bnviz.widget-vbox").first
    status = root.locator("p", has_text="training steps").first
    expect(status).to_contain_text("(running)", timeout=SECONDS * 1e3)
    plot = root.locator(".js-plotly-plot")

    until(lambda: plot.count() and len(plot.first.evaluate(READ)) > 2, "a picture")
    assert "(running)" in status.inner_text()
    root.get_by_role("slider").nth(3).press("PageUp")  # two handles of the layers, range, rate
    expect(status).to_contain_text("(ended)", timeout=SECONDS * 1e3)
    said = page.locator(".jp-OutputArea-output pre").first
    until(lambda: "every" in said.inner_text(), "what the log says")
    told = json.loads(said.inner_text())
    assert told["seen"] >= 300
    assert f"{told['seen']} training steps" in status.inner_text()
    assert told["every"] > 2  # the slider was heard while the training went on
    steps = told["steps"][::-1]
    drawn = steps[:: math.ceil(len(steps) / 200)][::-1]  # 200 columns are the most
    until(lambda: plot.first.evaluate(READ) == drawn, "the last record in the picture")
    assert not notebook.errors


def test_the_examination_says_what_is_wrong(notebook):
    said = notebook.page.locator(".jp-OutputArea-output pre").nth(1)
    expect(said).to_contain_text("Examined: 2 BN layers", timeout=SECONDS * 1e3)
    expect(said).to_contain_text("SERIOUS: running values were never updated")
    expect(said).to_contain_text("reestimate(model, loader)")


def test_fewer_layers_are_drawn_when_the_slider_says_so(notebook):
    root = notebook.page.locator(".jp-OutputArea .bnviz.widget-vbox").first
    count = "(plot) => (plot.data || []).filter((t) => t.type === 'heatmap').length"
    until(lambda: root.locator(".js-plotly-plot").first.evaluate(count) == 4, "four layers")
    root.get_by_role("slider").nth(0).press("ArrowRight")
    until(lambda: root.locator(".js-plotly-plot").first.evaluate(count) == 3, "three layers")
    assert not notebook.errors
