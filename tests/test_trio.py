"""bnviz.maths.trio, three networks in one stack, against the modules that say the same."""

import pytest
import torch
from torch.nn import functional as F

from bnviz.maths import ics, trio
from bnviz.maths.data import digits
from bnviz.maths.nets import ACTIVATIONS, MLP, initialise
from bnviz.maths.noisy import add_noise
from bnviz.maths.record import inputs_of

SIZES = (64, *[trio.WIDTH] * trio.DEPTH, 10)
ROWS = 24


def batch():
    return digits().x_train[:ROWS], digits().y_train[:ROWS]


def setting(scale: float = 2.0):
    """Values with gammas and betas of their own, and one step's noise."""
    p = trio.start(torch.tensor(1.0), torch.tensor(scale))
    generator = torch.Generator().manual_seed(0)
    for name, mean in (("gamma", 1.0), ("beta", 0.0), ("offset", 0.0)):
        p[name] = mean + 0.3 * torch.randn(p[name].shape, generator=generator)
    p["gamma"][0] = 1.0
    return p, trio.noise(ROWS, torch.tensor(1.0), torch.tensor(5.0), torch.tensor(1.0))


def module(n: int, p, noise, activation: str) -> MLP:
    """Network n as modules."""
    net = MLP(SIZES, norm=n > 0, activation=activation)
    net = add_noise(net) if n == 2 else net
    for i, layer in enumerate(net.layers):
        layer.linear.weight.data = p[f"w{i}"][n].clone()
        learned = layer.norm if n else layer.linear
        learned.bias.data = p["beta"][n, i].clone()
        if n:
            layer.norm.weight.data = p["gamma"][n, i].clone()
        if n == 2:
            layer.norm.noise = lambda examples, i=i: (noise[0][i], noise[1][i])
    net.head.weight.data, net.head.bias.data = p["head"][n].clone(), p["offset"][n].clone()
    return net.train()


def stacked_names(n: int) -> dict[str, tuple[str, tuple]]:
    """Name of a parameter of the modules -> name and place of it in the stack."""
    names = {"head.weight": ("head", (n,)), "head.bias": ("offset", (n,))}
    for i in range(trio.DEPTH):
        names[f"layers.{i}.linear.weight"] = (f"w{i}", (n,))
        names[f"layers.{i}.{'norm' if n else 'linear'}.bias"] = ("beta", (n, i))
        if n:
            names[f"layers.{i}.norm.weight"] = ("gamma", (n, i))
    return names


def test_all_three_start_as_the_modules_do():
    p = trio.start(torch.tensor(3.0), torch.tensor(1.7))
    start = initialise(MLP(SIZES), 3, 1.7)
    for n in range(3):
        for i in range(trio.DEPTH):
            assert p[f"w{i}"][n].equal(start[f"layers.{i}.linear.weight"])
        assert p["head"][n].equal(start["head.weight"])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n", range(3))
def test_losses_and_gradients_are_those_of_the_modules(n, activation):
    p, noise = setting()
    x, y = batch()
    index = torch.tensor(float(ACTIVATIONS.index(activation)))
    loss, g = trio.gradients(p, list(p), x, y, noise, index)
    net = module(n, p, noise, activation)
    expected = F.cross_entropy(net(x), y)
    expected.backward()
    torch.testing.assert_close(loss[n], expected.detach())
    parameters = dict(net.named_parameters())
    assert set(parameters) == set(stacked_names(n))
    for name, (own, place) in stacked_names(n).items():
        torch.testing.assert_close(g[own][place], parameters[name].grad, rtol=1e-4, atol=1e-6)


def test_the_plain_network_learns_no_gamma():
    p, noise = setting()
    _, g = trio.gradients(p, list(p), *batch(), noise, torch.tensor(0.0))
    assert not g["gamma"][0].any()
    assert g["gamma"][1:].abs().amax((1, 2)).min() > 1e-4


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n", range(3))
def test_the_gradient_shift_is_that_of_the_modules(n, activation):
    p, noise = setting()
    (x, y), lr = batch(), torch.tensor(0.3)
    index = torch.tensor(float(ACTIVATIONS.index(activation)))
    _, g = trio.gradients(p, list(p), x, y, noise, index)
    changed, cosine = trio.gradient_shift(p, g, lr, x, y, noise, index)
    net = module(n, p, noise, activation)
    values = {k: v.detach().clone() for k, v in net.state_dict().items()}
    expected = ics.gradient_shift(net, values, x, y, lr)
    ratio = (expected["shift"] / expected["norm"])[: trio.DEPTH]
    torch.testing.assert_close(changed[n], ratio, rtol=2e-3, atol=1e-5)
    torch.testing.assert_close(cosine[n], expected["cosine"][: trio.DEPTH], rtol=0, atol=1e-4)
    assert changed[n, 0] == 0
    assert (changed[n, 1:] > 1e-4).all()


def test_noise_is_drawn_as_in_the_modules():
    """Each unit has its own mean and spread for a step; examples scatter about them."""
    s, m = trio.noise(2000, torch.tensor(0.0), torch.tensor(1.0), torch.tensor(1.0))
    mu, sigma = m.mean(1), s.mean(1)  # (DEPTH, WIDTH)
    assert mu.min() > -0.51
    assert mu.max() < 0.51
    assert abs(mu.std() - 1 / 12**0.5) < 0.06
    assert sigma.min() > 0.99
    assert sigma.max() < 1.26
    assert (m - mu[:, None]).abs().max() < 0.11
    assert (s.std(1) - 0.1).abs().max() < 0.01
    other = trio.noise(2000, torch.tensor(0.0), torch.tensor(2.0), torch.tensor(1.0))
    assert (other[1].mean(1) - mu).abs().median() > 0.1
    s, m = trio.noise(10, torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.0))
    assert (s == 1).all()
    assert (m == 0).all()


def test_before_and_after_normalisation_are_what_the_modules_see():
    p, noise = setting()
    x, _ = batch()
    _, seen = trio.forward(p, x, noise, torch.tensor(0.0))  # (2, DEPTH, 3, m, WIDTH)
    for n in range(3):
        net = module(n, p, noise, "sigmoid")
        norms = [layer.norm for layer in net.layers]
        with torch.no_grad(), inputs_of(net.activations) as after, inputs_of(norms) as before:
            net(x)
        for found, expected in zip(seen[:, :, n], (after, before), strict=True):
            torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)
