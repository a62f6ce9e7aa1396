"""The comparison of placements: one run recomputed, its description against closed forms."""

import pytest
import torch

from bnviz import experiments
from bnviz.experiments.placement import _describe, _pairs
from bnviz.maths.convnet import CNN
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP


@pytest.mark.parametrize("placement", ["none", "before", "after"])
def test_one_run_of_each_placement(placement):
    """tanh at the small rate, where training does not jump."""
    cell = {"activation": "tanh", "rate": "small", "scale": 1.0, "placement": placement, "seed": 0}
    ours = experiments.get("placement").row(cell)
    (stored,) = (
        row
        for row in experiments.load("placement")["rows"]
        if all(row[k] == v for k, v in cell.items())
    )
    assert ours["accuracy"] == pytest.approx(stored["accuracy"], abs=0.02)
    for key in ("loss", "in_spread", "out_spread"):
        assert ours[key] == pytest.approx(stored[key], rel=0.1)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize(("placement", "side"), [("before", "in"), ("after", "out")])
def test_behind_bn_level_is_beta_and_spread_is_gamma(kind, placement, side):
    torch.manual_seed(0)
    options = {"norm": True, "placement": placement, "activation": "tanh"}
    net = CNN((4, 4), **options) if kind == "cnn" else MLP((64, 8, 8, 10), **options)
    with torch.no_grad():
        for layer in net.layers:
            layer.norm.weight.fill_(1.5)
            layer.norm.bias.fill_(-0.5)
    found = _describe(net, digits().x_train[:64])
    assert found[f"{side}_level"] == pytest.approx(0.5, abs=1e-3)
    assert found[f"{side}_spread"] == pytest.approx(1.5, abs=1e-2)
    other = "out" if side == "in" else "in"
    assert abs(found[f"{other}_spread"] - 1.5) > 0.01


def test_pairs_count_seeds_and_settings():
    rows = [
        {"activation": "relu", "rate": "small", "scale": scale, "placement": placement,
         "seed": seed, "accuracy": accuracy}
        for scale, better in ((1.0, 4), (2.0, 2), (3.0, 0))
        for seed in range(5)
        for placement, accuracy in (("before", 0.9 if seed < better else 0.5), ("after", 0.6))
    ]  # fmt: skip
    rows[-1]["accuracy"] = None  # "after" diverged, so "before" is better there
    found = _pairs(rows, "before", "after")
    assert (found["won"], found["lost"], found["of"]) == (1, 1, 3)
    assert found["settings"]["relu, small rate, scale 1"] == [4, 1, 0.3]
    assert found["settings"]["relu, small rate, scale 3"] == [1, 4, -0.1]
