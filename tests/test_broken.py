"""The broken layers: the right one is PyTorch's, every other one is caught by the right checks."""

import pytest
import torch
from torch import nn

from bnviz.maths import broken
from bnviz.maths.checks import failures
from bnviz.maths.nets import BatchNorm
from bnviz.maths.reestimate import reestimate

COMPANY = "an answer does not depend on batch mates"
RUNNING = {"the running mean is pytorchs", "the running variance is pytorchs"}
ROADS = {"the gradient knows the statistics", "the gradient knows the variance"}
CAUGHT = {
    "Right": set(),
    "DetachedStatistics": {*ROADS, "the gradient is that of the outputs"},
    "OneScalar": {
        "each feature is normalised",
        "a constant feature becomes 0",
        "small variances show eps",
        *ROADS,
        *RUNNING,
    },
    "TestBatch": {COMPANY},
    "AlwaysTraining": {COMPANY, "evaluation changes nothing"},
    "NotSaved": {"the state survives saving"},
    "FlippedMomentum": RUNNING,
    "MixedVariances": {"each feature is normalised", "the running variance is pytorchs"},
    "RowBuffers": {"the state survives saving", "the shapes are pytorchs"},
    "TakesOne": {"a batch of one is refused"},
}


def test_every_layer_is_listed():
    assert set(CAUGHT) == set(broken.__all__) - {"MISTAKES"}
    assert {kind.__name__ for kind in broken.MISTAKES.values()} <= set(CAUGHT)


@pytest.mark.parametrize("name", CAUGHT)
def test_a_mistake_is_caught_by_its_own_checks_and_no_others(name):
    assert set(failures(getattr(broken, name))) == CAUGHT[name]


@pytest.mark.parametrize("library", [nn.BatchNorm1d, BatchNorm])
def test_layers_that_people_use_pass_all_checks(library):
    assert failures(lambda d, momentum=0.1: library(d, momentum=momentum)) == []


def test_the_right_layer_is_pytorchs_in_both_modes_and_backwards():
    ours, theirs = broken.Right(4, 0.3).double(), nn.BatchNorm1d(4, momentum=0.3, affine=False)
    theirs = theirs.double()
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        x = 3 + 2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        weights = torch.randn(6, 4, generator=generator, dtype=torch.float64)
        (ours(a) * weights).sum().backward()
        (theirs(b) * weights).sum().backward()
        torch.testing.assert_close(a.grad, b.grad)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_reestimate_measures_every_layer_behind_the_one_below():
    def stack(kind):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), kind(4), nn.ReLU(), nn.Linear(4, 5), kind(5)).double()

    ours, theirs = stack(BatchNorm), stack(lambda d: nn.BatchNorm1d(d, momentum=1.0))
    x = 2 + torch.randn(50, 3, dtype=torch.float64)
    weights = [p.clone() for p in ours.parameters()]
    reestimate(ours, x)
    theirs(x)
    for k in (1, 4):
        torch.testing.assert_close(ours[k].running_mean, theirs[k].running_mean)
        torch.testing.assert_close(ours[k].running_var, theirs[k].running_var)
        assert ours[k].momentum == pytest.approx(0.1)
    assert all(map(torch.equal, weights, ours.parameters()))
    assert not ours.training


def test_reestimate_refuses_a_network_without_bn():
    with pytest.raises(ValueError, match="nothing to estimate"):
        reestimate(nn.Linear(2, 2), torch.zeros(3, 2))
