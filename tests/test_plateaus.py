"""Slopes and peaks of planes through the loss surface, and what the stored ones say."""

import pytest
import torch

from bnviz import experiments
from bnviz.experiments import plateaus


def test_a_slope_does_not_depend_on_how_the_plane_is_spanned():
    """A slanting plane in three dimensions, seen along two pairs of directions."""
    gradient = torch.tensor([3.0, -4.0, 0.0])
    steps = torch.arange(5.0)
    for a, b in (([0.1, 0, 0], [0, 0.1, 0]), ([0.2, 0, 0], [0.1, 0.3, 0])):
        both = torch.tensor([a, b])
        up = both @ gradient
        z = steps * up[0] + steps.unsqueeze(1) * up[1]
        root = torch.linalg.cholesky(both @ both.T)
        slope = plateaus.relative_slope(z, root)
        torch.testing.assert_close(slope, torch.full((3, 3), 5.0))


def test_a_peak_lies_above_all_its_neighbours():
    z = torch.zeros(5, 5)
    z[2, 2] = 1
    assert plateaus.peaks(z).nonzero().tolist() == [[1, 1]]
    z[2, 3] = 1  # a ridge is no peak
    assert plateaus.peaks(z).sum() == 0


def test_only_networks_that_learned_span_a_plane():
    """Three steps are too few: no plane through the ends, the two random ones are there."""
    cell = {"setting": "tanh, 4 layers", "net": "bn", "seed": 0, "steps": 3}
    *through, start, end = plateaus.run(cell)["planes"]
    assert through == [None] * 3
    assert len(start) == len(end) == len(plateaus.THRESHOLDS) + 2


def test_stored_planes_are_what_the_chapter_says():
    result = experiments.load("plateaus")
    for row in result["rows"]:
        for pair, plane in zip(plateaus.PAIRS, row["planes"], strict=False):
            learned = all(row["losses"][k] < plateaus.LEARNED for k in pair)
            assert (plane is not None) == learned
    table = result["summary"]["by_net"]
    for setting in plateaus.SETTINGS:
        for net in ("plain", "bn"):
            for plane in plateaus.PLANES[:3]:
                assert table[f"{setting}, {net}"][plane]["share"]["median"] < 0.1
    plain, bn = (
        table[f"relu, 4 layers, {net}"]["around start"]["share"]["median"]
        for net in ("plain", "bn")
    )
    assert plain < 0.2 < bn


@pytest.mark.parametrize("budget", ["200 steps", "400 steps", "800 steps"])
def test_noise_is_not_what_the_advantage_rests_on(budget):
    """What the chapter says of ghost batches and of batches of 30."""
    noise = experiments.load("ghosts")["summary"]["effects"]["bn"][budget]
    assert noise["low"] < 0 < noise["high"] < 0.01
    assert experiments.load("regularise-30")["summary"]["effects"]["plain"][budget]["low"] > 0
