"""Folding: one layer does what a layer and its BN do in evaluation mode."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from bnviz.maths.fold import fold
from bnviz.maths.nets import BatchNorm
from bnviz.maths.noisy import NoisyBatchNorm


def settled(bn: nn.Module, features: int) -> nn.Module:
    """Running values and parameters far from where they start."""
    generator = torch.Generator().manual_seed(1)
    for name, value in {**dict(bn.named_parameters()), **dict(bn.named_buffers())}.items():
        if value.shape == (features,):
            value.data = torch.randn(features, generator=generator, dtype=torch.float64)
            if name == "running_var":
                value.data = 0.01 + value.data**2
    return bn.eval()


class Renamed(nn.BatchNorm1d):
    """Somebody's own name for it, and a forward pass that ends in PyTorch's."""

    def forward(self, input):
        return super().forward(input.contiguous())


class Shifted(nn.BatchNorm1d):
    """Does more than it seems."""

    def forward(self, input):
        return super().forward(input) + 0.5


class Standardised(nn.Conv2d):
    """A convolution that computes its weight on the way."""

    def forward(self, input):
        return self._conv_forward(input, self.weight - self.weight.mean(), self.bias)


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
    "gamma alone": (nn.Linear(5, 3), nn.BatchNorm1d(3, bias=False), (7, 5)),
    "ours, gamma alone": (nn.Linear(5, 3), BatchNorm(3, bias=False), (7, 5)),
    "ours without gamma": (nn.Conv2d(2, 4, 3), BatchNorm(4, affine=False), (3, 2, 6, 6)),
    "synchronised": (nn.Conv2d(2, 4, 3), nn.SyncBatchNorm(4), (3, 2, 6, 6)),
    "somebody's subclass": (nn.Linear(5, 3), Renamed(3), (7, 5)),
    "instances": (
        nn.Conv2d(2, 4, 3),
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        (3, 2, 6, 6),
    ),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding="same"), nn.BatchNorm2d(8), (2, 4, 6, 6)),
    "borders": (
        nn.Conv2d(2, 4, 3, padding=2, stride=2, dilation=2, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        (3, 2, 7, 7),
    ),
    "transposed": (
        nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(4),
        (3, 2, 5, 5),
    ),
    "transposed, groups": (
        nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False),
        nn.BatchNorm2d(6),
        (3, 4, 5, 5),
    ),
    "transposed 1d, depthwise": (
        nn.ConvTranspose1d(3, 6, 4, groups=3, dilation=2),
        nn.BatchNorm1d(6),
        (2, 3, 7),
    ),
    "transposed 3d": (nn.ConvTranspose3d(2, 3, 2), nn.BatchNorm3d(3), (2, 2, 3, 3, 3)),
    "as many in as out, groups": (
        nn.ConvTranspose2d(4, 4, 2, groups=2),
        nn.BatchNorm2d(4),
        (2, 4, 3, 3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folded_layer_gives_the_same_and_leaves_the_others_alone(case):
    layer, bn, shape = CASES[case]
    layer, bn = layer.double().eval(), settled(bn.double(), len(bn.running_mean))
    before = [value.clone() for value in (*layer.state_dict().values(), *bn.state_dict().values())]
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    folded = fold(layer, bn)
    torch.testing.assert_close(folded(x), bn(layer(x)), rtol=1e-12, atol=1e-12)
    assert type(folded) is type(layer)
    after = (*layer.state_dict().values(), *bn.state_dict().values())
    assert all(map(torch.equal, before, after))


WRAPS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm by a hook": nn.utils.weight_norm,
    "spectral_norm by a hook": nn.utils.spectral_norm,
    "along another axis": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "both": lambda layer: parametrizations.spectral_norm(parametrizations.weight_norm(layer)),
    "orthogonal": parametrizations.orthogonal,
    "the bias, too": lambda layer: parametrizations.weight_norm(
        parametrizations.spectral_norm(layer), "bias"
    ),
}
LAYERS = {
    "linear": (lambda: nn.Linear(5, 4), nn.BatchNorm1d, (7, 5)),
    "convolution": (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d, (3, 4, 5, 5)),
    "transposed": (
        lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2, dilation=2),
        nn.BatchNorm2d,
        (3, 4, 5, 5),
    ),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_weight_that_is_computed_is_folded_as_it_is_in_evaluation(kind, wrap):
    make, norm, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer = WRAPS[wrap](make()).double()
    x = torch.randn(shape, dtype=torch.float64)
    layer(x)  # a step of spectral_norm's iteration
    layer = layer.eval()
    for parameter in layer.parameters():
        parameter.data *= 1.5  # as after loading: what a hook has computed before is stale
    bn = settled(norm(4).double(), 4)
    folded = fold(layer, bn)
    torch.testing.assert_close(folded(x), bn(layer(x)), rtol=1e-12, atol=1e-12)
    assert {name for name, _ in folded.named_parameters()} == {"weight", "bias"}
    assert not folded._forward_pre_hooks


def test_a_folded_layer_keeps_its_number_format():
    folded = fold(nn.Linear(2, 3).bfloat16().eval(), nn.BatchNorm1d(3).eval())
    assert folded.weight.dtype == folded.bias.dtype == torch.bfloat16


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
        (nn.Bilinear(2, 2, 3).eval(), nn.BatchNorm1d(3).eval(), TypeError, "Bilinear"),
        (Standardised(2, 3, 2).eval(), nn.BatchNorm2d(3).eval(), TypeError, "pass of its own"),
        (nn.Linear(2, 3).eval(), NoisyBatchNorm(3).eval(), TypeError, "something else than Batch"),
        (nn.Linear(2, 3).eval(), Shifted(3).eval(), TypeError, "Shifted does something else"),
        (nn.Linear(2, 3).eval(), nn.ReLU().eval(), ValueError, "ReLU has no running statistics:"),
        (
            nn.Linear(2, 3).eval(),
            nn.BatchNorm1d(3, track_running_stats=False).eval(),
            ValueError,
            r"no running statistics \(track_running_stats=False\)",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(layer, bn, error, message):
    with pytest.raises(error, match=message):
        fold(layer, bn)
