"""What carried over to the papers' data is said by the numbers."""

import copy

import pytest

from bnviz.experiments import load
from bnviz.experiments.carried import ON_DIGITS, changes, figure_1, linear, steps
from bnviz.experiments.changes import PAIRS

STEPS = [1, 100, 1000]


def result(plain, bn, apart=(0.1, 2.0)):
    """Two seeds at one rate; accuracies of each net at the three steps."""
    rows = [
        {
            "net": net,
            "lr": 0.1,
            "seed": seed,
            "accuracy": list(curve),
            "p15": [0.0] * 3,
            "p85": [width] * 3,
        }
        for net, curve, width in (("plain", plain, apart[0]), ("bn", bn, apart[1]))
        for seed in (0, 1)
    ]
    return {"settings": {"recorded": STEPS}, "rows": rows}


GOOD = result((0.1, 0.5, 0.93), (0.1, 0.92, 0.97))


def test_what_is_alike_carried_over():
    speed, unit = figure_1(GOOD, GOOD)
    assert speed == (
        "Carried over: at rates of 0.1, BN needs 10 to 10 times fewer steps to 90% on MNIST, "
        "10 to 10 times on the digits; in the end it is ahead by 4 to 4 points on MNIST, "
        "by 4 to 4 on the digits."
    )
    assert unit.startswith("Carried over: after 100 steps")
    assert unit.endswith("0.1 to 0.1 on the digits; with BN it is 2 to 2 and 2 to 2.")


@pytest.mark.parametrize(
    ("large", "words"),
    [
        (result((0.1, 0.95, 0.96), (0.1, 0.95, 0.97)), "Not the same in all seeds: "),
        (result((0.1, 0.5, 0.98), (0.1, 0.92, 0.97)), ", so not in every seed."),
        (result((0.1, 0.5, 0.93), (0.1, 0.92, 0.97), (3.0, 2.0)), "Not carried over: "),
    ],
)
def test_what_differs_did_not(large, words):
    assert words in " ".join(figure_1(GOOD, large))


def test_one_seed_turns_the_sentence():
    large = copy.deepcopy(GOOD)
    large["rows"][0]["accuracy"] = [0.95] * 3
    assert figure_1(GOOD, large)[0].startswith("Not the same in all seeds")


def test_the_stored_results_have_such_sentences():
    small, large = load("ioffe-figure-1"), load("ioffe-mnist")
    assert all("MNIST" in sentence for sentence in figure_1(small, large))


def contest(plain_steps, bn_steps, low):
    effects = {f"{b} steps": {"low": low, "high": 0.2} for b in (400, 800, 1600)}
    return {
        "settings": {"steps": 800},
        "summary": {
            "effects": {"plain": effects},
            "plain": {"1600": {"steps_to": {"50%": plain_steps}}},
            "bn": {"1600": {"steps_to": {"50%": bn_steps}}},
        },
    }


SMALL = {
    "rows": [
        {"activation": "relu", "net": net, "to_90_within_600": at}
        for net, at in (("plain", 90), ("bn", 30), ("plain", 80), ("bn", 40), ("plain", 60),
                        ("bn", 20))
    ]
}  # fmt: skip


def test_steps_of_both_sides_tuned():
    speed, gain = steps(SMALL, contest([], [], 0.01), contest([1000, None], [500, 400], 0.1))
    assert speed == (
        "Carried over: both sides tuned, BN needs 2 to 4 times fewer steps to 50% on CIFAR-10, in "
        "the median 3; on the digits it is 3 times fewer to 90%, with ReLU. It is not 14 on either."
    )
    assert gain.startswith("Carried over: at half, once and twice the budget BN is ahead by 10 to ")
    slower, unlike = steps(SMALL, contest([], [], 0.01), contest([500], [1600], -0.1))
    assert slower.startswith("Not carried over")
    assert unlike.startswith("Not the same")
    assert "not 14" not in steps(SMALL, contest([], [], 0.01), contest([1600], [100], 0.1))[0]


def test_the_deep_linear_network_agrees_with_the_paper_or_not():
    def result(steps, **of):
        counts = {rate.replace("_", " ").replace("m", "-"): pair for rate, pair in of.items()}
        return {
            "settings": {"steps": steps},
            "summary": {"smaller_with_bn": {"change late": counts, "beta late": counts}},
        }

    short, none = result(210, lr_1em03=[1, 6]), result(10_000, lr_1em06=[0, 6])
    assert linear(short, none)[0] == (
        "Not as in the paper: late in training, the change of the gradient is smaller with BN in "
        "0 of 6 seeds at a rate of 1e-06, after 10,000 steps; after 210 in 1 of 6 seeds at a rate "
        "of 0.001."
    )
    assert linear(short, result(10_000, lr_1em06=[6, 6]))[1].startswith("As in the paper")


def test_the_stored_sentences():
    large = load("vgg-tuned")
    budget = large["summary"]["bn"]["1600"]
    at = large["settings"]["looks"]
    # the same from the curves of the rows, by hand
    rows = [r for r in large["rows"] if (r["stage"], r["contender"]) == ("report", "bn")]
    trials = {r["trial"] for r in rows}
    own = {trial: [r["scores"] for r in rows if r["trial"] == trial] for trial in trials}
    (chosen,) = (c for c in own.values() if [v[-1] for v in c] == budget["test"])
    first = [next(s for s, v in zip(at, curve, strict=True) if v >= 0.5) for curve in chosen]
    assert first == budget["steps_to"]["50%"]


def small_and_large(bn, plain):
    """Both results with the same effects: three seeds of the first change, of the others none."""
    effects = {"low": -0.1, "high": 0.1, "mean": 0.0, "wins": 1, "losses": 1, "p": 1.0}
    large = {
        "summary": {"effects": {name: {"bn": effects, "plain": effects} for name in ON_DIGITS}}
    }
    rows = [
        {"variant": variant, "net": net, "seed": seed, "test": 0.5}
        for done in ON_DIGITS.values()
        for variant in PAIRS[done]
        for net in ("bn", "plain")
        for seed in range(3)
    ]
    rows = list({(r["variant"], r["net"], r["seed"]): r for r in rows}.values())
    first, done = next(iter(ON_DIGITS.items()))
    after = PAIRS[done][1]
    for row in rows:
        if row["variant"] == after:
            row["test"] += bn if row["net"] == "bn" else plain
    large["summary"]["effects"][first] = {
        net: effects | {"low": v - 0.01, "high": v + 0.01, "mean": v}
        for net, v in (("bn", bn), ("plain", plain))
    }
    return {"rows": rows}, large


def test_a_change_is_bns_doing_if_its_interval_lies_above():
    doing, decided = changes(*small_and_large(0.2, 0.1))
    assert doing == (
        "BN's doing by the rule, of 6 changes on photos: rate times 5; of the 6 that were made on "
        "the digits, too: rate times 5."
    )
    assert decided == (
        "With BN, the interval is above 0 for rate times 5 and below it for nothing on photos; on "
        "the digits it is above 0 for rate times 5 and below it for nothing. All others include 0."
    )
    doing, decided = changes(*small_and_large(-0.2, -0.2))
    assert doing.count("nothing") == 2
    assert decided.count("below it for rate times 5") == 2
    assert carried_by_bn_alone(changes(*small_and_large(0.2, 0.19))[0]) == "nothing"


def carried_by_bn_alone(sentence):
    """What the first sentence names for the photos."""
    return sentence.partition("photos: ")[2].partition(";")[0]


def test_the_stored_results_have_the_changes_that_are_compared():
    large = load("vgg-changes")["summary"]["effects"]
    assert set(ON_DIGITS) < set(large)
