"""Fair comparisons: closed forms, choices that see no test image, rules that can say no."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from bnviz import experiments
from bnviz.experiments import store
from bnviz.experiments.compiled import held_out, trainer
from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.statistics import Effect, effect, expected_best, steps_to
from bnviz.experiments.sweep import sweep
from bnviz.experiments.verdicts import VERDICTS, better
from bnviz.maths.measures import accuracy
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import train

CONTESTS = [n for n in experiments.names() if isinstance(experiments.get(n), Contest)]

# --- statistics ----------------------------------------------------------------------------------


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    true, runs, seeds = 0.3, 100, 20
    found = [effect(random.normal(true, 1, seeds), np.zeros(seeds)) for _ in range(runs)]
    covered = sum(e.low <= true <= e.high for e in found)
    # a bootstrap of 20 numbers covers a little less often than it says; one case in 1,000 is let go
    assert stats.binom.ppf(0.001, runs, 0.92) <= covered <= stats.binom.ppf(0.999, runs, 0.97)


def test_seeds_are_paired():
    shared = np.random.default_rng(1).normal(0, 10, 12)
    found = effect(shared + 0.5, shared)
    assert found.low == pytest.approx(0.5) == found.high
    assert (found.wins, found.losses) == (12, 0)
    assert found.p == pytest.approx(2 * 0.5**12)
    assert effect(shared, shared).p == 1


@pytest.mark.parametrize("trials", [1, 2, 5, 7])
def test_the_expected_best_is_the_mean_over_all_draws(trials):
    scores = [0.3, 0.1, 0.9, 0.4, 0.4, 0.8, 0.2]
    draws = [max(draw) for draw in itertools.combinations(scores, trials)]
    assert expected_best(scores, trials) == pytest.approx(sum(draws) / len(draws))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effect([1.0], [1.0]), "at least 2"),
        (lambda: effect([1.0, 2.0], [1.0]), "same seeds"),
        (lambda: effect([1.0, math.nan], [1.0, 2.0]), "not finite"),
        (lambda: expected_best([1.0], 2), "trials must be 1 to 1, the number of scores, got 2"),
        (lambda: LogUniform(1, 1), "0 < low < high, got 1 and 1"),
        (lambda: better({}, 0.1), "an effect"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_steps_to_a_target():
    assert steps_to([0.2, 0.9, 0.95], [1, 2, 3], 0.9) == 2
    assert steps_to([0.2, 0.3], [1, 2], 0.9) is None


# --- contests ------------------------------------------------------------------------------------


def run(cell):
    """A landscape with its optimum at lr = 1, a little higher for "new"; validation is exact."""
    off = math.log10(cell["lr"]) ** 2
    noise = torch.Generator().manual_seed(cell["seed"])
    luck = float(torch.rand(1, generator=noise)) / 1000
    scores = [cell["height"] - off - 1 / step for step in cell["steps"]]
    return {"validation": scores, "test": [s + luck for s in scores]}


def toy(low=0.01, high=100.0, **more) -> Contest:
    space = {"lr": LogUniform(low, high)}
    sides = tuple(Contender(n, space, {"height": h}) for n, h in (("new", 0.9), ("old", 0.8)))
    return Contest("toy", "A toy", (), "?", {}, sides, run, **{"steps": 64, "trials": 16, **more})


@pytest.fixture(scope="module")
def rows():
    return toy().compute(sweep)


def test_each_side_is_tuned_alike_and_finds_its_optimum(rows):
    contest = toy()
    new, old = contest.contenders
    assert contest.points(new) == contest.points(old)
    for contender in contest.contenders:
        assert 0.5 < contest.choice(contender, 64, rows).values["lr"] < 2
    assert contest.edges(rows) == ()
    effects = contest.effects(old, rows)
    assert list(effects) == ["32 steps", "64 steps", "128 steps"]
    assert all(e.mean == pytest.approx(0.1, abs=1e-9) for e in effects.values())
    assert better(effects, 0.05).word == "holds"


def test_an_optimum_at_the_edge_is_no_result():
    contest = toy(low=2.0)
    rows = contest.compute(sweep)
    assert len(edges := contest.edges(rows)) == 6  # both sides, three budgets
    assert better(contest.effects(contest.contenders[1], rows), 0.05, edges).word == VERDICTS[3]


def test_a_report_uses_fresh_seeds_and_the_same_for_all(rows):
    by_stage = {s: {r["seed"] for r in rows if r["stage"] == s} for s in ("tuning", "report")}
    assert not by_stage["tuning"] & by_stage["report"]
    with pytest.raises(ValueError, match=r"seeds \[3\] are in both lists"):
        toy(seeds=(1, 2, 3), tuning_seeds=(3,))
    with pytest.raises(ValueError, match="power of two from 2 on, got 12"):
        toy(trials=12)


def test_the_choice_does_not_see_the_test_scores(rows):
    def cheating(cell):
        return run(cell) | {"test": [0.0 for _ in cell["steps"]]}

    contest = toy()
    honest, other = rows, contest.compute(lambda _, cells: sweep(cheating, cells))
    for contender in contest.contenders:
        for budget in contest.budgets:
            assert contest.choice(contender, budget, honest) == contest.choice(
                contender, budget, other
            )
    assert contest.effects(contest.contenders[1], other)["64 steps"].mean == 0


def test_a_contest_comes_back_from_its_file(rows, tmp_path):
    contest = toy()
    result = {"name": "toy", "grid": {}, "summary": contest.summarise(rows), "rows": rows}
    store.save(result, tmp_path)
    assert store.read("toy", tmp_path)["rows"] == rows
    assert contest.summarise(store.read("toy", tmp_path)["rows"]) == result["summary"]


# --- verdicts ------------------------------------------------------------------------------------


def _effects(*intervals):
    return {str(k): Effect((a + b) / 2, a, b, 0, 0, 1.0) for k, (a, b) in enumerate(intervals)}


@pytest.mark.parametrize(
    ("intervals", "word"),
    [
        ([(0.02, 0.04), (0.03, 0.05)], "holds"),
        ([(0.02, 0.04), (0.0, 0.05)], "holds when"),
        ([(-0.1, 0.005), (-0.2, -0.1)], "not supported here"),
        ([(-0.1, 0.05), (-0.2, -0.1)], "cannot be decided"),
    ],
)
def test_a_rule_says_yes_and_no(intervals, word):
    assert better(_effects(*intervals), 0.01).word == word


@pytest.mark.parametrize("name", CONTESTS)
def test_a_stored_contest_turns_when_the_sides_change_places(name):
    """A rule that gave the same word for the opposite data could not say no."""
    contest, rows = experiments.get(name), experiments.load(name)["rows"]
    assert isinstance(contest, Contest)
    effects = contest.effects(contest.contenders[1], rows)
    turned = {
        k: Effect(-e.mean, -e.high, -e.low, e.losses, e.wins, e.p) for k, e in effects.items()
    }
    words = {better(e, 0.01, contest.edges(rows)).word for e in (effects, turned)}
    assert words not in ({"holds"}, {"holds when"})


@pytest.mark.parametrize("name", CONTESTS)
def test_a_stored_contest_is_what_its_rows_say(name):
    contest, result = experiments.get(name), experiments.load(name)
    assert isinstance(contest, Contest)
    assert contest.summarise(result["rows"]) == result["summary"]
    ran = [tuple(r[k] for k in ("contender", "trial", "seed")) for r in result["rows"]]
    cells = contest.tuning_cells() + contest.report_cells(result["rows"])
    assert ran == [tuple(c[k] for k in ("contender", "trial", "seed")) for c in cells]


# --- compiled trainings --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [False, True])
def test_compiled_trainings_read_what_pytorch_reads(norm):
    """After few steps: rounding, which differs, has not been amplified yet."""
    network = {"sizes": (64, 32, 32, 10), "norm": norm, "activation": "tanh"}
    settings = {"lr": 0.2, "scale": 1.0, "seed": 3}
    found = trainer(16, **network).scores((5, 20), **settings)
    fit, judge = held_out()
    net = MLP(**network)
    for k, steps in enumerate((5, 20)):
        net.load_state_dict(initialise(net, settings["seed"], settings["scale"]))
        train(net, fit, steps=steps, batch_size=16, lr=settings["lr"], seed=settings["seed"])
        for key, split in (("validation", fit), ("test", judge)):
            with torch.no_grad():
                read = accuracy(net.eval()(split.x_test), split.y_test).item()
            # one image may stand on the line between two classes
            assert abs(found[key][k] - read) <= 1.5 / len(split.y_test), (key, steps)


def test_a_stored_run_is_recomputed():
    """One run of the report, from the initial weights to the stored curve."""
    contest, rows = experiments.get("tuned-sigmoid-5"), experiments.load("tuned-sigmoid-5")["rows"]
    assert isinstance(contest, Contest)
    cell = contest.report_cells(rows)[0]
    (stored,) = (
        r["scores"]
        for r in rows
        if r["stage"] == "report" and all(r[k] == cell[k] for k in ("contender", "trial", "seed"))
    )
    # WebAssembly rounds alike everywhere, but compilers may not; a tenth of the way is alike
    early = len(stored) // 10 + 1
    found = contest.run(cell | {"steps": cell["steps"][:early]})["test"]
    np.testing.assert_allclose(found, stored[:early], atol=1.5 / 360 + 0.0005)


def test_no_image_that_judges_is_seen_before():
    fit, judge = held_out()
    seen = {tuple(row.tolist()) for row in torch.cat([fit.x_train, fit.x_test])}
    assert len(fit.x_train) + len(fit.x_test) == 1437
    assert not [row for row in judge.x_test if tuple(row.tolist()) in seen]
