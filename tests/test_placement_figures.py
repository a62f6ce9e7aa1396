"""The figures of chapter 4 against torch.nn and autograd, written out here once more."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz import explorers
from bnviz.explorers import bias as bias_module
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import part
from bnviz.maths.nets import ACTIVATIONS
from bnviz.maths.prng import Shuffler
from tests.rounding import limit


def first_step(name: str, seed: int = 2, **values):
    """State before, rows, state after, outputs."""
    simulation = explorers.get(name)
    controls = simulation.tensors(values)
    state = simulation.initial(torch.tensor(float(seed)), **controls)
    rows = Shuffler(simulation.rows, seed).take(round(float(controls["batch"])))
    new, outputs = simulation.step(state, rows, **controls)
    return state, rows, new, outputs


def mlp_of_pytorch(state: dict, order: str, activation: str) -> nn.Sequential:
    """The same network from torch.nn; BN `order` is "plain", "before" or "after"."""
    layers = []
    nonlinear = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    for i in range(3):
        w = state[f"layers.{i}.linear.weight"]
        linear = nn.Linear(w.shape[1], w.shape[0], bias=order == "plain")
        linear.weight.data = w.clone()
        if order == "plain":
            linear.bias.data = state[f"layers.{i}.linear.bias"].clone()
        rest = [nonlinear()]
        if order != "plain":
            rest.insert(0 if order == "before" else 1, nn.BatchNorm1d(w.shape[0]))
        layers += [linear, *rest]
    head = nn.Linear(layers[-1].num_features if order == "after" else 40, 10)
    head.weight.data, head.bias.data = state["head.weight"].clone(), state["head.bias"].clone()
    return nn.Sequential(*layers, head)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("order", ["plain", "before", "after"])
def test_a_step_of_placement_is_a_step_of_pytorchs_optimiser(order, activation):
    state, rows, new, outputs = first_step("placement", activation=activation, scale=2.0, lr=0.3)
    net = mlp_of_pytorch(part(state, order), order, activation)
    entered, left = [], []
    kind = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    for k, module in enumerate(net):
        if isinstance(module, kind):
            module.register_forward_pre_hook(lambda _, args: entered.append(args[0].detach()))
        if isinstance(module, nn.Linear) and k:
            module.register_forward_pre_hook(lambda _, args: left.append(args[0].detach()))
    data = digits()
    loss = F.cross_entropy(net(data.x_train[rows]), data.y_train[rows])
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.3).step()
    torch.testing.assert_close(outputs[f"{order}_loss"], loss.detach())
    for place, tensors in (("in", entered), ("out", left)):
        means = torch.stack([v.mean() for v in tensors])
        stds = torch.stack([v.std(correction=0) for v in tensors])
        torch.testing.assert_close(outputs[f"{order}_{place}_mean"], means, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(outputs[f"{order}_{place}_std"], stds, rtol=1e-4, atol=1e-5)
    moved = part(new, order)
    torch.testing.assert_close(moved["head.weight"], net[-1].weight.data, rtol=1e-3, atol=1e-4)
    for i, linear in enumerate(m for m in list(net)[:-1] if isinstance(m, nn.Linear)):
        wanted = linear.weight.data
        torch.testing.assert_close(moved[f"layers.{i}.linear.weight"], wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("order", "place"), [("before", "in"), ("after", "out")])
def test_held_gamma_and_beta_pin_the_side_behind_bn_and_no_other(order, place):
    *_, outputs = first_step("placement", hold=True, gamma=2.0, beta=-1.0, activation="tanh")
    other = "out" if place == "in" else "in"
    torch.testing.assert_close(
        outputs[f"{order}_{place}_mean"], torch.full((3,), -1.0), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(
        outputs[f"{order}_{place}_std"], torch.full((3,), 2.0), rtol=0, atol=1e-2
    )
    assert (outputs[f"{order}_{other}_std"] - 2).abs().min() > 0.2


def test_a_unit_is_dead_when_it_is_flat_for_every_example():
    v = torch.tensor([[[-1.0, -1.0, 5.0], [-2.0, 1.0, -5.0]]])  # one layer, 2 examples, 3 units
    for activation in (0.0, 1.0, 2.0):  # the last unit, the last, the first
        torch.testing.assert_close(
            measures.dead(v, torch.tensor(activation)), torch.tensor([1 / 3])
        )
    assert measures.dead(v.abs(), torch.tensor(2.0)) == 0


def loss_of_bias(b: torch.Tensor, beta: torch.Tensor, norm: str) -> torch.Tensor:
    """The figure's loss from torch.nn; `norm` is "none", "batch" or "frozen"."""
    u, head, y = bias_module._layer()
    z = u.clone()
    z[:, bias_module.UNIT] = z[:, bias_module.UNIT] + b
    if norm != "none":
        bn = nn.BatchNorm1d(u.shape[1], momentum=1.0)
        bn(u)  # the running statistics are now those of b = 0, the variance unbiased
        bn.running_var *= (len(u) - 1) / len(u)
        z = bn.train(norm == "batch")(z)
        z[:, bias_module.UNIT] = z[:, bias_module.UNIT] + beta
    return F.cross_entropy(torch.sigmoid(z) @ head, y)


