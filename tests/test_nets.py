"""bnviz.maths.nets against torch.nn: BatchNorm in plain ops, and the MLP layer by layer."""

import numpy as np
import pytest
import torch
from torch import nn

from bnviz.maths.moments import moments, normalise
from bnviz.maths.nets import ACTIVATIONS, MLP, Activation, BatchNorm, activate, initialise
from tests.rounding import limit

SHAPES = [(32, 5), (2, 3), (8, 5, 4, 3), (1, 2, 3, 3)]


def torch_twin(bn: BatchNorm, x: torch.Tensor) -> nn.Module:
    """PyTorch's own layer with the same weights and settings."""
    kind = nn.BatchNorm1d if x.ndim == 2 else nn.BatchNorm2d
    other = kind(bn.features, eps=bn.eps, momentum=float(bn.momentum)).to(x.dtype)
    other.load_state_dict(bn.state_dict(), strict=False)
    return other


def make(shape, dtype=torch.float64, seed=0, **options):
    """A BatchNorm with uneven weights, and a batch far from 0."""
    generator = torch.Generator().manual_seed(seed)
    x = 3 + 2 * torch.randn(shape, generator=generator, dtype=dtype)
    bn = BatchNorm(shape[1], **options).to(dtype)
    with torch.no_grad():
        bn.weight.copy_(torch.randn(shape[1], generator=generator))
        bn.bias.copy_(torch.randn(shape[1], generator=generator))
    return bn, x


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_is_pytorchs_own_forward_and_backward(shape, dtype):
    bn, x = make(shape, dtype, eps=1e-3)
    other = torch_twin(bn, x)
    dy = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    results = []
    for module in (bn, other):
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        y.backward(dy)
        results.append([y.detach(), leaf.grad, module.weight.grad, module.bias.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_statistics_and_evaluation_are_pytorchs_own(shape, momentum):
    bn, x = make(shape, momentum=momentum)
    other = torch_twin(bn, x)
    for k in range(3):
        bn(x * (k + 1))
        other(x * (k + 1))
    torch.testing.assert_close(bn.running_mean, other.running_mean)
    torch.testing.assert_close(bn.running_var, other.running_var)
    torch.testing.assert_close(bn.eval()(x), other.eval()(x))


def test_evaluation_does_not_move_the_running_statistics():
    bn, x = make((16, 3))
    bn(x)
    before = bn.running_mean.clone(), bn.running_var.clone()
    bn.eval()(x + 5)
    assert torch.equal(bn.running_mean, before[0])
    assert torch.equal(bn.running_var, before[1])


def test_a_large_offset_does_not_spoil_float32():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 4, generator=generator, dtype=torch.float64) + 1e4
    exact = torch_twin(BatchNorm(4), x)(x.float().double())
    theirs = nn.BatchNorm1d(4)(x.float())
    ours = BatchNorm(4)(x.float())
    error = (ours.double() - exact).abs().max()
    assert error < 2e-3  # half a unit in the last place of the data is 5e-4
    # no worse than torch; but torch may be lucky, and the data are rounded for both
    data = limit(torch.float32, 1, 1e4 / 2)
    assert error <= 2 * max((theirs.double() - exact).abs().max(), data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0.0}, "eps must be > 0 and finite, got 0.0"),
        ({"eps": -1e-5}, "eps must be > 0"),
        ({"eps": float("nan")}, "eps must be > 0"),
        ({"momentum": 1.5}, r"lies in \[0, 1\]: 1.5"),
        ({"momentum": -0.1}, r"lies in \[0, 1\]"),
        ({"momentum": float("nan")}, r"lies in \[0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BatchNorm(3, **options)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3, 2), (4, 2, 3, 3), ()])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"expected \(m, 3\) or \(m, 3, h, w\), got"):
        BatchNorm(3)(torch.zeros(shape))


def test_one_sample_cannot_be_normalised_in_training_but_in_evaluation():
    bn = BatchNorm(3)
    with pytest.raises(ValueError, match=r"at least 2 values per feature, got shape \(1, 3\)"):
        bn(torch.ones(1, 3))
    assert torch.equal(bn.running_mean, torch.zeros(3))  # nothing half done
    assert bn.eval()(torch.ones(1, 3)).shape == (1, 3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs_own(name):
    v = torch.linspace(-5, 5, 41, requires_grad=True)
    (ours,) = torch.autograd.grad(Activation(name)(v).sum(), v)
    (theirs,) = torch.autograd.grad(getattr(torch, name)(v).sum(), v)
    torch.testing.assert_close(Activation(name)(v), getattr(torch, name)(v))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("index", range(3))
def test_fast_activations_are_the_same_up_to_rounding(index):
    v = torch.linspace(-30, 30, 121, requires_grad=True)
    exact = getattr(torch, ACTIVATIONS[index])(v)
    fast = activate(v, torch.tensor(float(index)), fast=True)
    torch.testing.assert_close(fast, exact, rtol=1e-7, atol=1e-7)
    slopes = [torch.autograd.grad(h.sum(), v)[0] for h in (exact, fast)]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_moments_are_pytorchs_biased_ones_and_normalising_uses_them(axis):
    x = 3 + 2 * torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    mean, var = moments(x, axis)
    torch.testing.assert_close(mean, x.mean(axis))
    torch.testing.assert_close(var, x.var(axis, correction=0))
    mean, var = moments(normalise(x, axis, eps=torch.tensor(1e-3).double()), axis)
    torch.testing.assert_close(mean, torch.zeros_like(mean))
    torch.testing.assert_close(var, 1 - 1e-3 / (x.var(axis, correction=0) + 1e-3))


def test_moments_of_whole_numbers_are_refused():
    for function in (lambda x: moments(x, 0), lambda x: normalise(x, 0, 1e-5)):
        with pytest.raises(TypeError, match=r"floating-point numbers, got torch\.int64"):
            function(torch.arange(3))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("norm", "placement"), [(False, "before"), (True, "before"), (True, "after")]
)
def test_an_mlp_is_its_layers_in_the_order_that_was_asked_for(norm, placement, activation):
    net = MLP((6, 5, 4, 3), norm=norm, placement=placement, activation=activation).double()
    net.load_state_dict(initialise(net, seed=1, scale=2.0))
    x = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h = x
    for layer in net.layers:
        h = h @ layer.linear.weight.T + (0 if layer.linear.bias is None else layer.linear.bias)
        steps = [getattr(torch, activation)]
        if norm:
            steps.insert(0 if placement == "before" else 1, torch_twin(layer.norm, h))
        for step in steps:
            h = step(h)
    torch.testing.assert_close(net(x), h @ net.head.weight.T + net.head.bias)
    assert len(net.activations) == 2
    assert sum(isinstance(m, BatchNorm) for m in net.modules()) == (2 if norm else 0)


def test_depth_and_width_are_free():
    assert MLP((7, 2))(torch.zeros(3, 7)).shape == (3, 2)
    assert MLP((7, *[4] * 20, 2), norm=True)(torch.rand(3, 7)).shape == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((64,),), {}, r"at least an input and an output width, got \(64,\)"),
        ((), {"placement": "middle"}, "unknown placement 'middle'; choose from"),
        ((), {"activation": "swish"}, "unknown activation 'swish'; choose from"),
    ],
)
def test_an_impossible_mlp_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        MLP(*arguments, **options)


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError):
        MLP(normalise=True)


