"""What the chapter on benefits says of its comparisons, so that other data would be noticed."""

import math

import pytest

from bnviz import experiments
from bnviz.experiments import fewer_steps
from bnviz.experiments.statistics import effect
from bnviz.plots.effects import effect_intervals

load = experiments.load


def accuracies(variant, net):
    rows = load("seven-changes")["rows"]
    return [r["test"] for r in rows if (r["variant"], r["net"]) == (variant, net)]


def test_the_larger_rate_is_bns_and_dropout_is_not():
    larger = {n: effect(*(accuracies(f"decay-{k}-600", n) for k in ("larger", "slow")))
              for n in ("plain", "bn")}  # fmt: skip
    assert larger["plain"].high < 0 < larger["bn"].low
    for net in ("plain", "bn"):
        assert effect(accuracies("dropout-10", net), accuracies("dropout-0", net)).low > 0
    fresh = {n: effect(*(accuracies(f"shuffling-{k}", n) for k in ("fresh", "fixed")))
             for n in ("plain", "bn")}  # fmt: skip
    assert fresh["plain"].low < 0 < fresh["plain"].high < fresh["bn"].low


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("target", ["80", "90", "95"])
def test_fewer_steps_but_not_fourteen_times_fewer(activation, target):
    rows = [r for r in load("steps-tuned")["rows"] if r["activation"] == activation]
    assert not any(r["edges"] for r in rows)
    for budget in fewer_steps.BUDGETS:
        plain, bn = (
            [math.log(r[f"to_{target}_within_{budget}"]) for r in rows if r["net"] == net]
            for net in ("plain", "bn")
        )
        found = effect(plain, bn)
        assert 1 < math.exp(found.low) < math.exp(found.high) < 5


def test_who_does_not_arrive_counts_as_twice_the_budget():
    short = [0.5] * 3
    assert fewer_steps._steps(short, 0.9, 300) == 600
    late = [0.0] * (len(fewer_steps.LOOKS) - 1) + [0.95]
    assert fewer_steps._steps(late, 0.9, 300) == 600
    assert fewer_steps._steps(late, 0.9, 1200) == 1200


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_the_band_is_wider_with_bn_at_the_best_scale_of_each(activation):
    summary = load("rates-scaled")["summary"]
    for budget in ("100", "200", "400"):
        plain, bn = (summary[f"{activation}-{net}"][budget] for net in ("plain", "bn"))
        assert bn["rates"] > plain["rates"]
        assert bn["high"] > plain["high"]


def test_a_run_of_the_coupling_is_recomputed():
    row = next(r for r in load("coupling")["rows"] if (r["net"], r["seed"]) == ("plain", 0))
    again = experiments.get("coupling").row({"net": "plain", "seed": 0})
    assert again["value"] == pytest.approx(row["value"], abs=0.03)


def test_intervals_are_drawn_where_they_are():
    one = effect([0.3, 0.4, 0.5], [0.1, 0.3, 0.2])
    (trace,) = effect_intervals({"a": {"b": one}}, "accuracy").data
    assert trace.x[0] == pytest.approx(one.mean, abs=1e-4)
    assert trace.x[0] + trace.error_x.array[0] == pytest.approx(one.high, abs=2e-4)
    assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(one.low, abs=2e-4)
    (ratio,) = effect_intervals({"a": {"b": one}}, "times", factor=True).data
    assert ratio.x[0] == pytest.approx(math.exp(one.mean), abs=1e-3)
