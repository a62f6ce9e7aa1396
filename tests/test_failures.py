"""How networks fail, and what revives them: the rules, the interventions, cheap slices again."""

import math
from collections import Counter

import pytest
import torch
from torch.nn import functional as F

from bnviz import explorers
from bnviz.experiments import interventions, load
from bnviz.experiments.answer import answer
from bnviz.experiments.failures import CRITERIA, KINDS, Criteria, Diary, kind_of, run, runs_of
from bnviz.experiments.watched import DEPTH, PROBE, watched
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.record import inputs_of
from bnviz.maths.train import train

NAMES = ("sigmoid", "tanh", "relu")
STUCK = {"train": 0.1, "signal": 1e-4, "flat": 0.0, "late": 0.002}


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [False, True])
def test_it_trains_as_pytorch_does(norm):
    net, mine = MLP(norm=norm, activation="tanh"), watched(norm)
    net.load_state_dict(initialise(net, seed=3, scale=1.5))
    train(net, digits(), steps=12, batch_size=32, lr=0.2, seed=3)
    mine.begin(activation="tanh", lr=0.2, scale=1.5, seed=3)
    mine.go(12)
    for name, value in mine.state().items():
        torch.testing.assert_close(value, net.state_dict()[name], rtol=1e-3, atol=1e-4)
    seen, x = mine.look(), digits().x_train[:PROBE]
    with torch.no_grad(), inputs_of(net.activations) as entered:
        loss = F.cross_entropy(net.train()(x), digits().y_train[:PROBE])
    torch.testing.assert_close(seen["v"], torch.stack(entered), rtol=1e-3, atol=1e-3)
    assert seen["loss"].item() == pytest.approx(loss.item(), rel=1e-3)


def test_anchored_means_stay_and_others_do_not():
    net, moved = watched(False), {}
    for held in (True, False):
        net.begin(activation="tanh", lr=0.3, scale=1.0, seed=1)
        anchor = net.look()["v"].mean(1)  # (DEPTH, WIDTH)
        net.go(20, anchor if held else None)
        moved[held] = (net.look()["v"].mean(1) - anchor).abs().max().item()
    assert moved[True] < 1e-4 < 0.1 < moved[False]


# --- the kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ({}, "faded"),
        ({"train": 0.51}, "learned"),
        ({"signal": 0.2}, "slow"),
        ({"flat": 1.0}, "thrown, dead"),
        ({"flat": 1.0, "late": 0.2}, "thrown, moving"),
        ({"flat": 1.0, "signal": 0.2}, "thrown, moving"),
        ({"late": None}, "diverged"),
    ],
)
def test_each_kind_is_what_it_is_said_to_be(other, kind):
    assert kind_of(STUCK | other) == kind


def test_a_threshold_can_change_a_kind():
    assert kind_of(STUCK | {"signal": 0.02}) == "slow"
    assert kind_of(STUCK | {"signal": 0.02}, Criteria(blind=0.03)) == "faded"


def test_cheap_cells_come_out_as_they_are_stored():
    result = load("failures-sigmoid")
    for net, lr, factor, kind in (("plain", 1.0, 0.25, "faded"), ("bn", 1.0, 1.0, "learned")):
        cell = {"activation": "sigmoid", "net": net, "lr": lr, "factor": factor}
        stored = next(r for r in result["rows"] if all(r[k] == v for k, v in cell.items()))
        again = run({**cell, "seeds": (0, 1)})
        assert [kind_of(r) for r in runs_of(again)] == [kind] * 2
        assert [kind_of(r) for r in runs_of(stored)[:2]] == [kind] * 2
        assert again["early"] == pytest.approx(stored["early"][:2], rel=0.1)
        assert again["half"] == stored["half"][:2]


def test_the_kinds_pass_their_own_test():
    """What the experiment said, before it ran, would make them no answer."""
    for name in NAMES:
        summary = load(f"failures-{name}")["summary"]
        for net in ("plain", "bn"):
            runs, changed = sum(summary[net]["counts"].values()), summary[net]["changed"]
            assert max(n for k, n in changed.items() if k != "any") <= 0.1 * runs, (name, net)


def test_thrown_networks_are_the_faster_ones_early_and_the_stiller_ones_late():
    looks = load("failures-sigmoid")["summary"]["plain"]["looks"]
    dead, learned, faded = (looks[k] for k in ("thrown, dead", "learned", "faded"))
    for end in ("", "_std"):
        assert dead[f"early{end}"] > 3 * learned[f"early{end}"]
    assert dead["late"] < 0.3 * learned["late"]
    assert faded["late"] < 0.5 * learned["late"]
    assert faded["late_std"] > 10 * learned["late_std"]  # and by the other yardstick it is faster


# --- the interventions ----------------------------------------------------------------------------


def _inside(state, x):
    net = MLP()
    net.load_state_dict(state)
    with torch.no_grad(), inputs_of(net.activations) as seen:
        net(x)
    return torch.stack(seen)  # (DEPTH, PROBE, WIDTH)


@pytest.mark.parametrize(("spread", "centre"), [(1, 0), (0, 1), (1, 1), (0, 0)])
def test_setting_right_changes_what_it_says_and_nothing_else(spread, centre):
    state = initialise(MLP(), seed=0, scale=1.0)
    for k in range(DEPTH):
        state[f"layers.{k}.linear.bias"] = torch.full((64,), -0.5)
    x, index = digits().x_train[:PROBE], torch.tensor(0.0)
    new = interventions.set_right(state, index, spread=bool(spread), centre=bool(centre))
    before, after = _inside(state, x), _inside(new, x)
    spreads = after.std(1, correction=0).mean(1)
    if spread:
        assert spreads.tolist() == pytest.approx([1] * DEPTH, abs=1e-3)
    else:
        assert spreads[0] == pytest.approx(before[0].std(0, correction=0).mean(), rel=1e-4)
        assert spreads[4] < 0.05  # still faded
    if centre:
        assert after.mean(1).abs().max() < 1e-3
    else:
        torch.testing.assert_close(after[0].mean(0), before[0].mean(0), rtol=1e-3, atol=1e-4)
    assert torch.equal(new["head.weight"], state["head.weight"])
    if not (spread or centre):
        assert all(torch.allclose(new[k], v, atol=1e-6) for k, v in state.items())


