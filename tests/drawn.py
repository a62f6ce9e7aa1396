"""Whether a figure of the page shows what PyTorch computes."""

import json

import numpy as np

from bnviz.figure.explorer import Explorer
from tests.reader import Figure
from tests.twin import first_outputs


def assert_drawn(figure: Figure, explorer: Explorer, values: dict) -> None:
    """Its sentence and every bound trace, at rest, for these values of the controls."""
    outputs = first_outputs(explorer, values)
    said = json.dumps(explorer.say(explorer.numbers(values), outputs))
    # the newest values may still be on their way
    figure.wait_for(f"node.querySelector('.bnviz-readout').textContent === {said}")
    figure.rest()
    for binding in (b for b in explorer.bindings if not b.append):
        drawn = np.array(figure.drawn(binding.trace, binding.attribute), dtype=float)
        expected = binding.pick(outputs).numpy()
        np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=2e-5, err_msg=str(binding))
