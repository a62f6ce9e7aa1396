"""Statistics at inference: order of the images, Dropout in front; what a norm costs."""

import numpy as np
import pytest
import torch
from torch import nn

from bnviz import experiments
from bnviz.experiments import cost, dropout, order


def test_running_statistics_do_not_know_the_order():
    found = {
        come: order.run(
            {"statistics": "running", "order": come, "images": "ordinary", "size": 16, "seed": 0}
        )["accuracy"]
        for come in ("random", "by class")
    }
    assert found["random"] == found["by class"] > 0.95


def test_own_statistics_are_blind_for_what_a_batch_shares():
    cell = {"statistics": "own", "images": "brighter", "size": 16, "seed": 0}
    random = order.run(cell | {"order": "random"})["accuracy"]
    sorted_ = order.run(cell | {"order": "by class"})["accuracy"]
    assert random > 0.9
    assert sorted_ < 0.4
    stored = {
        row["order"]: row["accuracy"]
        for row in experiments.load("test-order")["rows"]
        if all(row[key] == value for key, value in cell.items())
    }
    # some images stand on the line between two classes, and training is chaotic
    assert random == pytest.approx(stored["random"], abs=0.03)
    assert sorted_ == pytest.approx(stored["by class"], abs=0.05)


def test_brightness_is_what_the_mean_takes_away():
    cell = {"statistics": "own", "order": "random", "size": 60, "seed": 1}
    found = [order.run(cell | {"images": i})["accuracy"] for i in ("ordinary", "brighter")]
    assert found[0] == pytest.approx(found[1], abs=1.5 / 360)


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_dropout_raises_the_variance_by_what_theory_says(p):
    """Var[h d / (1 - p)] = Var[h] + p / (1 - p) E[h^2], for every input of a linear layer."""
    torch.manual_seed(0)
    h = torch.rand(40_000, 8, dtype=torch.float64)
    linear = nn.Linear(8, 4, bias=False).double()
    with torch.no_grad():
        dropped = linear(nn.functional.dropout(h, p)).var(0)
        extra = p / (1 - p) * (linear.weight**2) @ (h**2).mean(0)
        expected = linear(h).var(0) + extra
    # a variance of n values is off by sqrt(2 / n) of itself, 0.7 %; four of these
    torch.testing.assert_close(dropped, expected, rtol=0.03, atol=0)


def test_dropout_behind_all_bn_shifts_nothing():
    rows = experiments.load("dropout-shift")["rows"]
    for row in rows:
        if row["place"] == "behind" or row["p"] == 0:
            assert row["ratio"] == pytest.approx(1, abs=0.05)
        else:
            assert row["ratio"] > 1.03


def test_measuring_anew_leaves_the_weights():
    torch.manual_seed(0)
    net = dropout._network("front", 0.5)
    weights = [p.detach().clone() for p in net.parameters()]
    norms = [m for m in net if isinstance(m, nn.BatchNorm1d)]
    x = torch.randn(64, 64)
    dropout._reestimate(net.eval(), norms, x)
    assert all(map(torch.equal, weights, net.parameters()))
    with torch.no_grad():
        first = net[0](x)
    torch.testing.assert_close(norms[0].running_var, first.var(0))


@pytest.mark.parametrize("kind", [cost.LINEAR, cost.CONVOLUTION])
def test_a_norm_keeps_one_array_more(kind):
    """Counted by autograd's own hooks; statistics and the like are small beside it."""
    size = cost.SIZES[kind][1]
    side = (8, 8) if kind == cost.CONVOLUTION else ()
    x = torch.randn(16, size, *side)
    kept = {norm: cost._saved(cost._block(kind, size, norm), x) for norm in cost.NORMS}
    assert kept["none"] == 2 * x.nbytes  # the input, and what the ReLU puts out
    for norm in ("batch", "layer"):
        assert kept[norm] == pytest.approx(3 * x.nbytes, rel=0.15)


def test_the_ratios_of_cost_are_those_of_its_rows():
    result = experiments.load("bn-cost")
    for row in result["rows"]:
        found = result["summary"][f"{row['layer']} {row['width']}"]
        np.testing.assert_allclose(
            found["batch_forward"], row["batch_forward_us"] / row["none_forward_us"], rtol=0.01
        )
        assert row["batch_saved_bytes"] / row["none_saved_bytes"] == pytest.approx(1.5, abs=0.02)
