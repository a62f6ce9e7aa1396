"""bnviz.maths.train: torch.optim.SGD on the shared minibatches, the same run that `drift` shows."""

import math
import re

import pytest
import torch
from torch.nn.functional import cross_entropy

from bnviz import explorers
from bnviz.maths import functional
from bnviz.maths.data import Split, digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.train import DivergenceError, Step, train
from tests.rounding import limit


def network(seed=0, scale=1.0, **options) -> MLP:
    net = MLP(**options)
    net.load_state_dict(initialise(net, seed, scale))
    return net


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_its_losses_are_those_of_the_figure_drift(activation):
    drift = explorers.get("drift")
    values = {"lr": 0.1, "scale": 1.5, "batch": 24, "activation": activation}
    controls = drift.tensors(values)
    state, shuffler = drift.initial(torch.tensor(2.0), **controls), Shuffler(drift.rows, seed=2)
    expected: dict[str, list[float]] = {"plain": [], "bn": []}
    for _ in range(200):
        state, outputs = drift.step(state, shuffler.take(24), **controls)
        for name, losses in expected.items():
            losses.append(outputs[f"{name}_loss"].item())
    for name, losses in expected.items():
        net = network(seed=2, scale=1.5, norm=name == "bn", activation=activation)
        ours = train(net, digits(), steps=200, batch_size=24, lr=0.1, seed=2)
        terms = 200 + 64  # a step rounds every weight once, after a sum over at most 64 pixels
        assert ours == pytest.approx(losses, abs=limit(torch.float32, terms, max(losses)))
        assert len(set(ours)) > 150
        atol = limit(torch.float32, terms)
        for key, value in net.state_dict().items():
            torch.testing.assert_close(value, state[f"{name}.{key}"], atol=atol, rtol=0)


def test_one_step_is_gradient_descent():
    net, split = network(norm=True), digits()
    weights = [p.detach().clone().requires_grad_() for p in net.parameters()]
    rows = Shuffler(len(split.x_train), 3).take(16)
    names = [name for name, _ in net.named_parameters()]
    logits = torch.func.functional_call(
        network(norm=True), dict(zip(names, weights, strict=True)), (split.x_train[rows],)
    )
    gradients = torch.autograd.grad(cross_entropy(logits, split.y_train[rows]), weights)
    train(net, split, steps=1, batch_size=16, lr=0.25, seed=3)
    for parameter, weight, gradient in zip(net.parameters(), weights, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), weight.detach() - 0.25 * gradient)


def test_one_event_per_step_tells_what_happened():
    seen: list[Step] = []
    net = network(norm=True)

    def listen(step: Step) -> None:
        seen.append(step)
        assert net.training
        assert net.head.weight.grad is not None
        net.eval()  # a listener may measure, and need not undo this

    losses = train(net, digits(), steps=5, batch_size=8, lr=0.1, seed=1, on_step=listen)
    assert [s.number for s in seen] == [1, 2, 3, 4, 5]
    assert [s.loss for s in seen] == losses
    shuffler = Shuffler(1437, 1)
    assert all(torch.equal(s.rows, shuffler.take(8)) for s in seen)
    with pytest.raises(AttributeError):
        seen[0].loss = 0.0