def test_bn_is_swapped_in_and_set_back():
    plain = initialise(MLP(), seed=0, scale=2.0)
    state = interventions.normalised(plain)
    net = MLP(norm=True)
    net.load_state_dict(state)
    assert torch.equal(state["layers.2.linear.weight"], plain["layers.2.linear.weight"])
    thrown = {k: v + 3 if ".norm." in k else v for k, v in state.items()}
    again = interventions.anew(thrown)
    assert torch.equal(again["layers.0.norm.weight"], torch.ones(64))
    assert torch.equal(again["layers.0.norm.bias"], torch.zeros(64))
    assert torch.equal(again["layers.0.norm.running_mean"], thrown["layers.0.norm.running_mean"])


@pytest.mark.parametrize(
    ("arm", "control", "word"),
    [(1.0, 0.1, "yes"), (0.1, 0.1, "no"), (1.0, 1.0, "no"), (0.6, None, "undecided")],
)
def test_a_cause_is_found_only_against_the_control(arm, control, word):
    n = 20
    going = [control] * n if control else [0.9] * 13 + [0.1] * 7
    row = {"arms": {"spread": dict.fromkeys(("half", "all"), [arm] * n),
                    "goes on": dict.fromkeys(("half", "all"), going)}}  # fmt: skip
    assert interventions.causes(row, "spread") == word


def test_one_faded_network_is_revived_by_spread_alone_again():
    stored = next(r for r in load("interventions")["rows"] if r["setting"] == "faded sigmoid")
    again = interventions.run({"setting": "faded sigmoid", "seeds": (100,)})
    assert again["kinds"] == stored["kinds"][0] == "F"
    for arm in ("goes on", "centre", "held"):
        assert again["arms"][arm]["all"][0] < CRITERIA.learned
    for arm in ("spread", "both", "BN"):
        assert again["arms"][arm]["all"][0] > CRITERIA.learned


def test_what_the_chapter_says_of_causes_holds():
    summary = load("interventions")["summary"]
    causes = {k: v["causes"] for k, v in summary.items()}
    assert causes["faded sigmoid"]["spread"] == "yes"
    assert causes["faded sigmoid"]["centre"] == causes["faded sigmoid"]["held"] == "no"
    assert causes["dead tanh"]["held"] == "yes"
    assert causes["dead sigmoid"]["held"] == causes["dead ReLU"]["held"] == "no"
    plain = [v["learned"] for v in summary.values() if "BN" in v["learned"]]
    assert all(arms["BN"]["all"] == arms["BN, slower"]["all"] == 20 for arms in plain)


# --- the answer -----------------------------------------------------------------------------------


def test_the_answer_counts_what_the_rows_hold():
    results = {name: load(f"failures-{name}") for name in NAMES}
    kinds = {
        net: Counter(
            kind_of(r)
            for result in results.values()
            for row in result["rows"]
            if row["net"] == net
            for r in runs_of(row)
        )
        for net in ("plain", "bn")
    }
    faded, dead, bn = answer(results, load("interventions"))
    assert f"{kinds['plain']['faded']} of {kinds['plain'].total()} plain runs" in faded
    assert f"{kinds['plain']['thrown, dead']} plain runs" in dead
    assert f"{kinds['bn']['faded']} of {kinds['bn'].total()} runs fade" in bn
    assert f"{kinds['bn']['thrown, moving']} still move" in bn
    assert set(KINDS) >= set(kinds["plain"]) | set(kinds["bn"])


def test_a_diary_ends_where_numbers_do():
    diary = Diary(norm=False, activation="relu", lr=100.0, scale=2.0, seed=0)
    assert math.isnan(diary.follow(25)["drift"])


# --- the figure --------------------------------------------------------------------------------


def after(steps, **values):
    """What the figure `failures` shows after so many steps, seed 0."""
    figure = explorers.get("failures")
    controls = figure.tensors(values)
    state = figure.initial(torch.tensor(0.0), **controls)
    shuffler = Shuffler(figure.rows, seed=0)
    for _ in range(steps):
        state, shown = figure.step(state, shuffler.take(32), **controls)
    return {k: v for k, v in (shown | figure.observe(state, **controls)).items() if v.ndim == 0}


def test_pushed_networks_fail_as_the_chapter_says():
    sigmoid = after(150, push=1.0)
    assert sigmoid["faded_flat"] < 5 < 80 < sigmoid["thrown_flat"]
    assert sigmoid["bn_flat"] > 80
    assert sigmoid["faded_spread"] < 0.01  # blind, as `Criteria` has it
    tanh = after(150, push=1.0, activation="tanh")
    assert tanh["bn_flat"] > 60
    assert tanh["bn_spread"] > 0.3  # far apart, from image to image
    for shown in (sigmoid, tanh):
        assert max(shown[f"{net}_test"] for net in ("faded", "thrown", "bn")) < 0.4


def test_networks_without_a_push_learn():
    shown = after(150, push=0.0)
    assert min(shown[f"{net}_test"] for net in ("faded", "thrown", "bn")) > 0.6
