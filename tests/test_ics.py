"""ics against an optimiser that really takes the steps, scipy, and the exported graph."""

import copy

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch.nn.functional import cross_entropy

from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function
from bnviz.maths import ics
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.noisy import add_noise

KINDS = ("plain", "bn", "noisy")


def network(kind: str, **options) -> MLP:
    net = MLP((64, 20, 16, 12, 10), norm=kind != "plain", **options)
    net = net if kind != "noisy" else add_noise(net, seed=2)
    net.load_state_dict(initialise(net, seed=1, scale=2.0))
    return net


def values_of(net: MLP) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in net.state_dict().items()}


def batch():
    return digits().x_train[:24], digits().y_train[:24]


def gradient_by_hand(net: MLP, k: int) -> torch.Tensor:
    """Gradient of the k-th weight matrix, by a backward pass through a copy of the module."""
    net = copy.deepcopy(net).train()
    x, y = batch()
    cross_entropy(net(x), y).backward()
    return [*(layer.linear for layer in net.layers), net.head][k].weight.grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_gradient_shift_is_what_an_optimiser_that_skips_the_upper_layers_finds(kind, activation):
    net, (x, y), lr = network(kind, activation=activation), batch(), 0.7
    found = ics.gradient_shift(net, values_of(net), x, y, lr)
    whole = copy.deepcopy(net).train()
    cross_entropy(whole(x), y).backward()
    for k in range(4):
        before = gradient_by_hand(net, k)
        moved = copy.deepcopy(net)
        below = [p for layer in moved.layers[:k] for p in layer.parameters()]
        for p, q in zip(below, whole.parameters(), strict=False):  # in order, from the input up
            p.data -= lr * q.grad
        after = gradient_by_hand(moved, k)
        assert found["shift"][k] == pytest.approx((after - before).norm().item(), rel=1e-3)
        assert found["norm"][k] == pytest.approx(before.norm().item(), rel=1e-4)
        cosine = torch.cosine_similarity(before.flatten(), after.flatten(), dim=0).item()
        assert found["cosine"][k] == pytest.approx(cosine, abs=1e-4)
    assert found["shift"][0] == 0
    assert found["shift"][1] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_measuring_changes_nothing(kind):
    net, (x, y) = network(kind), batch()
    values, before = values_of(net), values_of(net)
    first = ics.gradient_shift(net, values, x, y, 0.5)
    second = ics.gradient_shift(net, values, x, y, 0.5)
    assert all(v.equal(before[k]) for k, v in values.items())
    assert all(v.equal(before[k]) for k, v in net.state_dict().items())
    assert all(first[k].equal(second[k]) for k in first)


def test_without_a_step_nothing_shifts():
    net, (x, y) = network("noisy"), batch()
    found = ics.gradient_shift(net, values_of(net), x, y, 0.0)
    assert found["shift"].abs().max() == 0
    torch.testing.assert_close(found["cosine"], torch.ones(4))


def test_the_cosine_survives_gradients_whose_squares_underflow():
    g = torch.tensor([3e-30, 4e-30])
    _, _, cosine = ics.compare(g, torch.tensor([4e-30, 3e-30]))
    assert cosine == pytest.approx(24 / 25)
    assert ics.compare(torch.zeros(2), torch.zeros(2))[2] == 0


def test_wasserstein_is_scipys():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(50, 7, generator=generator) for _ in range(2))
    b = 3 + 2 * b
    expected = [wasserstein_distance(p.numpy(), q.numpy()) for p, q in zip(a.T, b.T, strict=True)]
    assert ics.wasserstein(a, b).tolist() == pytest.approx(expected, rel=1e-5)
    assert ics.wasserstein(a, a[torch.randperm(50, generator=generator)]).max() == 0


def test_moments_shift_is_that_of_numpy():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(50, 7, generator=generator) for _ in range(2))
    mean, std = ics.moments_shift(a, 1 - 2 * b)
    p, q = a.numpy(), 1 - 2 * b.numpy()
    assert mean.tolist() == pytest.approx(abs(q.mean(0) - p.mean(0)), rel=1e-5)
    assert std.tolist() == pytest.approx(abs(q.std(0) - p.std(0)), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_can_compute_it(kind):
    net = MLP((64, 4, 10), norm=kind != "plain")
    net = net if kind != "noisy" else add_noise(net)
    values = values_of(net) | initialise(net, seed=1)

    def compute(rows, controls):
        data = digits()
        seeded = {k: controls[1] if k.endswith(("seed", "step")) else v for k, v in values.items()}
        return ics.gradient_shift(net, seeded, data.x_train[rows], data.y_train[rows], controls[0])

    given = {"rows": torch.arange(23), "controls": torch.tensor([0.5, 3.0])}
    instance = Instance(compile_functions([Function("f", compute, given)], (2, 32)))
    for m in (7, 32):
        given["rows"] = torch.arange(m)
        wanted, found = compute(**given), instance("f", **given)
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_samples_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"a is \(4, 2\) and b is \(1, 2\)"):
        ics.wasserstein(torch.zeros(4, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="as many examples"):
        ics.moments_shift(torch.zeros(4, 2), torch.zeros(4, 1))