def test_the_seed_decides_the_run():
    runs = [
        train(network(), digits(), steps=5, batch_size=8, lr=0.1, seed=seed) for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_diverged_run_stops_and_says_where():
    net, numbers = network(scale=4.0, activation="relu"), []
    with pytest.raises(DivergenceError, match=r"diverged at step \d+: the loss is (nan|inf)") as e:
        train(
            net,
            digits(),
            steps=100,
            batch_size=32,
            lr=5.0,
            on_step=lambda s: numbers.append(s.number),
        )
    assert 1 < e.value.step == len(e.value.losses) <= 100
    assert not math.isfinite(e.value.losses[-1])
    assert all(math.isfinite(v) for v in e.value.losses[:-1])
    assert numbers == list(range(1, e.value.step))  # no event for a step that was not done


def test_no_steps_change_nothing():
    net = network()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert train(net, digits(), steps=0, batch_size=8, lr=0.1) == []
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"steps": -1}, ValueError, "steps must be at least 0, got -1"),
        ({"steps": 2.0}, TypeError, "steps must be a whole number, got 2.0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2000}, ValueError, r"batch_size = 2000 is outside \[1, 1437\].*smaller"),
        ({"batch_size": True}, TypeError, "batch_size must be a whole number, got True"),
        ({"batch_size": 1}, ValueError, "training needs at least 2 values per feature"),
        ({"lr": 0.0}, ValueError, "lr must be a finite number > 0, got 0.0"),
        ({"lr": -0.1}, ValueError, "lr must be"),
        ({"lr": float("nan")}, ValueError, "lr must be"),
        ({"lr": float("inf")}, ValueError, "lr must be"),
        ({"seed": -1}, ValueError, r"seed must be a whole number in \[0, .*, got -1"),
        ({"momentum": 0.9}, TypeError, "momentum"),
    ],
)
def test_bad_input_is_refused_before_anything_moves(changes, error, message):
    net = network(norm=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    arguments = {"steps": 3, "batch_size": 8, "lr": 0.1, "seed": 0, **changes}
    with pytest.raises(error, match=message):
        train(net, digits(), **arguments)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_data_that_is_not_finite_is_refused():
    x = digits().x_train.clone()
    x[5, 3] = float("nan")
    split = Split(x, digits().y_train, x, digits().y_train)
    with pytest.raises(ValueError, match=re.escape("not finite; remove or fill those rows")):
        train(network(), split, steps=1, batch_size=8, lr=0.1)


# --- frozen layers --------------------------------------------------------------------------------


def running(net: MLP) -> list[torch.Tensor]:
    return [layer.norm.running_mean.clone() for layer in net.layers]


def moved(before: list[torch.Tensor], net: MLP) -> list[bool]:
    return [not torch.equal(a, b) for a, b in zip(before, running(net), strict=True)]


SMALL = {"steps": 3, "batch_size": 8, "lr": 0.1}
LOOKS = {
    "nothing": lambda net: None,
    "eval": lambda net: net.eval(),
    "eval and train": lambda net: net.eval().train(),
}


def small() -> MLP:
    return network(sizes=(64, 8, 8, 8, 10), norm=True)


@pytest.mark.parametrize("look", LOOKS)
def test_frozen_layers_sleep_on_whatever_a_listener_does(look):
    net = small()
    net.layers[1].norm.eval()
    before, seen = running(net), []

    def on_step(step):
        seen.append([layer.norm.training for layer in net.layers])
        LOOKS[look](net)

    train(net, digits(), **SMALL, on_step=on_step)
    assert seen == [[True, False, True]] * 3
    assert moved(before, net) == [True, False, True]
    assert not net.layers[1].norm.weight.eq(1).all()  # gamma learns on: it is a parameter


def test_a_listener_can_freeze_a_layer_in_mid_training():
    net, kept = small(), []

    def on_step(step):
        if step.number == 2:
            net.layers[0].norm.eval()
            kept.extend(running(net))

    train(net, digits(), **SMALL, on_step=on_step)
    assert moved(kept, net) == [False, True, True]


def test_a_net_in_evaluation_mode_wakes_as_a_whole():
    net = small().eval()
    before = running(net)
    train(net, digits(), **SMALL)
    assert moved(before, net) == [True] * 3


def test_a_step_as_a_function_wakes_nothing_that_is_frozen():
    net, x, y = small(), digits().x_train[:8], digits().y_train[:8]
    net.layers[1].norm.eval()
    modes = [m.training for m in net.modules()]
    state = dict(net.state_dict())
    lr = torch.tensor(0.1)
    for _ in range(2):
        before = state
        functional.evaluate(net, state, {}, x)
        state, _ = functional.descend(net, state, state, (x, y), lr)
        names = [f"layers.{k}.norm.running_mean" for k in range(3)]
        still = [torch.equal(state[name], before[name]) for name in names]
        assert still == [False, True, False]
    assert modes == [m.training for m in net.modules()]
    functional.descend(net.eval(), state, state, (x, y), lr)
    assert all(m.training for m in net.modules())
