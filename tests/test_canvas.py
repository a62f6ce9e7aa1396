"""While things move, a canvas draws the marks; at rest plotly does. They look alike."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bnviz import explorers
from bnviz.figure.explorer import Simulation
from tests.reader import AT_REST

# The page's own Painter over the figure as it stands, kept within reach.
PAINT = """async (node, base) => {
  const { Painter, supports } = await import(new URL("paint.js", base).href);
  const plot = node.querySelector(".bnviz-plot");
  if (!supports(plot)) throw Error("some trace is left to plotly");
  node.painter = new Painter(plot);
  node.painter.paint();
}"""


@pytest.mark.parametrize("name", explorers.names())
def test_the_canvas_shows_what_plotly_shows(reader, name):
    figure = reader.figure(name)
    if isinstance(explorers.get(name), Simulation) and figure.step == 0:
        for step in ("1", "2"):  # no curve before the first step, and no line of one point
            figure.press("step")
            figure.wait_for(f"node.dataset.step === '{step}'")
        figure.rest()
    plot = figure.root.locator(".bnviz-plot")
    reader.page.evaluate(AT_REST)
    rested = pixels(plot.screenshot())
    figure.root.evaluate(PAINT, reader.script)
    painted = pixels(plot.screenshot())
    off = np.abs(painted - rested)
    assert off.mean() < 1.5
    assert (off.max(axis=2) > 90).mean() < 0.01
    figure.evaluate("node.painter.canvas.remove()")
    without = np.abs(pixels(plot.screenshot()) - rested)
    assert without.mean() > 3 * off.mean(), "nothing was drawn: the check would not fail"
    figure.evaluate("node.painter.clear()")


def pixels(screenshot: bytes) -> np.ndarray:
    """A PNG as numbers, (height, width, 3)."""
    return np.asarray(Image.open(BytesIO(screenshot)).convert("RGB"), dtype=float)
