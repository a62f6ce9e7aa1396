"""The figures in a real JupyterLab, in a real browser: run, drag, train, stop."""

from collections.abc import Iterator

import nbformat
import numpy as np
import pytest
import torch
from nbformat import NotebookNode, v4
from playwright.sync_api import Browser, Locator, expect
from torch import Tensor

from bnviz import explorers
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.maths.prng import Shuffler
from tests.lab import REPOSITORY, SECONDS, TOKEN, Notebook, until

pytestmark = pytest.mark.xdist_group("lab")  # one server for all

CHAPTER = REPOSITORY / "book" / "steps.ipynb"
IMPORT = "from bnviz import show"

READ = """(plot, [trace, attribute]) => {
  const list = (v) => (ArrayBuffer.isView(v) || Array.isArray(v) ? Array.from(v, list) : v);
  return list(plot.data[trace][attribute]);
}"""


class Chapter(Notebook):
    """A notebook with figures of the book."""

    def figure(self, name: str) -> "Figure":
        """A figure of the book, once it is drawn."""
        explorer = explorers.get(name)
        root = self.page.locator(".jp-OutputArea .bnviz.widget-vbox", has_text=explorer.title)
        root.locator(".main-svg").first.wait_for(timeout=SECONDS * 1e3)
        root.scroll_into_view_if_needed()
        return Figure(root, explorer)


class Figure:
    """A figure as its reader sees it."""

    def __init__(self, root: Locator, explorer: Explorer):
        self.root, self.explorer = root, explorer
        self.plot = root.locator(".js-plotly-plot")
        self.places = {trace["uid"]: k for k, trace in enumerate(explorer.figure["data"])}

    def slider(self, label: str) -> Locator:
        return self.root.get_by_role("slider", name=label, exact=True)

    def value(self, name: str) -> float:
        """What stands at a slider."""
        text = self.root.locator(f".bnviz-control-{name} .bnviz-label + span").inner_text()
        return float(text.split()[0])

    def button(self, text: str) -> Locator:
        return self.root.locator("button", has_text=text)

    def step(self) -> int:
        return int(self.root.get_by_role("status").inner_text().split()[1].rstrip(":"))

    def drawn(self, uid: str, attribute: str) -> np.ndarray:
        """What a trace shows now."""
        values = self.plot.evaluate(READ, [self.places[uid], attribute])
        return np.array(values, dtype=np.float32)

    def shows(self, outputs: dict[str, Tensor]) -> bool:
        """Whether the picture shows these outputs, to the precision of float32."""
        return all(
            np.allclose(
                self.drawn(b.trace, b.attribute),
                outputs[b.output][b.index].numpy(),
                rtol=1e-5,
                atol=1e-6,
                equal_nan=True,
            )
            for b in self.explorer.bindings
            if not b.append
        )


def cells() -> list[NotebookNode]:
    """Chapter 2 as far as its first figure, then the figure of chapter 1."""
    chapter = nbformat.read(CHAPTER, as_version=4).cells if CHAPTER.exists() else []
    first = [k for k, cell in enumerate(chapter, start=1) if 'show("scale-shift")' in cell.source]
    begin = chapter[: first[0]] if first else [v4.new_code_cell(f'{IMPORT}\nshow("scale-shift")')]
    return [*begin, v4.new_code_cell(f'{IMPORT}\nshow("drift")')]


@pytest.fixture(scope="module")
def notebook(lab, browser: Browser) -> Iterator[Chapter]:
    """A notebook with both figures, run from top to bottom."""
    url, folder = lab
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        v4.new_notebook(cells=cells(), metadata={"kernelspec": kernel}), folder / "figures.ipynb"
    )
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    opened = Chapter(page, f"{url}lab/tree/figures.ipynb?token={TOKEN}")
    opened.command("notebook:run-all-cells")
    yield opened
    page.close()


def test_dragged_gamma_draws_what_pytorch_computes(notebook):
    figure = notebook.figure("scale-shift")
    compute = figure.explorer.outputs
    until(lambda: figure.shows(compute()), "the first picture")
    handle = figure.slider("γ (scale)")
    for _ in range(10):
        handle.press("ArrowRight")
    until(lambda: figure.value("gamma") == 1.5, "gamma at 1.5")
    until(lambda: figure.shows(compute(gamma=1.5)), "gamma 1.5 in the picture")
    expect(figure.root).to_contain_text("After, with γ = 1.50 and β = 0.00: mean 0.00, std 1.50")
    handle.press("Home")
    figure.root.get_by_role("checkbox").check()
    expected = compute(gamma=-3, identity=True)
    until(lambda: figure.shows(expected), "undo in the picture")