@pytest.mark.parametrize("b", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("beta", [0.0, 1.5])
@pytest.mark.parametrize("frozen", [False, True])
def test_the_slopes_of_bias_are_autograds(b, beta, frozen):
    outputs = explorers.get("bias").outputs(b=b, beta=beta, frozen=frozen)
    leaves = torch.tensor(b, requires_grad=True), torch.tensor(beta, requires_grad=True)
    plain = loss_of_bias(*leaves, "none")
    (plain_b,) = torch.autograd.grad(plain, leaves[:1])
    kind = "frozen" if frozen else "batch"
    bn = loss_of_bias(*leaves, kind)
    bn_b, bn_beta = torch.autograd.grad(bn, leaves)
    # The slope along b is a sum over the batch, once directly and once through the mean.
    u, *_ = bias_module._layer()
    each = torch.full((len(u),), beta, requires_grad=True)
    (terms,) = torch.autograd.grad(loss_of_bias(leaves[0], each, kind), each)
    rounding = limit(
        torch.float32, 2 * len(terms), terms.abs().sum() / u[:, bias_module.UNIT].std()
    )
    for name, wanted in (
        ("plain_b_loss", plain.reshape(1)),
        ("bn_b_loss", bn.reshape(1)),
        ("plain_b_gradient", plain_b),
        ("bn_b_gradient", bn_b),
        ("bn_beta_gradient", bn_beta),
    ):
        torch.testing.assert_close(outputs[name], wanted.detach(), rtol=1e-4, atol=rounding)
    assert abs(plain_b) > 5e-4 > 10 * rounding
    assert (abs(bn_b) > 5e-4) if frozen else (abs(bn_b) <= rounding)


def test_each_curve_of_bias_passes_through_its_point():
    outputs = explorers.get("bias").outputs(b=2.0, beta=-1.0, frozen=True)
    along = torch.linspace(-4, 4, 41)
    for name in ("plain_b", "bn_b", "bn_beta"):
        at, loss = outputs[f"{name}_at"], outputs[f"{name}_loss"]
        place = (along - at).abs().argmin()
        torch.testing.assert_close(along[place], at[0])
        torch.testing.assert_close(outputs[f"{name}_curve"][place], loss[0])


@pytest.mark.parametrize("net", ["plain", "bn"])
def test_the_channels_are_those_of_pytorchs_convolutions(net):
    state, rows, _, outputs = first_step("channels", lr=0.1)
    own, h = part(state, net), digits().x_train[rows].reshape(-1, 1, 8, 8)
    for i in range(2):
        h = F.conv2d(h, own[f"layers.{i}.linear.weight"], own.get(f"layers.{i}.linear.bias"))
        if net == "bn":
            wanted = h.mean((0, 2, 3))
            torch.testing.assert_close(outputs[f"bn_raw{i + 1}_means"], wanted, atol=1e-5, rtol=0)
            h = nn.BatchNorm2d(h.shape[1])(h)
        means = h.mean((0, 2, 3))
        torch.testing.assert_close(outputs[f"{net}{i + 1}_means"], means, atol=1e-5, rtol=0)
        assert outputs[f"count{i + 1}"] == h[:, 0].numel()
        std = h.transpose(0, 1).flatten(1).std(1, correction=0)
        torch.testing.assert_close(outputs[f"{net}{i + 1}_std_low"], std.min(), atol=1e-4, rtol=0)
        h = torch.relu(h)
    logits = F.linear(h.flatten(1), own["head.weight"], own["head.bias"])
    torch.testing.assert_close(
        outputs[f"{net}_loss"], F.cross_entropy(logits, digits().y_train[rows])
    )
