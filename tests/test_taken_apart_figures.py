"""Chapter 9's layers and figures against PyTorch's own layers, autograd and closed forms."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from bnviz import explorers
from bnviz.explorers import growing_gradients
from bnviz.explorers._uniform import weights
from bnviz.maths import apart, meanfield, prng
from bnviz.maths.data import digits
from bnviz.maths.measures import likeness
from bnviz.maths.nets import ACTIVATIONS, MLP, initialise
from bnviz.maths.sharpness import curvatures

SIZES = (64, 16, 16, 10)


def batch(rows=32):
    generator = torch.Generator().manual_seed(0)
    return 2 + 3 * torch.randn(rows, 5, generator=generator, dtype=torch.float64)


# --- layers --------------------------------------------------------------------------------------


def test_all_parts_together_are_batch_normalization():
    ours, theirs = apart.PartOfBatchNorm(5).double(), torch.nn.BatchNorm1d(5).double()
    x = batch().requires_grad_()
    for _ in range(3):
        for a, b in ((ours(x), theirs(x)), (ours.eval()(x), theirs.eval()(x))):
            torch.testing.assert_close(a, b)
            (da,), (db,) = (torch.autograd.grad((v**3).sum(), x) for v in (a, b))
            torch.testing.assert_close(da, db)
        ours.train(), theirs.train()
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("part", ["mean", "variance", "detached"])
def test_a_part_is_what_its_name_says(part):
    layer = apart.PartOfBatchNorm(5, **apart.TakenApart._LAYERS[part]).double()
    x = batch().requires_grad_()
    mean, std = x.detach().mean(0), (x.detach().var(0, unbiased=False) + layer.eps).sqrt()
    expected = {"mean": x - mean, "variance": x / std, "detached": (x - mean) / std}[part]
    y = layer(x)
    torch.testing.assert_close(y, expected)
    (dx,) = torch.autograd.grad(y.sum() + (y**2).sum(), x)
    through_x = torch.autograd.grad(expected.sum() + (expected**2).sum(), x)[0]
    if part == "detached":  # its own statistics are constants, as those above are
        torch.testing.assert_close(dx, through_x)
    else:
        assert (dx - through_x).abs().max() > 0.01
    if part == "mean":
        assert dx.sum(0).abs().max() < 1e-10  # a common shift of all inputs changes nothing


def test_a_part_refuses_what_it_cannot_normalise():
    layer = apart.PartOfBatchNorm(5)
    with pytest.raises(ValueError, match="at least 2"):
        layer(torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"expected \(m, 5\)"):
        layer(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="unknown part"):
        apart.TakenApart(SIZES, part="half")


def test_weight_normalisation_is_pytorchs():
    ours, theirs = apart.WeightNormed(5, 3).double(), torch.nn.Linear(5, 3).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
        ours.gain.uniform_(0.5, 2)
    theirs = weight_norm(theirs)
    with torch.no_grad():
        theirs.parametrizations.weight.original0.copy_(ours.gain[:, None])
    x = batch()
    a, b = ours(x), theirs(x)
    torch.testing.assert_close(a, b)
    found = torch.autograd.grad((a**2).sum(), [ours.gain, ours.weight])
    originals = theirs.parametrizations.weight
    wanted = torch.autograd.grad((b**2).sum(), [originals.original0, originals.original1])
    torch.testing.assert_close(found[0], wanted[0][:, 0])
    torch.testing.assert_close(found[1], wanted[1])


def test_networks_of_every_part_begin_alike_and_learn_what_they_should():
    x, y = digits().x_train[:32], digits().y_train[:32]
    for part in apart.PARTS:
        net = apart.TakenApart(SIZES, part=part)
        state = initialise(net, 0)
        assert torch.equal(
            state["layers.0.linear.weight"], initialise(MLP(SIZES), 0)["layers.0.linear.weight"]
        )
        net.load_state_dict(state)
        F.cross_entropy(net(x), y).backward()
        still = [k for k, p in net.named_parameters() if p.grad is None]
        frozen = [f"layers.{k}.linear.weight" for k in range(2)] if part == "affine" else []
        assert still == frozen, part


def test_likeness_is_the_mean_cosine_of_pairs():
    v = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(1))
    for layer, found in zip(v, likeness(v), strict=True):
        pairs = [F.cosine_similarity(layer[i], layer[j], dim=0) for i in range(7) for j in range(i)]
        assert found.item() == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)
    assert likeness(torch.ones(1, 1, 3)).isnan().all()


# --- theory --------------------------------------------------------------------------------------


def test_growth_has_its_closed_forms():
    one = torch.tensor(1.0, dtype=torch.float64)
    relu = meanfield.growth(torch.tensor(2.0), one).item()
    # the midpoint rule at a bend: its width squared, 0.05^2, times a slope of 1, over 24
    assert relu == pytest.approx(math.pi / (math.pi - 1), rel=1e-3)
    for index in range(2):  # by Monte Carlo
        z = torch.randn(400_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        z.requires_grad_()
        phi = (torch.sigmoid, torch.tanh)[index](z)
        (slope,) = torch.autograd.grad(phi.sum(), z)
        wanted = (slope**2).mean() / phi.var()
        found = meanfield.growth(torch.tensor(float(index)), one)
        assert found.item() == pytest.approx(wanted.item(), rel=0.02)


@pytest.mark.parametrize("index", range(len(ACTIVATIONS)))
def test_growth_is_at_least_one(index):
    for q in (0.01, 0.3, 1.0, 4.0, 50.0):
        assert meanfield.growth(torch.tensor(float(index)), torch.tensor(q).double()) > 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_growing_gradients_are_autograds(activation):
    """A network without BN, and one with, written with PyTorch's own layers."""
    figure = growing_gradients.GROWING_GRADIENTS
    controls = figure.tensors({"activation": activation, "batch": 24, "scale": 2.0, "seed": 3})
    signal, gradient = growing_gradients.measured(
        **controls | {"scale": controls["scale"].double()}
    )
    first, *others = weights(
        torch.tensor(3.0),
        [(growing_gradients.WIDTH, 64)]
        + [(growing_gradients.WIDTH,) * 2] * (growing_gradients.DEPTH - 1),
    )
    x = digits().x_train[:24].double()
    phi = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[activation]
    for row, scale, norm in ((0, 2.0, None), (1, 1.0, True)):
        bn = torch.nn.BatchNorm1d(
            growing_gradients.WIDTH, affine=False, track_running_stats=False
        ).double()
        h = scale * (x @ first.T)
        h = (bn(h) if norm else h).requires_grad_()
        hs = [h]
        for w in others:
            h = scale * (phi(h) @ w.T)
            h = bn(h) if norm else h
            hs.append(h)
        sizes = torch.stack([(v.detach() ** 2).mean() for v in hs])
        torch.testing.assert_close(signal[row], sizes, rtol=1e-6, atol=0)
        top = prng.normal(
            (growing_gradients.EXAMPLES, growing_gradients.WIDTH), torch.tensor(3.0), stream=1
        )[:24]
        up = torch.autograd.grad((h * top.double()).sum(), hs)
        sizes = torch.stack([(v**2).mean() for v in up])
        torch.testing.assert_close(gradient[row], sizes, rtol=1e-5, atol=0)


