"""convnet against torch.nn: the convolution, its gradient, and the network in any order."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz.maths.convnet import CNN, Conv, images
from bnviz.maths.nets import ACTIVATIONS, BatchNorm, initialise


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (2, 5, 6, 7), (1, 2, 3, 9)], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_and_its_gradients_are_pytorchs_own(shape, k, bias):
    conv = Conv(shape[1], 4, k, bias=bias).double()
    if bias:
        conv.bias.data = noise(4, seed=2)
    x = noise(*shape).requires_grad_()
    theirs = F.conv2d(x, conv.weight, conv.bias)
    torch.testing.assert_close(conv(x), theirs)
    parameters = [x, *conv.parameters()]
    dz = noise(*theirs.shape, seed=1)
    for a, b in zip(
        torch.autograd.grad(conv(x), parameters, dz),
        torch.autograd.grad(theirs, parameters, dz),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 2, 8, 8), (2, 1, 2, 8)], ids=str)
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"expected \(m, 1, h, w\) with h and w at least 3, got"):
        Conv(1, 4)(torch.zeros(shape))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("norm", "placement"), [(False, "before"), (True, "before"), (True, "after")]
)
def test_a_network_is_its_layers_in_the_order_that_was_asked_for(norm, placement, activation):
    net = CNN((4, 3), norm=norm, placement=placement, activation=activation).double()
    net.load_state_dict(initialise(net, seed=1, scale=2.0))
    x = noise(6, 64)
    h = x.reshape(6, 1, 8, 8)
    for layer in net.layers:
        h = F.conv2d(h, layer.linear.weight, layer.linear.bias)
        steps = [getattr(torch, activation)]
        if norm:
            twin = nn.BatchNorm2d(h.shape[1], dtype=h.dtype)
            steps.insert(0 if placement == "before" else 1, twin)
        for step in steps:
            h = step(h)
    assert h.shape == (6, 3, 4, 4)
    torch.testing.assert_close(net(x), F.linear(h.flatten(1), net.head.weight, net.head.bias))
    assert len(net.activations) == 2
    assert sum(isinstance(m, BatchNorm) for m in net.modules()) == (2 if norm else 0)


def test_pixels_keep_their_places():
    x = torch.arange(128.0).reshape(2, 64)
    assert images(x)[1, 0, 2, 3] == x[1, 2 * 8 + 3]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((),), {}, r"one to three convolutions fit on 8 x 8 pixels, got \(\)"),
        (((1, 1, 1, 1),), {}, "one to three convolutions"),
        ((), {"placement": "middle"}, "placement is 'before' or 'after', got 'middle'"),
        ((), {"activation": "swish"}, "unknown activation 'swish'"),
    ],
)
def test_an_impossible_network_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        CNN(*arguments, **options)


def test_the_first_filters_are_the_same_with_and_without_norm():
    plain, normed = (initialise(CNN(norm=norm), 3, 2.0) for norm in (False, True))
    torch.testing.assert_close(plain["layers.1.linear.weight"], normed["layers.1.linear.weight"])
