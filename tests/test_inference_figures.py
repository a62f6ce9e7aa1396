"""The figures of chapter 5 against PyTorch's own layers and plain loops."""

import numpy as np
import pytest
import torch
from torch import nn

from bnviz import experiments, explorers
from bnviz.explorers import folding, moving_average, train_eval
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.prng import Shuffler

# --- moving-average ------------------------------------------------------------------------------

STREAM = explorers.get("moving-average")
T = moving_average.T


@pytest.mark.parametrize("momentum", [0.001, 0.1, 1.0])
@pytest.mark.parametrize("batch", [2, 16])
def test_the_exponential_estimate_is_what_batchnorm_gathers_from_the_same_examples(momentum, batch):
    outputs = STREAM.outputs(momentum=momentum, batch=float(batch), truth="drifts", seed=3.0)
    shape = (T + moving_average.FRESH, moving_average.LARGEST)
    z = prng.normal(shape, torch.tensor(3.0), stream=0)[:T, :batch]
    mean, var = outputs["true_mean"][:T, None], outputs["true_var"][:T, None]
    bn = nn.BatchNorm1d(1, momentum=momentum).double()
    for t, x in enumerate((mean + var.sqrt() * z).double()):
        bn(x.unsqueeze(1))
        assert outputs["exponential_mean"][t] == pytest.approx(bn.running_mean.item(), abs=1e-4)
        assert outputs["exponential_var"][t] == pytest.approx(bn.running_var.item(), rel=1e-3)


def test_the_cumulative_estimate_is_the_mean_of_all_batches_so_far():
    outputs = STREAM.outputs()
    b = outputs["batch_var"].double().numpy()[:T]
    expected = [b[: t + 1].mean() for t in range(T)]
    np.testing.assert_allclose(outputs["cumulative_var"].numpy(), expected, rtol=1e-4)


def test_the_population_estimate_takes_fresh_batches_only():
    outputs = STREAM.outputs(truth="jumps")
    expected = outputs["batch_mean"][T:].mean()
    torch.testing.assert_close(outputs["population_mean"], expected.expand(2))
    assert abs(expected - 3) < 0.3  # the truth after the jump; the cumulative mean is far from it
    assert outputs["last_cumulative_mean"] < 2.3


@pytest.mark.parametrize("momentum", [0.01, 0.3])
def test_the_corrected_estimate_is_a_weighted_mean_of_the_batches(momentum):
    outputs = STREAM.outputs(momentum=momentum, corrected=True)
    b = outputs["batch_mean"].double().numpy()
    for t in (1, 5, 50):
        weights = (1 - momentum) ** np.arange(t - 1, -1, -1)
        expected = np.average(b[:t], weights=weights)
        assert outputs["exponential_mean"][t - 1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("batch", [2, 8])
def test_the_unbiased_variance_is_larger_by_m_over_m_minus_1_and_right_on_average(batch):
    given = {"batch": float(batch), "truth": "stays"}
    unbiased = STREAM.outputs(**given)["batch_var"]
    biased = STREAM.outputs(**given, unbiased=False)["batch_var"]
    torch.testing.assert_close(unbiased, biased * batch / (batch - 1))
    assert unbiased.mean() == pytest.approx(3.5, rel=0.2)


def test_the_noise_of_the_exponential_mean_follows_its_law():
    given = {"truth": "stays", "momentum": 0.1, "batch": 4.0}
    runs = [STREAM.outputs(**given, seed=float(s))["exponential_mean"][100:] for s in range(20)]
    expected = (3.5 / 4 * 0.1 / 1.9) ** 0.5
    assert torch.stack(runs).std() == pytest.approx(expected, rel=0.15)


# --- train-eval ----------------------------------------------------------------------------------


def twin_in_torch(state: dict) -> nn.Sequential:
    """The same network from PyTorch's own layers."""
    parts = []
    for k in range(2):
        linear, bn = nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64)
        linear.weight.data = state[f"layers.{k}.linear.weight"].clone()
        bn.weight.data, bn.bias.data = (
            state[f"layers.{k}.norm.{n}"].clone() for n in ("weight", "bias")
        )
        for name in ("running_mean", "running_var"):
            setattr(bn, name, state[f"layers.{k}.norm.{name}"].clone())
        parts += [linear, bn, nn.ReLU()]
    head = nn.Linear(64, 10)
    head.weight.data, head.bias.data = state["head.weight"].clone(), state["head.bias"].clone()
    return nn.Sequential(*parts, head)


@pytest.fixture(scope="module")
def trained():
    """The state before the last of 30 steps, the state after it, its rows, and what is observed."""
    simulation = explorers.get("train-eval")
    controls = simulation.tensors({"batch": 8.0, "shift": 0.5})
    state, shuffler = simulation.initial(torch.tensor(0.0), **controls), Shuffler(1437, 0)
    for _ in range(30):
        before, rows = state, shuffler.take(8)
        state, _ = simulation.step(state, rows, **controls)
    with torch.no_grad():
        return before, state, rows, simulation.observe(state, **controls)


