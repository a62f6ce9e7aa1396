"""The experiments on weight decay: networks side by side, and what their results say."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz import experiments
from bnviz.experiments import decayed
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.reestimate import reestimate


def find(name, **cell):
    (row,) = (r for r in experiments.load(name)["rows"] if all(r[k] == v for k, v in cell.items()))
    return row


def nets(seeds, norm=True):
    found = []
    for seed in seeds:
        net = MLP(decayed.SIZES, norm=norm, activation="tanh")
        net.load_state_dict(initialise(net, seed))
        found.append(net)
    return found


@pytest.mark.parametrize("norm", [True, False])
def test_networks_side_by_side_compute_what_each_computes_alone(norm):
    x = torch.stack([digits().x_train[:32], digits().x_train[32:64]])
    found = decayed.logits(decayed.start((0, 1), norm), x)
    for k, net in enumerate(nets((0, 1), norm)):
        torch.testing.assert_close(found[k], net.train()(x[k]), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_autograd_for_each_network():
    x = torch.stack([digits().x_train[:32]] * 2)
    y = torch.stack([digits().y_train[:32]] * 2)
    found = decayed.slopes(decayed.start((0, 1)), x, y)
    for k, net in enumerate(nets((0, 1))):
        F.cross_entropy(net(x[k]), y[k]).backward()
        for name, p in net.named_parameters():
            torch.testing.assert_close(found[name][k], p.grad, rtol=1e-3, atol=1e-5)


def test_accuracy_is_that_with_reestimated_statistics():
    values = decayed.start((0, 1))
    for x, y in decayed.batches(60, (0, 1), 0.0):
        values = {k: values[k] - 0.3 * g for k, g in decayed.slopes(values, x, y).items()}
    for k, read in enumerate(decayed.read(values)):
        net = nets((k,))[0]
        net.load_state_dict({n: v[k] for n, v in values.items()}, strict=False)
        reestimate(net, digits().x_train)
        right = net(digits().x_test).argmax(1) == digits().y_test
        assert read == pytest.approx(right.float().mean().item(), abs=2 / 360)
        assert read > 0.8


def test_about_a_third_of_the_labels_is_wrong_and_none_is_out_of_range():
    y = decayed.wrong_labels(0.3, 5)
    wrong = (y != digits().y_train).float().mean().item()
    assert wrong == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / len(y)))
    assert set(y.tolist()) == set(range(10))
    shifts = ((y - digits().y_train) % 10)[y != digits().y_train]
    assert set(shifts.tolist()) == set(range(1, 10))


def test_borrowed_rates_keep_the_length_and_those_of_the_same_run_give_the_same_network():
    """The control: from itself, a network without decay must borrow what makes it the same."""
    seeds, steps = (3, 4), 40
    own, rates = decayed.train_arm("decay", 0.3, seeds, steps)
    begun = decayed.lengths(decayed.start(seeds))
    values, _ = decayed.train_arm("borrowed", 0.3, seeds, steps, rates)
    torch.testing.assert_close(decayed.lengths(values), begun, rtol=1e-5, atol=0)
    x = digits().x_test.expand(2, -1, -1)
    ours, theirs = (decayed.logits(v, x).softmax(2) for v in (values, own))
    none = decayed.logits(decayed.train_arm("none", 0.3, seeds, steps)[0], x).softmax(2)
    # a turn differs from its tangent by its third power, times what decay takes off
    assert (ours - theirs).abs().mean() < 0.1 * (none - theirs).abs().mean()


def test_steps_of_the_equilibrium_are_those_of_sgd():
    cell = {"net": "bn", "lr": 0.3, "decay": 0.03, "momentum": 0.9, "seed": 2, "steps": 2}
    row = experiments.get("decay-equilibrium").row(cell)
    net = nets((2,))[0]
    hidden = [layer.linear.weight for layer in net.layers]
    rest = [p for p in net.parameters() if all(p is not w for w in hidden)]
    optimiser = torch.optim.SGD(
        [{"params": hidden, "weight_decay": 0.03}, {"params": rest}], lr=0.3, momentum=0.9
    )
    for x, y in decayed.batches(2, (2,), 0.0):
        before = [w.detach().clone() for w in hidden]
        optimiser.zero_grad()
        F.cross_entropy(net(x[0]), y[0]).backward()
        optimiser.step()
    wanted = math.sqrt(2 * 0.3 * 0.03 / 1.9)
    for a, w, found in zip(before, hidden, row["turn"], strict=True):
        a, b = a.double(), w.detach().double()
        turn = torch.acos((a * b).sum() / (a.norm() * b.norm())).item()
        assert found == pytest.approx(turn / wanted, rel=0.01)


@pytest.mark.parametrize("decay", [0.01, 0.03])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_stored_equilibrium_is_recomputed(decay, momentum):
    cell = {"net": "bn", "lr": 0.3, "decay": decay, "momentum": momentum, "seed": 0}
    row = experiments.get("decay-equilibrium").row(cell)
    stored = find("decay-equilibrium", **cell)
    assert row["turn"] == pytest.approx(stored["turn"], abs=0.15)
    assert row["norm"] == pytest.approx(stored["norm"], abs=0.15)
    if not momentum:
        assert max(row["law_off"]) < 1e-3


def test_the_law_fails_without_bn():
    cell = {"net": "plain", "lr": 0.3, "decay": 0.01, "momentum": 0, "seed": 0, "steps": 200}
    assert min(experiments.get("decay-equilibrium").row(cell)["law_off"]) > 0.01


def test_a_stored_run_with_decay_on_gamma_is_recomputed():
    cell = {"on": "all", "decay": 0.03, "wrong": 0.3, "seed": 0}
    row = experiments.get("decay-on-gamma").row(cell)
    stored = find("decay-on-gamma", **cell)
    assert row["gamma"] == pytest.approx(stored["gamma"], rel=0.1)
    assert row["test"] == pytest.approx(stored["test"], abs=0.08)


def test_the_module_keeps_layers_apart_that_decay_from_those_that_do_not():
    names = [k for k, _ in MLP(decayed.SIZES, norm=True).named_parameters()]
    assert set(decayed.HIDDEN) < set(names)
    assert isinstance(MLP(decayed.SIZES).head, nn.Linear)
    assert "head.weight" not in decayed.HIDDEN
