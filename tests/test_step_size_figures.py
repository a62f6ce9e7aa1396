"""The figures of the chapter on step size, against torch's own layers and optimiser."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz import explorers
from bnviz.explorers import decay_as_rate, effective_rate
from bnviz.maths.data import digits
from bnviz.maths.decay import angle, decayed_step, forgetful, settled_angle, settled_norm
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler

SIZES = (64, 40, 40, 40, 10)


def torch_net(seed: int, bn: bool, eps: float = 1e-5, track: bool = True) -> nn.Sequential:
    """The network of both trainings from torch's layers, with the figure's first weights."""
    layers = []
    for a, b in itertools.pairwise(SIZES[:-1]):
        layers.append(nn.Linear(a, b, bias=not bn))
        layers += [nn.BatchNorm1d(b, eps=eps, track_running_stats=track)] if bn else []
        layers.append(nn.Tanh())
    net = nn.Sequential(*layers, nn.Linear(*SIZES[-2:]))
    start = initialise(MLP(SIZES, norm=bn), seed)
    names = [k for k, _ in MLP(SIZES, norm=bn).named_parameters()]
    with torch.no_grad():
        for parameter, name in zip(net.parameters(), names, strict=True):
            parameter.copy_(start[name])
    return net


def hidden(net: nn.Sequential) -> list[nn.Parameter]:
    return [layer.weight for layer in list(net)[:-1] if isinstance(layer, nn.Linear)]


def groups(net: nn.Sequential, decay: float) -> list[dict]:
    decaying = hidden(net)
    rest = [p for p in net.parameters() if all(p is not w for w in decaying)]
    return [{"params": decaying, "weight_decay": decay}, {"params": rest}]


# --- the formulas --------------------------------------------------------------------------------


def test_the_angle_is_that_of_the_arc_cosine():
    a, b = torch.randn(2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.acos((a @ b) / (a.norm() * b.norm()))
    assert angle(a, 7 * b).item() == pytest.approx(expected.item(), rel=1e-12)
    near = a + 1e-4 * b
    assert angle(a.float(), near.float()).item() == pytest.approx(angle(a, near).item(), rel=1e-2)
    assert angle(a, -2 * a).item() == pytest.approx(math.pi, abs=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_random_gradients_at_right_angles_lead_to_the_settled_turn_and_length(momentum):
    """Independent gradients of length |g~| / |w|: nothing of a network, only the geometry."""
    generator, size = torch.Generator().manual_seed(0), 3.0
    lr, decay, mu = (torch.tensor(v, dtype=torch.float64) for v in (0.1, 0.05, momentum))
    w = torch.randn(400, dtype=torch.float64, generator=generator)
    v, turns, lengths = torch.zeros_like(w), [], []
    for number in range(3000):
        g = torch.randn(400, dtype=torch.float64, generator=generator)
        g = g - (g @ w) / (w @ w) * w
        new, v = decayed_step(w, size / w.norm() * g / g.norm(), v, lr, decay, mu)
        if number >= 1000:
            turns.append(angle(w, new))
            lengths.append(new.norm())
        w = new
    turn = torch.stack(turns).square().mean().sqrt() / settled_angle(lr, decay, mu)
    length = torch.stack(lengths).mean() / settled_norm(lr, decay, mu, torch.tensor(size**2))
    assert turn.item() == pytest.approx(1, abs=0.02)
    assert length.item() == pytest.approx(1, abs=0.02)


def test_scale_invariant_are_the_weights_in_front_of_bn_and_no_others():
    net = MLP(SIZES, norm=True, activation="tanh").double()
    net.load_state_dict(initialise(net, 0))
    for layer in net.layers:
        layer.norm.eps = 1e-18
    x, found = digits().x_train[:64].double(), []
    with torch.no_grad():
        net.layers[0].norm.bias.fill_(0.1)
        net.head.bias.fill_(0.1)
        y = net(x)
        for name, p in net.named_parameters():
            p.mul_(3)
            if (net(x) - y).abs().max() < 1e-9:
                found.append(name)
            p.div_(3)
    zero = ["layers.1.norm.bias", "layers.2.norm.bias"]  # three times 0
    assert [name for name in found if name not in zero] == forgetful(net)


# --- equilibrium ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("lr", "decay", "start"), [(0.31622777, 0.1, 1.0), (1.0, 0.01, 0.1)])
def test_lengths_are_those_of_vectors_that_step_at_right_angles(lr, decay, start):
    figure = explorers.get("equilibrium")
    found = figure.outputs(lr=lr, decay=decay, start=start, size=2.5118864, at=7)
    w = torch.tensor([start, 0.0], dtype=torch.float64)
    norms, turns = [w.norm()], []
    for _ in range(240):
        across = torch.stack([-w[1], w[0]]) / w.norm()
        new = (1 - lr * decay) * w - lr * 2.5118864 / w.norm() * across
        turns.append(torch.rad2deg(torch.acos((w @ new) / (w.norm() * new.norm()))))
        norms.append(new.norm())
        w = new
    torch.testing.assert_close(found["norm_0"].double(), torch.stack(norms), rtol=1e-4, atol=0)
    torch.testing.assert_close(
        found["turn_0"][:-1].double(), torch.stack(turns), rtol=1e-3, atol=1e-3
    )
    assert found["now_norm"].item() == pytest.approx(norms[7].item(), rel=1e-4)


def test_the_equilibrium_is_where_a_step_changes_nothing():
    figure = explorers.get("equilibrium")
    found = figure.outputs(lr=1.0, decay=0.31622777)
    for k in range(3):  # from all three starts, in 240 steps
        assert found[f"norm_{k}"][-1].item() == pytest.approx(
            found["settled_norm"].item(), rel=1e-4
        )
        assert found[f"turn_{k}"][-1].item() == pytest.approx(
            math.degrees(math.acos(1 - 0.31622777)), rel=1e-4
        )
    steeper = figure.outputs(lr=1.0, decay=0.31622777, size=10)
    assert steeper["settled_turn"] == found["settled_turn"]  # the gradient sets the length only
    assert steeper["settled_norm"] / found["settled_norm"] == pytest.approx(10**0.5, rel=1e-4)


# --- effective-rate ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "bn"])
@pytest.mark.parametrize("mu", [0.0, 0.9])
def test_steps_are_those_of_sgd_with_decay_of_the_hidden_weights(name, mu):
    figure = explorers.get("effective-rate")
    controls = figure.tensors({"lr": 0.1, "decay": 0.01, "mu": mu})
    state, net = figure.initial(torch.tensor(2.0), **controls), torch_net(2, name == "bn")
    optimiser = torch.optim.SGD(groups(net, 0.01), lr=0.1, momentum=mu)
    data, shuffler = digits(), Shuffler(figure.rows, 2)
    for _ in range(15):
        rows = shuffler.take(32)
        before = [w.detach().clone() for w in hidden(net)]
        loss = F.cross_entropy(net(data.x_train[rows]), data.y_train[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        state, outputs = figure.step(state, rows, **controls)
        assert outputs[f"{name}_loss"].item() == pytest.approx(loss.item(), abs=1e-4)
        norms = torch.stack([w.detach().norm() for w in hidden(net)])
        torch.testing.assert_close(outputs[f"{name}_norm"], norms, rtol=1e-5, atol=0)
        torch.testing.assert_close(outputs[f"{name}_rate"], 0.1 / norms**2, rtol=1e-4, atol=0)
    turned = [
        torch.acos((a * b).sum().double() / (a.double().norm() * b.double().norm()))
        for a, b in zip(before, (w.detach() for w in hidden(net)), strict=True)
    ]
    own = state[f"{name}-mean.turn"]
    assert len(turned) == len(own) == effective_rate.LAYERS
    with torch.no_grad():
        expected = (net.eval()(data.x_test).argmax(1) == data.y_test).float().mean()
    found = figure.observe(state, **controls)[f"{name}_test"]
    assert found.item() == pytest.approx(expected.item(), abs=2 / 360)


def test_the_turn_is_a_mean_over_the_last_steps():
    figure = explorers.get("effective-rate")
    controls = figure.tensors({"lr": 0.1})
    state, shuffler = figure.initial(torch.tensor(0.0), **controls), Shuffler(figure.rows, 0)
    squares, key = [], "bn.layers.1.linear.weight"
    for _ in range(12):
        before = state[key].double()
        state, outputs = figure.step(state, shuffler.take(32), **controls)
        after = state[key].double()
        cosine = (before * after).sum() / (before.norm() * after.norm())
        squares.append(torch.acos(cosine).item() ** 2)
    weights = [0.9**k for k in reversed(range(12))]
    mean = sum(w * s for w, s in zip(weights, squares, strict=True)) / sum(weights)
    assert outputs["bn_angle"][1].item() == pytest.approx(math.degrees(mean**0.5), rel=1e-3)


def test_layers_with_bn_settle_at_one_turn_and_at_their_predicted_lengths():
    figure = explorers.get("effective-rate")
    controls = figure.tensors({"decay": 0.031622777})
    state, shuffler = figure.initial(torch.tensor(0.0), **controls), Shuffler(figure.rows, 0)
    turns, lengths, plain = [], [], []
    for number in range(300):
        state, outputs = figure.step(state, shuffler.take(32), **controls)
        if number >= 150:
            turns.append(outputs["bn_angle"] / outputs["settled"])
            lengths.append(outputs["bn_norm"] / outputs["bn_settled"])
            plain.append(outputs["plain_angle"] / outputs["settled"])
    assert (torch.stack(turns).mean(0) - 1).abs().max() < 0.15
    assert (torch.stack(lengths).mean(0) - 1).abs().max() < 0.15
    assert torch.stack(plain).mean(0).min() < 0.8  # without BN nothing holds it there


def test_without_decay_there_is_no_equilibrium_and_lengths_only_grow():
    figure = explorers.get("effective-rate")
    controls = figure.tensors({"decays": False})
    state, shuffler = figure.initial(torch.tensor(0.0), **controls), Shuffler(figure.rows, 0)
    norms = []
    for _ in range(20):
        state, outputs = figure.step(state, shuffler.take(32), **controls)
        norms.append(outputs["bn_norm"])
    assert outputs["predicted"].isnan()
    assert outputs["bn_settled"].isnan().all()
    assert (torch.stack(norms).diff(dim=0) > -1e-5).all()
    assert norms[-1].gt(norms[0]).all()


# --- decay-as-rate -------------------------------------------------------------------------------


def test_the_three_trainings_are_those_of_sgd():
    figure, data = explorers.get("decay-as-rate"), digits()
    controls = figure.tensors({"lr": 0.1, "decay": 0.031622777})
    state, shuffler = figure.initial(torch.tensor(1.0), **controls), Shuffler(figure.rows, 1)
    nets = {name: torch_net(1, True, decay_as_rate.EPS, track=False) for name in
            ("decay", "rate", "neither")}  # fmt: skip
    decay = {"decay": 0.031622777, "rate": 0.0, "neither": 0.0}
    optimisers = {k: torch.optim.SGD(groups(net, decay[k]), lr=0.1) for k, net in nets.items()}
    for number in range(15):
        rows = shuffler.take(32)
        optimisers["rate"].param_groups[0]["lr"] = 0.1 * (1 - 0.0031622777) ** (-2 * number - 1)
        state, outputs = figure.step(state, rows, **controls)
        for name, net in nets.items():
            loss = F.cross_entropy(net(data.x_train[rows]), data.y_train[rows])
            optimisers[name].zero_grad()
            loss.backward()
            optimisers[name].step()
            assert outputs[f"{name}_loss"].item() == pytest.approx(loss.item(), abs=1e-4)
            norm = hidden(net)[1].norm().item()
            assert outputs[f"{name}_norm"].item() == pytest.approx(norm, rel=1e-5)
        assert outputs["grown"].item() == pytest.approx(
            optimisers["rate"].param_groups[0]["lr"], rel=1e-5
        )


def test_decay_and_a_growing_rate_stay_one_function_and_the_control_does_not():
    figure = explorers.get("decay-as-rate")
    state = figure.initial(torch.tensor(0.0), **figure.tensors({}))
    shuffler = Shuffler(figure.rows, 0)
    for number in range(120):  # also where the controls move on the way
        controls = figure.tensors({"lr": 0.1 if number < 60 else 0.031622777})
        state, outputs = figure.step(state, shuffler.take(32), **controls)
    seen = figure.observe(state, **controls)
    assert seen["rate_apart"] < 1e-4
    assert seen["neither_apart"] > 1e-2
    assert outputs["rate_effective"].item() == pytest.approx(
        outputs["decay_effective"].item(), rel=1e-2
    )
    assert outputs["rate_norm"] > 1.05 * outputs["decay_norm"]