def test_theory_and_measurement_agree_in_the_figure():
    """At the start: a factor per layer within a tenth, though layers have 48 units only."""
    outputs = explorers.get("growing-gradients").compute(
        **explorers.get("growing-gradients").tensors({})
    )
    for name in ("plain", "bn", "bn_skip", "skip"):
        ratio = outputs[f"{name}_factor"] / outputs[f"{name}_factor_said"]
        assert 0.9 < ratio < 1.1, name


# --- trainings -----------------------------------------------------------------------------------


def test_the_curvature_is_that_of_the_whole_hessian():
    """After 15 steps at rate 0 the power iteration has found the top of a Hessian made entry by
    entry, of the plain network with ReLU."""
    simulation = explorers.get("curvature")
    controls = simulation.tensors({"lr": 0.01, "batch": 8}) | {"lr": torch.tensor(0.0)}
    state = simulation.initial(torch.tensor(0.0), **controls)
    rows = torch.arange(8)
    for _ in range(15):
        state, outputs = simulation.step(state, rows, **controls)
    net = apart.TakenApart((64, 32, 32, 10), part="none", activation="relu")
    values = {k: state[f"none.{k}"] for k, _ in net.named_parameters()}
    x, y = digits().x_train[rows], digits().y_train[rows]
    head = values["head.bias"].clone()

    def loss(bias):
        point = values | {"head.bias": bias}
        return F.cross_entropy(torch.func.functional_call(net, point, (x,)), y)

    block = torch.autograd.functional.hessian(loss, head)
    # a block on the diagonal bounds the whole from below
    assert outputs["none_top"] >= torch.linalg.eigvalsh(block)[-1] - 1e-4
    direction = state["none.direction"]
    again = curvatures(
        lambda v: F.cross_entropy(torch.func.functional_call(net, v, (x,)), y),
        values,
        direction,
        iterations=30,
    )
    assert outputs["none_top"].item() == pytest.approx(again["top"].item(), rel=0.05)


def test_taken_apart_trains_as_pytorch_does():
    """One step of the network with all of BN, with PyTorch's layers and optimiser."""
    simulation = explorers.get("taken-apart")
    controls = simulation.tensors({"lr": 0.5, "batch": 16})
    state = simulation.initial(torch.tensor(1.0), **controls)
    rows = torch.arange(16)
    new, outputs = simulation.step(state, rows, **controls)
    net = apart.TakenApart((64, *[32] * 8, 10), part="bn")
    net.load_state_dict({k.removeprefix("bn."): v for k, v in state.items() if k[:3] == "bn."})
    optimiser = torch.optim.SGD(net.parameters(), 0.5)
    loss = F.cross_entropy(net.train()(digits().x_train[rows]), digits().y_train[rows])
    loss.backward()
    optimiser.step()
    assert outputs["bn_loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    for name, value in net.named_parameters():
        torch.testing.assert_close(new[f"bn.{name}"], value.detach(), rtol=1e-4, atol=1e-5)
    assert torch.equal(new["affine.layers.0.linear.weight"], state["affine.layers.0.linear.weight"])
