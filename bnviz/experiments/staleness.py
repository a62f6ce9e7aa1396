"""How much a gradient turns, and how far distributions move, as the initial scale is chosen.

With BN in front of every activation the loss does not change when a layer's weights W grow a-fold,
and its gradient in W shrinks a-fold. So a step of rate lr turns W by an angle that goes as
lr / a^2: the effective rate. Whoever chooses the initial scale chooses it, and with it how far a
network with BN moves in a step. Here the scale is varied, and, beside it, the rate at one scale, so
that both have the same effective rate.

Source of the effective rate: van Laarhoven (2017), section 3.
"""

from functools import cache
from statistics import mean, median

import torch
from torch import Tensor
from torch.func import functional_call

from bnviz.compile.trace import Function, Layout
from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.failures import PROPER
from bnviz.experiments.watched import BATCH, DEPTH, PROBE, Watched
from bnviz.maths import ics
from bnviz.maths.data import digits
from bnviz.maths.functional import State, hold
from bnviz.maths.nets import MLP
from bnviz.maths.record import inputs_of

__all__ = ["ICS_SCALE"]

RATES = {"sigmoid": 1.5, "tanh": 0.15, "relu": 0.1}
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_WORDS = ("quarter", "half", "proper", "twice", "four times")
STEPS, EVERY = 300, 10
LATE = range(200, 300)
SEEDS = tuple(range(10))
# factor on the scale, factor on the rate: one varied, then the other to the same effective rate
CHOICES = (*((f, 1.0) for f in FACTORS), *((1.0, f**-2) for f in FACTORS if f != 1))


def _more(net: MLP, layout: Layout) -> list[Function]:
    """`turned`, the second measure on the batch that comes next, and `inside`, for the first."""
    data = digits()

    def turned(state: Tensor, rows: Tensor, controls: Tensor) -> State:
        values = hold(net, layout.unpack(state), {"activation": controls[2]})
        batch = data.x_train[rows], data.y_train[rows]
        found = ics.gradient_shift(net, values, *batch, controls[0])
        return {"cosine": found["cosine"]}  # (DEPTH + 1,)

    def inside(state: Tensor, controls: Tensor) -> State:
        values = hold(net, layout.unpack(state), {"activation": controls[2]})
        watched = [m for layer in net.layers for m in (layer.norm, layer.activation)]
        with inputs_of(watched) as seen:
            functional_call(net.train(), values, (data.x_train[:PROBE],))
        return {"front": torch.stack(seen[0::2]), "behind": torch.stack(seen[1::2])}

    start = layout.pack(net.state_dict())
    held = {"state": start, "controls": torch.tensor([0.1, 1.0, 0.0])}
    rows = {"rows": torch.arange(BATCH - 9)}
    return [
        Function("turned", turned, {"state": start, **rows, "controls": held["controls"]}),
        Function("inside", inside, held),
    ]


@cache
def _net(norm: bool) -> Watched:
    return Watched(norm, _more)


def run(cell: Row) -> Row:
    """All seeds of one network: accuracy, cosine of G and G', drift in front of BN and behind it.

    Means over layers 2 to 5, medians over the steps 200 to 299.
    """
    scale, rate = CHOICES[cell["choice"]]
    found = []
    for seed in cell.get("seeds", SEEDS):
        net = _net(cell["net"] == "bn")
        net.begin(
            activation=cell["activation"],
            lr=rate * RATES[cell["activation"]],
            scale=scale * PROPER[cell["activation"]],
            seed=seed,
        )
        found.append(_measure(net))
    columns = zip(*found, strict=True)
    keys = ("accuracy", "cosine", "front", "behind")
    return {k: rounded(list(v)) for k, v in zip(keys, columns, strict=True)}