def test_log_slider_stands_for_its_value(notebook):
    figure = notebook.figure("scale-shift")
    handle = figure.slider("ε (added to the variance)")
    handle.press("End")
    until(lambda: figure.value("eps") == 10, "eps at 10, where the slider's position is 1")
    handle.press("Home")
    until(lambda: figure.value("eps") == 1e-8, "eps at 1e-8")


def test_training_plays_hears_its_sliders_and_stops(notebook):
    figure = notebook.figure("drift")
    first, second = first_outputs(figure.explorer, 2)
    until(lambda: figure.shows(first), "the distributions of step 0")
    assert figure.step() == 0
    assert figure.drawn("bn-loss", "y").size == 0

    figure.button("Step").click()
    until(lambda: figure.step() == 1, "step 1")
    figure.button("Step").click()
    until(lambda: figure.drawn("bn-loss", "y").size == 2, "two losses")
    expected = [float(outputs["bn_loss"]) for outputs in (first, second)]
    np.testing.assert_allclose(figure.drawn("bn-loss", "y"), expected, rtol=1e-5)
    until(lambda: figure.shows(second), "the distributions of step 2")

    figure.root.get_by_role("combobox", name="speed").select_option("5 steps a second")
    figure.button("Play").click()
    until(lambda: figure.drawn("bn-loss", "y").size > 5, "a growing loss curve")
    before = figure.step()
    handle = figure.slider("γ")
    for _ in range(20):
        handle.press("ArrowRight")
    until(lambda: figure.value("gamma") == 2, "gamma at 2")
    expect(figure.root.get_by_role("checkbox")).to_be_checked()  # it is held, once it moves
    until(lambda: figure.step() > before + 5, "steps that go on")

    figure.button("Pause").click()
    figure.button("Play").wait_for()
    until(lambda: figure.drawn("bn-loss", "y").size == figure.step(), "every step in the picture")
    stopped = figure.step()
    heat = figure.drawn("bn-5-over-time", "z")
    assert heat.shape == (48, stopped)
    # with gamma held at 2 the fifth layer's distribution is twice as wide as it began
    assert spread(heat[:, -1]) > 1.6 * spread(heat[:, 0])
    assert figure.step() == stopped

    figure.button("Reset").click()
    until(lambda: figure.step() == 0, "step 0")
    until(lambda: figure.drawn("bn-loss", "y").size == 0, "an empty loss curve")


def first_outputs(simulation: Simulation, n: int) -> list[dict[str, Tensor]]:
    """Outputs of the first steps with start values and seed 0."""
    controls, rows = simulation.tensors({}), Shuffler(simulation.rows, 0)
    state, found = simulation.initial(torch.tensor(0.0), **controls), []
    for _ in range(n):
        state, outputs = simulation.step(state, rows.take(int(controls["batch"])), **controls)
        found.append(outputs)
    return found


def spread(log_density: np.ndarray) -> float:
    """Standard deviation of a distribution, from a column of the heatmap, in bins."""
    p = np.maximum(10.0**log_density - 1e-3, 0)
    place = np.arange(len(p))
    mean = (p * place).sum() / p.sum()
    return float(np.sqrt((p * (place - mean) ** 2).sum() / p.sum()))


def test_page_reload_brings_the_same_picture_back(notebook):
    figure = notebook.figure("drift")
    figure.button("Reset").click()
    until(lambda: figure.drawn("bn-loss", "y").size == 0, "an empty loss curve")
    figure.button("Step").click()
    until(lambda: figure.drawn("bn-loss", "y").size == 1, "one loss")
    notebook.command("docmanager:save")
    notebook.page.reload()
    figure = notebook.figure("drift")
    until(lambda: figure.drawn("bn-loss", "y").size == 1, "the loss from before")
    # a text comes as a view of its own, perhaps after the picture
    until(lambda: figure.root.get_by_role("status").inner_text() != "", "a step")
    assert figure.step() == 1


def test_figures_fill_their_width_without_an_error(notebook):
    for name in ("scale-shift", "drift"):
        figure = notebook.figure(name)
        box = figure.root.evaluate("(node) => node.clientWidth")
        plot = figure.plot.locator(".main-svg").first.evaluate("(node) => node.clientWidth")
        assert box - 12 <= plot <= box
    assert notebook.errors == []
