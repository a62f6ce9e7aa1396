"""Gardens, smaller rates, the fade, and gradients against the scale: against plain arithmetic."""

import pytest
import torch

from bnviz.experiments import get, load
from bnviz.experiments.gardens import weights
from bnviz.experiments.staleness import CHOICES, EVERY, RATES, _net
from bnviz.experiments.whitening import whiten, whiten_by_products, whiten_in_groups
from bnviz.maths import ics
from bnviz.maths.data import digits, per_feature
from bnviz.maths.fade import ratios
from bnviz.maths.gardens import CENTRE
from bnviz.maths.nets import MLP, initialise


def rows_of(name, **cell):
    return [r for r in load(name)["rows"] if all(r[k] == v for k, v in cell.items())]


@pytest.mark.parametrize("name", ["gardens", "slower"])
def test_cheap_cells_come_out_as_they_are_stored(name):
    experiment = get(name)
    cell = experiment.cells[0]
    (stored,) = rows_of(name, **cell)
    again = experiment.row(cell)
    for key, value in again.items():
        if key not in cell:
            assert value == pytest.approx(stored[key], abs=0.02, rel=0.05), key


def test_weights_are_the_ratio_of_two_densities():
    x = torch.tensor([[-3.0, 1.0], [0.5, -2.0]], dtype=torch.float64)
    normal = torch.distributions.Normal(torch.tensor([-CENTRE, 1.5 - CENTRE]).double(), 1.0)
    first, second = normal.log_prob(x[:, :1]).T
    torch.testing.assert_close(weights(x, 1.5), (second - first).exp())


def test_weights_help_where_the_model_cannot_represent_the_rule_and_photos_are_many():
    cells = load("gardens")["summary"]["cells"]
    at = {(c["model"], c["photos"], c["distance"]): c["weights_better"] for c in cells}
    assert at["line", 20_000, 4] == at["line", 20_000, 3] == 20
    assert at["line", 200, 4] < 10
    assert at["curve", 20_000, 4] < 10


def test_a_smaller_rate_is_ahead_at_equal_rate_times_steps():
    slow = load("slower")["summary"]
    assert slow["learned_in_100"] == 0
    large, small = (slow["at_300"][rate] for rate in ("largest", "smallest"))
    assert small["min"] > 0.9 > 0.3 > large["max"]


def test_each_pixel_is_standardised_with_what_training_shows():
    found, split = per_feature(digits()), digits()
    spreads = found.x_train.std(0, correction=0)
    constant = split.x_train.std(0) == 0
    assert constant.any()
    torch.testing.assert_close(spreads[~constant], torch.ones_like(spreads[~constant]))
    assert found.x_train[:, constant].abs().max() < 1e-5
    assert found.x_test.mean(0).abs().max() > 1e-3  # test rows had no say
    assert split.x_train.mean(0).min() < -0.8 < 1.1 < split.x_train.mean(0).max()


@pytest.mark.parametrize(("activation", "scale"), [("sigmoid", 0.5), ("tanh", 0.5)])
def test_small_signals_fade_by_the_formula(activation, scale):
    net = MLP(activation=activation)
    found = []
    for seed in range(8):
        net.load_state_dict(initialise(net, seed, scale))
        found.append(torch.stack(ratios(net, digits().x_train[:256])))
    measured, formula = torch.stack(found).mean(0)[:, 1:]  # behind the first layer they are small
    torch.testing.assert_close(measured, formula, rtol=0.04, atol=0)


def test_large_signals_do_not():
    net = MLP()
    net.load_state_dict(initialise(net, 0, 8.0))
    measured, formula = ratios(net, digits().x_train[:256])
    assert (measured < 0.95 * formula).all()


@pytest.mark.parametrize("norm", [False, True])
def test_the_compiled_measure_is_that_of_the_chapter(norm):
    net = _net(norm)
    net.begin(activation="tanh", lr=0.15, scale=1.0, seed=0)
    net.go(EVERY)
    rows = net.rows.take(32)
    found = net.instance("turned", rows=rows)["cosine"]
    data, module = digits(), MLP(norm=norm, activation="tanh")
    values = dict(module.state_dict()) | net.state()
    expected = ics.gradient_shift(module, values, data.x_train[rows], data.y_train[rows], 0.15)
    torch.testing.assert_close(found, expected["cosine"], rtol=0, atol=2e-3)


def test_the_scale_alone_decides_how_much_a_gradient_with_bn_turns():
    for activation in RATES:
        of = {
            CHOICES[r["choice"]]: r for r in rows_of("ics-scale", activation=activation, net="bn")
        }
        small, large = (of[factor, 1.0]["cosine"] for factor in (0.25, 4.0))
        assert max(small) < min(large)
        assert min(of[0.25, 1.0]["accuracy"]) > 0.5  # and both have learned


def test_cheaper_ways_to_whiten_do_less():
    generator = torch.Generator().manual_seed(0)
    mix = torch.eye(32) + 0.15 * torch.randn(32, 32, generator=generator)
    x = torch.randn(512, 32, generator=generator) @ mix

    def off(v):
        c = torch.cov(v.T, correction=0)
        return (c - torch.eye(32)).abs().max().item()

    assert off(whiten(x)) < 0.02
    assert off(whiten_by_products(x.double(), rounds=14)) < 0.02
    assert off(whiten_by_products(x, rounds=5)) > 0.02  # small variances are not there yet
    in_groups = whiten_in_groups(x, 16)
    assert off(in_groups) > 0.05  # between groups
    torch.testing.assert_close(in_groups[:, :16], whiten(x[:, :16]))
    with pytest.raises(ValueError, match="groups of 5"):
        whiten_in_groups(x, 5)
