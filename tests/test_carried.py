"""What carried over to the papers' data is said by the numbers."""

import copy

import pytest

from bnviz.experiments import load
from bnviz.experiments.carried import figure_1

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
