"""Figures of the stored experiments: they draw the rows, on fixed axes, and nothing else."""

import json
from collections import Counter
from statistics import median

import numpy as np
import pytest

from bnviz.experiments import load
from bnviz.figure import theme
from bnviz.plots import (
    comparisons,
    contests,
    convergence,
    cost,
    estimates,
    failures,
    ics_measures,
    ics_scale,
    identity,
    ioffe,
    landscape_results,
    placement_results,
    whitening_cost,
)

SIDES = {"bn": "with BN", "plain": "without BN"}

KINDS = {name: load(f"failures-{name}") for name in ("sigmoid", "tanh", "relu")}
FIGURES = {
    "edges": lambda: landscape_results.edge_products([load("edges"), load("edges-cnn")]),
    "times smaller": lambda: landscape_results.times_smaller([load("landscape-mlp")]),
    "plateaus": lambda: landscape_results.plateau_shares(load("plateaus"), ("around start",)),
    "ghosts": lambda: landscape_results.contest_effects(
        {"150": load("ghosts")}, {"bn": "less all"}
    ),
    "coupling": lambda: comparisons.coupling(load("coupling")),
    "changes": lambda: comparisons.changes(load("seven-changes")),
    "rates of changes": lambda: comparisons.changes(load("seven-changes"), rates=True),
    "times fewer": lambda: comparisons.times_fewer(load("steps-tuned"), 600),
    "base rates": lambda: comparisons.base_rates(load("steps-ratio")),
    "ioffe": lambda: ioffe.ioffe_figure_1(load("ioffe-figure-1")),
    "ics": lambda: ics_measures.ics_measures(load("ics-measures")),
    "map": lambda: convergence.convergence_map(load("convergence")),
    "relu": lambda: convergence.convergence_map(load("convergence-tanh-relu"), "relu"),
    "kinds": lambda: failures.kinds_by_rate(KINDS),
    "early and late": lambda: failures.early_and_late(KINDS),
    "revived": lambda: failures.revived(load("interventions")),
    "scale": lambda: ics_scale.ics_scale(load("ics-scale")),
    "whitening": lambda: whitening_cost.whitening_cost(load("whitening-cost")),
    "contests": lambda: contests.contests({"sigmoid": load("tuned-sigmoid-5")}, SIDES),
    "estimates": lambda: estimates.estimates(load("inference-estimates"), {"a": "20", "b": "300"}),
    "identity": lambda: identity.identity_residue([4, 16], [0.6, 0.3], {"eps": 1e-5}),
    "flat": lambda: placement_results.flat_shares(load("placement")),
    "spreads": lambda: placement_results.spreads(load("placement")),
    "times": lambda: cost.times(load("bn-cost")),
    "saved": lambda: cost.saved(load("bn-cost")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_small_fixed_and_in_the_style_of_the_book(name):
    fig = FIGURES[name]()
    assert len(fig.to_json()) < 100_000  # the most that a cell of a notebook may hold
    assert fig.layout.template.layout.font.family == theme.template()["layout"]["font"]["family"]
    axes = [fig.layout[k] for k in fig.layout.to_plotly_json() if k[1:].startswith("axis")]
    assert axes
    assert all(axis.fixedrange for axis in axes)
    assert json.loads(fig.to_json())["layout"]["height"] <= 640


def trace(fig, **wanted):
    (found,) = (t for t in fig.data if all(t[k] == v for k, v in wanted.items()))
    return found


def test_figure_1_shows_the_median_of_the_seeds():
    result = load("ioffe-figure-1")
    fig = ioffe.ioffe_figure_1(result)
    for net, label in (("plain", "without BN"), ("bn", "with BN")):
        runs = [r["accuracy"] for r in result["rows"] if (r["net"], r["lr"]) == (net, 0.5)]
        assert trace(fig, name=label).y == pytest.approx(np.median(runs, axis=0))
    ranges = {tuple(fig.layout[f"yaxis{k}"].range) for k in (2, 3)}
    assert len(ranges) == 1  # one axis for both networks


def test_the_measures_are_those_of_the_rows():
    result = load("ics-measures")
    fig = ics_measures.ics_measures(result, ("relu", "tanh-slow"))
    rows = [r for r in result["rows"] if (r["setting"], r["net"]) == ("relu", "noisy")]
    drift = [median(r["w1_late"][k] / r["std_late"][k] for r in rows) for k in range(5)]
    cosine = [median(r["cosine_late"][k] for r in rows) for k in range(5)]
    shown = [t for t in fig.data if t.name == "noisy BN" and t.mode == "lines+markers"]
    assert shown[0].y == pytest.approx(drift)
    assert shown[1].y == pytest.approx(cosine)
    every = [v for t in fig.data for v in t.y]
    assert len(every) == 3 * 2 * 2 * 5 * (1 + 5)  # nets, panels, layers, median and seeds


@pytest.mark.parametrize(("net", "index"), [("plain", 0), ("bn", 1)])
def test_the_map_names_the_class_of_most_seeds(net, index):
    result = load("convergence")
    heat = [t for t in convergence.convergence_map(result).data if t.type == "heatmap"][index]
    letters = {"converged": "C", "slow": "L", "stuck": "S", "oscillating": "O", "diverged": "D"}
    for i, scale in enumerate(heat.y):
        for j, lr in enumerate(heat.x):
            classes = Counter(
                r["class"]
                for r in result["rows"]
                if (r["net"], r["lr"], r["scale"]) == (net, float(lr), float(scale))
            )
            most = max(classes.values())
            letter, _, share = heat.text[i][j].removeprefix("<b>").partition("</b>")
            assert letter in [letters[name] for name, k in classes.items() if k == most]
            assert share.strip() == ("" if most == 5 else f"{most}/5")


def test_the_bars_hold_every_run_once():
    fig = failures.kinds_by_rate(KINDS)
    bars = [np.array(t.y) for t in fig.data]
    assert sum(bars).sum() == pytest.approx(
        2 * 3 * 7 / 1
    )  # nets, activations, rates: each sums to 1
    shown = [t.name for t in fig.data if t.showlegend]
    assert len(shown) == len(set(shown)) == 6


def test_the_table_of_what_revives_holds_the_stored_counts():
    result = load("interventions")
    (heat,) = failures.revived(result).data
    column = list(heat.x).index("dead tanh")
    found = {arm: row[column] for arm, row in zip(heat.y, heat.z, strict=True)}
    arms = next(r["arms"] for r in result["rows"] if r["setting"] == "dead tanh")
    assert found["means held from the start"] == sum(a > 0.5 for a in arms["held"]["all"])
    assert found["goes on"] == sum(a > 0.5 for a in arms["goes on"]["all"])
    assert found["γ = 1, β = 0 again"] is None


def test_a_contest_shows_every_seed_and_the_median():
    result = load("tuned-sigmoid-5")
    for budget, steps in enumerate(("150", "300", "600")):
        fig = contests.contests({"sigmoid": result}, SIDES, budget)
        for side, label in SIDES.items():
            found = result["summary"][side][steps]
            dots, mark = (t for t in fig.data if label in t.hovertemplate)
            assert list(dots.x) == found["test"]
            assert list(mark.x) == [found["median"]]
            assert len(set(dots.y)) == 1
    with pytest.raises(KeyError):
        contests.contests({"sigmoid": result}, {"nobody": "?"})


def test_estimates_are_medians_with_their_ends():
    result = load("inference-estimates")
    fig = estimates.estimates(result, {"late": "300"}, ("ema10",))
    rows = [r["ema10_300_acc"] for r in result["rows"] if r["batch"] == 32]
    (line,) = fig.data
    k = result["grid"]["batch"].index(32)
    assert line.y[k] == pytest.approx(median(rows), abs=5e-4)
    assert line.y[k] + line.error_y.array[k] == pytest.approx(max(rows), abs=5e-4)
    assert line.y[k] - line.error_y.arrayminus[k] == pytest.approx(min(rows), abs=5e-4)
