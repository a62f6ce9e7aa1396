"""Batch Normalization taken apart: the rule can say both, stored runs are recomputed."""

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from bnviz import experiments
from bnviz.experiments import apart
from bnviz.experiments.centring import CENTRING, RATE, ROWS, SCALES, SIZES
from bnviz.maths.apart import TakenApart
from bnviz.maths.data import digits
from bnviz.maths.nets import initialise

KINDS = ("sigmoid", "relu")
RESULTS = {kind: experiments.load(f"apart-{kind}") for kind in KINDS}
SIGMOID = next(contest for contest in apart.CONTESTS if contest.name == "apart-sigmoid")
ROWS_STORED = RESULTS["sigmoid"]["rows"]


def as_if(name: str, other: str, share: float = 1.0) -> list[dict]:
    """The stored rows of sigmoid, but a contender has that share of another one's gain."""
    contest, rows = SIGMOID, ROWS_STORED
    who = {c.name: c for c in contest.contenders}
    curves = {
        budget: {n: contest.curves(who[n], budget, rows) for n in (other, "unscaled")}
        for budget in contest.budgets
    }
    made = [r for r in rows if not (r["stage"] == "report" and r["contender"] == name)]
    done = set()
    for budget in contest.budgets:
        trial = contest.choice(who[name], budget, rows).trial
        if trial in done:
            continue
        done.add(trial)
        full = max(contest.budgets)
        pairs = zip(curves[full][other], curves[full]["unscaled"], strict=True)
        for seed, (high, low) in zip(contest.seeds, pairs, strict=True):
            scores = [b + share * (a - b) for a, b in zip(high, low, strict=True)]
            made.append(
                {"stage": "report", "contender": name, "trial": trial, "seed": seed,
                 "scores": scores}
            )  # fmt: skip
    return made


@pytest.mark.parametrize(("share", "kept"), [(1.0, True), (0.0, False)])
def test_the_rule_can_say_both(share, kept):
    found = apart.outcome(SIGMOID, "weight", as_if("weight", "bn", share))
    assert found is not None
    assert found.kept is kept
    assert found.share[2] == pytest.approx(share, abs=0.02)


def test_without_a_gain_there_is_nothing_to_keep():
    assert apart.outcome(SIGMOID, "mean", as_if("bn", "unscaled")) is None


def test_what_is_told_is_what_the_rule_says():
    found, told = apart.outcomes(RESULTS), apart.shares(RESULTS)
    words = {True: "keeps", False: "loses", None: "open"}
    for kind, of in found.items():
        for name, one in of.items():
            said = told[kind][apart.INTERVENTIONS[name]]
            assert said == "no gain" if one is None else said.startswith(words[one.kept])
    for explanation, said in apart.PREDICTIONS.items():
        for kind, score in apart.scores(RESULTS)[explanation].items():
            of = found[kind]
            known = [n for n in said if of[n] and of[n].kept is not None]
            right = [n for n in known if of[n].kept == said[n]]
            assert score == (f"{len(right)} of {len(known)}" if known else "nothing")


@pytest.mark.parametrize("name", ["mean", "weight"])
def test_a_stored_run_is_recomputed(name):
    rows = ROWS_STORED
    cell = next(c for c in SIGMOID.report_cells(rows) if c["contender"] == name)
    (stored,) = (
        r["scores"]
        for r in rows
        if r["stage"] == "report" and all(r[k] == cell[k] for k in ("contender", "trial", "seed"))
    )
    early = 3
    found = SIGMOID.run(cell | {"steps": cell["steps"][:early]})["test"]
    np.testing.assert_allclose(found, stored[:early], atol=1.5 / 360 + 0.0005)


@pytest.mark.parametrize("net", ["none", "bn"])
def test_the_largest_curvature_is_that_of_the_hessian(net):
    """A tanh network's stored number against eigenvalues of the whole Hessian of a layer and
    against the curvature along the direction of a difference quotient."""
    cell = {"activation": "tanh", "net": net, "seed": 0}
    stored = next(
        r for r in experiments.load("centring")["rows"] if all(r[k] == v for k, v in cell.items())
    )
    found = CENTRING.row({**cell, "at": (0,)})
    assert found["top_0"] == pytest.approx(stored["top_0"], rel=0.02)
    # no smaller than the largest curvature within one layer
    module = TakenApart(SIZES, part=net, activation="tanh").train()
    values = initialise(module, 0, SCALES["tanh"])
    x, y = digits().x_train[:ROWS], digits().y_train[:ROWS]

    def loss(head):
        return F.cross_entropy(functional_call(module, {**values, "head.weight": head}, (x,)), y)

    head = values["head.weight"]
    block = torch.autograd.functional.hessian(loss, head).reshape(head.numel(), -1)
    assert found["top_0"] >= torch.linalg.eigvalsh(block)[-1].item() * 0.99
    assert RATE * found["top_0"] < 2  # the rate is small enough for all of them to descend


def test_a_slower_bn_is_one_of_its_own_trials():
    who = {c.name: c for c in SIGMOID.contenders}
    for budget, found in apart.slower(SIGMOID, ROWS_STORED).items():
        number = int(budget.split()[0])
        assert found["lr"] <= found["limit"]
        assert found["limit"] == SIGMOID.choice(who["scaled"], number, ROWS_STORED).values["lr"]
        assert found["share"] <= 1
