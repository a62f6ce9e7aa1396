"""Folding: one layer does what a layer and its BN do in evaluation mode."""

import pytest
import torch
from torch import nn

from bnviz.maths.fold import fold
from bnviz.maths.nets import BatchNorm


def settled(bn: nn.Module, features: int) -> nn.Module:
    """Running values and parameters far from where they start."""
    generator = torch.Generator().manual_seed(1)
    for name, value in {**dict(bn.named_parameters()), **dict(bn.named_buffers())}.items():
        if value.shape == (features,):
            value.data = torch.randn(features, generator=generator, dtype=torch.float64)
            if name == "running_var":
                value.data = 0.01 + value.data**2
    return bn.eval()


CASES = {
    "linear": (nn.Linear(5, 3), nn.BatchNorm1d(3), (7, 5)),
    "without bias": (nn.Linear(5, 3, bias=False), nn.BatchNorm1d(3), (7, 5)),
    "large eps": (nn.Linear(5, 3), nn.BatchNorm1d(3, eps=0.5), (7, 5)),
    "without gamma and beta": (nn.Linear(5, 3), nn.BatchNorm1d(3, affine=False), (7, 5)),
    "the book's own": (nn.Linear(5, 3), BatchNorm(3), (7, 5)),
    "one dimension": (nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), (3, 2, 9)),
    "two dimensions": (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), (3, 2, 6, 6)),
    "groups": (nn.Conv2d(4, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4), (3, 4, 6, 6)),
    "three dimensions": (nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), (2, 2, 4, 4, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folded_layer_gives_the_same_and_leaves_the_others_alone(case):
    layer, bn, shape = CASES[case]
    layer, bn = layer.double().eval(), settled(bn.double(), len(layer.weight))
    before = [value.clone() for value in (*layer.state_dict().values(), *bn.state_dict().values())]
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    folded = fold(layer, bn)
    torch.testing.assert_close(folded(x), bn(layer(x)), rtol=1e-12, atol=1e-12)
    assert type(folded) is type(layer)
    after = (*layer.state_dict().values(), *bn.state_dict().values())
    assert all(map(torch.equal, before, after))


def test_two_bn_layers_fold_one_after_the_other():
    linear = nn.Linear(4, 3).double().eval()
    first, second = (settled(nn.BatchNorm1d(3).double(), 3) for _ in range(2))
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(fold(fold(linear, first), second)(x), second(first(linear(x))))


@pytest.mark.parametrize(
    ("layer", "bn", "error", "message"),
    [
        (nn.Linear(2, 3).eval(), nn.BatchNorm1d(3), ValueError, "evaluation mode"),
        (nn.Linear(2, 3), nn.BatchNorm1d(3).eval(), ValueError, "evaluation mode"),
        (
            nn.Linear(2, 3).eval(),
            nn.BatchNorm1d(4).eval(),
            ValueError,
            "gives 3 features, bn takes",
        ),
        (
            nn.ConvTranspose2d(2, 3, 2).eval(),
            nn.BatchNorm2d(3).eval(),
            TypeError,
            "ConvTranspose2d",
        ),
        (
            nn.Linear(2, 3).eval(),
            nn.BatchNorm1d(3, track_running_stats=False).eval(),
            ValueError,
            "no running statistics",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(layer, bn, error, message):
    with pytest.raises(error, match=message):
        fold(layer, bn)