@torch.no_grad()
def test_running_statistics_give_what_pytorch_gives_in_evaluation_mode(trained):
    _, state, _, observed = trained
    net, data = twin_in_torch(state).eval(), digits()
    probe = data.x_test[train_eval.PROBE :][:1]
    torch.testing.assert_close(observed["running_logits"], net(probe)[0], rtol=1e-4, atol=1e-4)
    loss = nn.functional.cross_entropy(net(data.x_test + 0.5), data.y_test)
    torch.testing.assert_close(observed["running_loss"], loss, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_population_statistics_are_those_of_the_training_set_as_one_batch(trained):
    _, state, _, observed = trained
    net, data = twin_in_torch(state), digits()
    for part in net:
        if isinstance(part, nn.BatchNorm1d):
            part.momentum = 1.0
    net.train()(data.x_train)
    loss = nn.functional.cross_entropy(net.eval()(data.x_train), data.y_train)
    torch.testing.assert_close(observed["population_same"], loss, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_probe_takes_the_first_seat_of_the_batch(trained):
    before, _, rows, observed = trained
    data = digits()
    x = torch.cat([data.x_test[train_eval.PROBE :][:1], data.x_train[rows[1:]]])
    expected = twin_in_torch(before).train()(x)[0]
    torch.testing.assert_close(observed["batch_logits"], expected, rtol=1e-3, atol=1e-3)


# --- folding -------------------------------------------------------------------------------------


@torch.no_grad()
def test_both_ways_are_pytorchs_linear_layer_and_batchnorm():
    values = {"unit": "unit 3", "gamma": -2.0, "beta": 1.0, "mean": 0.5, "var": 0.1, "eps": 0.1}
    outputs, (parts, u) = explorers.get("folding").outputs(**values), folding.layer()
    linear, bn = nn.Linear(5, 4).eval(), nn.BatchNorm1d(4, eps=0.1).eval()
    linear.weight.data, linear.bias.data = parts["weight"], parts["bias"]
    bn.weight.data, bn.bias.data = parts["gamma"].clone(), parts["beta"].clone()
    bn.running_mean, bn.running_var = parts["mean"].clone(), parts["var"].clone()
    for tensor, value in ((bn.weight, -2.0), (bn.bias, 1.0), (bn.running_mean, 0.5)):
        tensor.data[2] = value
    bn.running_var[2] = 0.1
    expected = bn(linear(u))[:, 2].clamp(-folding.TOP, folding.TOP)
    assert (expected.abs() < folding.TOP).sum() > 10
    torch.testing.assert_close(outputs["two"], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs["one"], expected, rtol=1e-4, atol=1e-4)
    assert outputs["difference"] == 0


def test_forgetting_eps_shows_when_the_variance_is_small():
    folded = explorers.get("folding")
    small = folded.outputs(var=0.1, eps=0.1, forgotten=True)
    assert small["difference"] > 1
    assert folded.outputs(var=10.0, eps=1e-8, forgotten=True)["difference"] == 0


# --- broken-batchnorm ----------------------------------------------------------------------------

# which instruments a mistake moves: outputs, gradient, running values, company
MOVES = {
    "none: this is right": set(),
    "no_grad statistics": {"gradient"},
    "one scalar for all": {"outputs", "gradient", "running"},
    "test batch statistics": {"company"},
    "eval mode forgotten": {"company"},
    "values not saved": {"running"},
    "momentum flipped": {"running"},
    "variances mixed up": {"outputs"},
}


@pytest.mark.parametrize("mistake", MOVES)
def test_every_mistake_has_its_fingerprint(mistake):
    simulation = explorers.get("broken-batchnorm")
    controls = simulation.tensors({"mistake": mistake, "batch": 4.0})
    state, shuffler = simulation.initial(torch.tensor(0.0), **controls), Shuffler(1437, 0)
    for _ in range(60):
        state, outputs = simulation.step(state, shuffler.take(4), **controls)
    with torch.no_grad():
        outputs |= simulation.observe(state, **controls)
    away = {
        "outputs": (outputs["broken_out_std"] - 1).abs().max() > 0.05,
        "gradient": outputs["broken_most_shift"] > 0.05,
        "running": outputs["broken_off"].std() > 1.8 * outputs["right_off"].std(),
        "company": outputs["broken_spread"] > 0.05,
    }
    assert {name for name, moved in away.items() if moved} == MOVES[mistake]
    assert outputs["right_most_shift"] < 1e-3
    assert outputs["right_spread"] < 1e-4


# --- the stored experiment -----------------------------------------------------------------------


def test_one_run_of_inference_estimates_again():
    cell = {"batch": 32, "seed": 0}
    ours = experiments.get("inference-estimates").row(cell)
    rows = experiments.load("inference-estimates")["rows"]
    (stored,) = (r for r in rows if r["batch"] == 32 and r["seed"] == 0)
    for key, value in stored.items():
        if key.endswith("_acc") and "ema1_" not in key:
            assert ours[key] == pytest.approx(value, abs=0.04), key
