"""Im et al. (2016) on CIFAR-10: plateaus in planes through VGG and NIN, with BN and without.

The same planes and the same definition of a plateau as in `plateaus`, on networks of the paper's
kinds. A plane is computed point by point: all points at once would not fit into memory.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import combinations
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.plateaus import (
    LENGTHS,
    PLANES,
    THRESHOLDS,
    TRIPS,
    of_lengths,
    of_trips,
    random_ends,
)
from bnviz.experiments.statistics import effect
from bnviz.experiments.vgg import BATCH, SETTINGS, photos
from bnviz.maths.data import Split
from bnviz.maths.nin import NIN
from bnviz.maths.prng import Shuffler
from bnviz.maths.vgg import VGG

__all__ = ["VGG_PLANES"]

KINDS: dict[str, Callable[..., VGG | NIN]] = {"VGG": VGG, "NIN": NIN}
STEPS, PROBE = 600, 128
LEARNED = 0.9 * math.log(10)  # nats: who stays above shows the start a second time
# SGD; momentum at a fifth of its rates, Adam at a hundredth
RATES = (0.02, 0.06, 0.2)
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda learned, lr: torch.optim.SGD(learned, lr),
    "momentum": lambda learned, lr: torch.optim.SGD(learned, lr / 5, momentum=0.9),
    "Adam": lambda learned, lr: torch.optim.Adam(learned, lr / 100),
}
PAIRS = tuple(combinations(range(len(OPTIMISERS)), 2))
PARTS = {"trained": (0, 1, 2), "around start": (3,), "around end": (4,)}
Values = dict[str, Tensor]


def run(cell: Row, data: Split | None = None) -> Row:
    """Train with three optimisers from one start; plateaus and peaks of five planes."""
    fit = data or photos(cell["device"])[0]
    net = KINDS[cell["kind"]](norm=cell["net"] == "bn", width=cell["width"])
    state = net.start(cell["seed"])
    net.load_state_dict(state)
    net.to(cell["device"])
    learned = [name for name, _ in net.named_parameters()]
    start = {k: state[k].to(cell["device"]) for k in learned}
    x, y = fit.x_train[:PROBE], fit.y_train[:PROBE]

    def loss(values: Values) -> float:
        with torch.no_grad():
            for name, p in net.named_parameters():
                p.copy_(values[name])
            found = F.cross_entropy(net.train()(x), y).item()
        return found if math.isfinite(found) else math.inf

    steps, rates = cell.get("steps", STEPS), cell.get("rates", RATES)
    ends, losses, chosen = [], [], []
    for optimiser in OPTIMISERS.values():
        tried = [_trained(net, state, optimiser, lr, fit, cell["seed"], steps) for lr in rates]
        reached = [loss(end) for end in tried]
        best = reached.index(min(reached))
        ends.append(tried[best])
        losses.append(reached[best])
        chosen.append(rates[best])
    planes: list[list[float] | None] = []
    for a, b in PAIRS:
        able = max(losses[a], losses[b]) < LEARNED
        z = _plane(loss, start, ends[a], ends[b], TRIPS) if able else None
        planes.append(None if z is None else of_trips(z, start, ends[a], ends[b]))
    for centre in (start, ends[losses.index(min(losses))]):
        z = _plane(loss, centre, *random_ends(centre, cell["seed"]), LENGTHS)
        planes.append(of_lengths(z))
    return {"losses": losses, "rates": chosen, "planes": planes}


def _trained(
    net: nn.Module, state: Values, optimiser: Callable, lr: float, fit: Split, seed: int, steps: int
) -> Values:
    """Where an optimiser is after so many steps from a state."""
    net.load_state_dict(state)
    moves = optimiser(list(net.parameters()), lr)
    shuffler = Shuffler(len(fit.x_train), seed)
    for _ in range(steps):
        rows = shuffler.take(min(BATCH, len(fit.x_train)))
        found = F.cross_entropy(net.train()(fit.x_train[rows]), fit.y_train[rows])
        moves.zero_grad()
        found.backward()
        moves.step()
    return {k: p.detach().clone() for k, p in net.named_parameters()}


def _plane(
    loss: Callable[[Values], float], start: Values, a: Values, b: Values, places: Tensor
) -> Tensor:
    """The loss on a grid of a plane, as `surface.slice_of` has it, (n, n)."""
    rows = []
    for v in places.tolist():
        rows.append(
            [
                loss({k: w + u * (a[k] - w) + v * (b[k] - w) for k, w in start.items()})
                for u in places.tolist()
            ]
        )
    return torch.tensor(rows)


def summarise(rows: list[Row]) -> dict[str, Any]:
    """For each kind of network and plane: shares over the seeds in which its points learned."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        for net in ("plain", "bn"):
            own = [r for r in rows if (r["kind"], r["net"]) == (kind, net)]
            found[f"{kind}, {net}"] = {
                plane: _described([r["planes"][k] for r in own if r["planes"][k]])
                for k, plane in enumerate(PLANES)
            }
        found[f"{kind}, less with BN"] = {
            part: _less([r for r in rows if r["kind"] == kind], at) for part, at in PARTS.items()
        }
    return found


def _described(planes: list[list[float]]) -> Row:
    n = len(THRESHOLDS)
    return {
        "planes": len(planes),
        "share": between(p[0] for p in planes),
        "varied": [between(p[k] for p in planes)["median"] for k in range(1, n)],
        "peaks": between(p[n + 1] for p in planes),
    }


def _less(rows: list[Row], at: tuple[int, ...]) -> Row:
    """Share without BN less that with it, over seeds in which both have such planes."""
    shares: dict[str, dict[int, float]] = {"plain": {}, "bn": {}}
    for row in rows:
        seen = [row["planes"][k][0] for k in at if row["planes"][k]]
        if seen:
            shares[row["net"]][row["seed"]] = mean(seen)
    both = sorted(shares["plain"].keys() & shares["bn"].keys())
    if len(both) < 2:
        return {"seeds": len(both)}
    plain, bn = ([shares[net][seed] for seed in both] for net in ("plain", "bn"))
    return rounded({"seeds": len(both), **asdict(effect(plain, bn))})


VGG_PLANES = Experiment(
    name="vgg-planes",
    title="Plateaus and peaks in planes through VGG and NIN, on CIFAR-10",
    claims=("C30", "C37"),
    question="Has the loss surface large plateaus without BN, and none, but peaks, with it?",
    settings=SETTINGS
    | {
        "network": "VGG-11, and Network in Network; BN behind every convolution or nowhere",
        "optimiser": "SGD, momentum 0.9 at a fifth of its rates, Adam at a hundredth, from one "
        f"start; each at that of the rates {RATES} with the lowest loss on the probe",
        "steps": STEPS,
        "probe": f"{PROBE} training photos, training mode",
        "learned": f"loss on the probe below {LEARNED:.2f}; other points span no plane",
        "planes": list(PLANES),
        "thresholds": [list(pair) for pair in THRESHOLDS],
        "slices and plateaus": "as in `plateaus`",
        "no": "plateaus without BN and none with it, only if the share without BN exceeds twice "
        "that with it in the medians, by 0.05 or more, at every threshold, in planes of both kinds",
    },
    grid={"kind": tuple(KINDS), "net": ("plain", "bn"), "seed": tuple(range(4))},
    run=run,
    summarise=summarise,
    options={"device": "cpu", "width": 0.125},
    notes=("planes: a list for each of them, null where a point did not learn; see `plateaus`.",),
)