def _measure(net: Watched) -> tuple[float, ...]:
    """Accuracy on test images, and the three measures."""
    rows: list[list[float]] = []
    for done in range(0, STEPS, EVERY):
        if done not in LATE:
            net.go(EVERY)
            continue
        before = net.instance("inside")
        batch = net.rows.take(BATCH)
        turned = net.instance("turned", rows=batch)
        net.instance.run("step", rows=batch)
        net.instance.keep("step")
        after = net.instance("inside")
        drifts = [_drift(before[k], after[k]) for k in ("front", "behind")]
        rows.append([turned["cosine"][1:DEPTH].mean().item(), *drifts])
        net.go(EVERY - 1)
    seen = net.look()
    accuracy = seen["test"].item() if bool(seen["finite"]) else 0.1
    return accuracy, *(median(column) for column in zip(*rows, strict=True))


def _drift(a: Tensor, b: Tensor) -> float:
    """Wasserstein distance in spreads of a unit, mean over layers 2 to 5; (DEPTH, PROBE, d)."""
    return mean(
        (ics.wasserstein(a[k], b[k]).mean() / a[k].std(0, correction=0).mean()).item()
        for k in range(1, DEPTH)
    )


def summarise(rows: list[Row]) -> dict:
    """Each measure by activation, network and choice, and where BN turns the gradient less."""
    found: dict = {}
    for row in rows:
        of = found.setdefault(row["activation"], {}).setdefault(row["net"], [])
        scale, rate = CHOICES[row["choice"]]
        of.append(
            {
                "scale": scale,
                "rate": rate,
                "effective": rate / scale**2,
                **{k: between(row[k]) for k in ("accuracy", "cosine", "front", "behind")},
                "learned": sum(a > 0.5 for a in row["accuracy"]),
            }
        )
    for activation in list(found):
        plain, bn = (_at(rows, activation, net) for net in ("plain", "bn"))
        found[activation]["calmer"] = {
            name: sum(a > b for a, b in zip(bn[scale], plain[scale], strict=True))
            for name, scale in zip(_WORDS, FACTORS, strict=True)
        }
        found[activation] |= _compared(found[activation])
    return {"seeds": len(rows[0]["accuracy"]), **found}


def _compared(of: dict) -> dict:
    """How far the scale alone moves BN's cosine, and its drift over that of the plain network."""
    plain, bn = ({c["scale"]: c for c in of[net] if c["rate"] == 1} for net in ("plain", "bn"))
    cosines = [bn[scale]["cosine"]["median"] for scale in FACTORS]
    ratios = {k: bn[1.0][k]["median"] / plain[1.0][k]["median"] for k in ("front", "behind")}
    return {"span": rounded(max(cosines) - min(cosines)), "drift_ratio": rounded(ratios)}


def _at(rows: list[Row], activation: str, net: str) -> dict[float, list[float]]:
    """Factor on the scale -> cosine of every seed, at one rate."""
    return {
        CHOICES[r["choice"]][0]: [-1.0 if c is None else c for c in r["cosine"]]
        for r in rows
        if (r["activation"], r["net"]) == (activation, net) and CHOICES[r["choice"]][1] == 1
    }


ICS_SCALE = Experiment(
    name="ics-scale",
    title="Both measures of internal covariate shift against the initial scale",
    claims=("C07",),
    question="Does BN calm the gradient, whatever the initial scale?",
    settings={
        "data": "digits",
        "network": "5 hidden layers of 64",
        "steps": STEPS,
        "batch": BATCH,
        "seeds": f"0 to {SEEDS[-1]}",
        "rates": RATES,
        "scales": {k: round(v, 3) for k, v in PROPER.items()},
        "choices": [dict(zip(("scale", "rate"), c, strict=True)) for c in CHOICES],
        "measured": f"before every {EVERY}th of the steps {LATE[0]} to {LATE[-1]}, medians; means "
        "over layers 2 to 5",
        "front, behind": "Wasserstein-1 distance over one step of what enters BN, and of what the "
        "activation receives, in spreads of a unit",
        "no": "That BN calms the gradient, or stirs it, is refuted for an activation if one scale "
        "shows it in 9 of 10 seeds and another the opposite in 9 of 10, both with all networks "
        "trained.",
    },
    grid={
        "activation": tuple(RATES),
        "net": ("plain", "bn"),
        "choice": tuple(range(len(CHOICES))),
    },
    run=run,
    summarise=summarise,
)
