"""Whether a figure of the page shows what PyTorch computes."""

import json

import numpy as np
import torch

from bnviz.figure.explorer import Explorer, Simulation
from tests.reader import Figure
from tests.rounding import moved_by_rounding
from tests.twin import first_outputs, outputs_of


def assert_drawn(figure: Figure, explorer: Explorer, values: dict) -> None:
    """Its sentence and every bound trace, at rest, for these values of the controls."""
    outputs = first_outputs(explorer, values)
    said = json.dumps(explorer.say(explorer.numbers(values), outputs))
    # the newest values may still be on their way
    figure.wait_for(f"node.querySelector('.bnviz-readout').textContent === {said}")
    figure.rest()
    slack: dict[str, float] = {}
    for binding in (b for b in explorer.bindings if not b.append):
        drawn = np.array(figure.drawn(binding.trace, binding.attribute), dtype=float)
        expected, atol = binding.pick(outputs).numpy(), 2e-5
        if not np.allclose(drawn, expected, rtol=1e-4, atol=atol, equal_nan=True):
            slack = slack or _rounding(explorer, values)
            atol += slack.get(binding.output, 0)
        np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=atol, err_msg=str(binding))


def _rounding(explorer: Explorer, values: dict) -> dict[str, float]:
    """By how much the first outputs of a training move with how its initial weights are rounded.

    A weight is a product of four rounded factors: the root of a logarithm, a cosine, the scale and
    that of its layer. Far along a line of search rounding becomes 1 % of a gradient's change.
    """
    if not isinstance(explorer, Simulation):
        return {}
    controls = explorer.tensors(values)
    state = explorer.initial(torch.tensor(0.0), **controls)
    return moved_by_rounding(lambda s: outputs_of(explorer, s, controls), state, terms=4)