def test_initial_weights_have_the_promised_spread_and_leave_the_net_alone():
    net = MLP((400, 300, 200, 10), norm=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = initialise(net, seed=5, scale=3.0)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, fan_in, gain in (
        ("layers.0.linear", 400, 3),
        ("layers.1.linear", 300, 3),
        ("head", 200, 1),
    ):
        weight = state[f"{name}.weight"] * fan_in**0.5 / gain
        assert weight.std() == pytest.approx(1, abs=0.05)
        assert weight.mean() == pytest.approx(0, abs=0.05)
    assert set(state) == set(before)
    assert (state["layers.0.norm.weight"] == 1).all()
    assert (state["head.bias"] == 0).all()
    net.load_state_dict(state)


def test_initial_weights_depend_on_the_seed_alone():
    net = MLP((8, 6, 4), norm=True)
    same = [initialise(net, seed) for seed in (0, torch.tensor(0.0), 0)]
    other = initialise(net, 1)
    for name in same[0]:
        assert all(torch.equal(same[0][name], s[name]) for s in same), name
    assert not torch.equal(same[0]["head.weight"], other["head.weight"])
    parts = [w.flatten().numpy() for n, w in same[0].items() if w.ndim == 2]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts)), "no number used twice"


def test_the_same_seed_gives_the_same_weights_with_and_without_norm():
    plain, normed = (initialise(MLP((8, 6, 4), norm=norm), 3, 2.0) for norm in (False, True))
    for name in ("layers.0.linear.weight", "head.weight"):
        assert torch.equal(plain[name], normed[name])
