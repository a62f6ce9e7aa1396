"""How much of a slice through the loss surface is plateau, and has it peaks? With and without BN.

Im et al. (2016) look at planes through a start and two trained networks. A plane through a point
that never moved shows the start twice, so only networks that learned span a plane here. A trip has
another length in every plane; the slope is therefore also taken per relative distance, ||dw|| over
the norm of the start. Beside them: planes of random directions, scaled as each unit's own weights
(Li et al., 2018, "Visualizing the loss landscape of neural nets").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import mean

import torch
from torch import Tensor
from torch.func import grad, vmap

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.statistics import effect
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.surface import OPTIMISERS, begin, losses_of, slice_of, update

__all__ = [
    "LENGTHS",
    "PLANES",
    "PLATEAUS",
    "THRESHOLDS",
    "TRIPS",
    "of_lengths",
    "of_trips",
    "peaks",
    "random_ends",
    "relative_slope",
]

SETTINGS = {  # activation, initial scale, hidden layers, learning rates of SGD to choose from
    "sigmoid, 4 layers": ("sigmoid", 4.0, 4, (0.15, 0.5, 1.5, 5.0)),
    "sigmoid, 7 layers": ("sigmoid", 4.0, 7, (0.15, 0.5, 1.5, 5.0)),
    "tanh, 4 layers": ("tanh", 1.0, 4, (0.05, 0.15, 0.5, 1.5)),
    "relu, 4 layers": ("relu", 1.4, 4, (0.03, 0.1, 0.3, 1.0)),
}
STEPS, BATCH, WIDTH, PROBE, POINTS = 600, 32, 16, 100, 31
LEARNED = 1.0  # nats: less than half of guessing
PAIRS = tuple(combinations(range(len(OPTIMISERS)), 2))
PLANES = (*(f"{OPTIMISERS[a]}, {OPTIMISERS[b]}" for a, b in PAIRS), "around start", "around end")
# how high (share of ln 10) and how flat (per relative distance): the middle one, and others
THRESHOLDS = ((0.9, 0.5), (0.9, 0.25), (0.9, 1.0), (0.8, 0.5), (0.97, 0.5))
PER_TRIP = 0.5
TRIPS = 0.5 + torch.linspace(-1, 1, POINTS)  # places along a plane through three points
LENGTHS = torch.linspace(-1, 1, POINTS)  # and around one
KINDS = {"trained": (0, 1, 2), "around start": (3,), "around end": (4,)}
Values = dict[str, Tensor]
Losses = Callable[[Values], Tensor]


def run(cell: Row) -> Row:
    """Train with three optimisers from one start; shares of plateaus and peaks in five planes."""
    activation, scale, depth, rates = SETTINGS[cell["setting"]]
    net = MLP((64, *[WIDTH] * depth, 10), norm=cell["net"] == "bn", activation=activation)
    drawn, data = initialise(net, cell["seed"], scale), digits()
    start = {k: drawn[k] for k, _ in net.named_parameters()}
    index = net.layers[0].activation.index
    x, y = data.x_train[:PROBE], data.y_train[:PROBE]

    def losses(values: Values) -> Tensor:
        return losses_of(values, x, y, index)

    ends = _trained(start, index, cell["seed"], torch.tensor(rates), cell.get("steps", STEPS))
    reached = losses(ends).nan_to_num(math.inf)  # (rates, 3)
    best = reached.argmin(0)  # for each optimiser its own
    points = [{k: v[r, i] for k, v in ends.items()} for i, r in enumerate(best.tolist())]
    found = reached.amin(0)
    row: Row = {"losses": found.tolist(), "rates": [rates[r] for r in best.tolist()]}
    shares: list = []
    for a, b in PAIRS:
        learned = bool(found[a] < LEARNED and found[b] < LEARNED)
        shares.append(_through(losses, start, points[a], points[b]) if learned else None)
    middle = points[int(found.argmin())]
    shares += [_around(losses, w, cell["seed"]) for w in (start, middle)]
    return row | {"planes": shares}


def _trained(start: Values, index: Tensor, seed: int, lr: Tensor, steps: int) -> Values:
    """Where the three optimisers are after so many steps at each of the rates, (rates, 3, ...)."""
    data, shuffler = digits(), Shuffler(1437, seed)
    w, m, s = ({k: v.expand(len(lr), *v.shape).clone() for k, v in p.items()} for p in begin(start))
    move = vmap(update, in_dims=(0, 0, 0, 0, 0, None))

    def total(values: Values, x: Tensor, y: Tensor) -> Tensor:
        return losses_of(values, x, y, index).sum()

    for t in range(1, steps + 1):
        rows = shuffler.take(BATCH)
        gradient = grad(total)(w, data.x_train[rows], data.y_train[rows])
        w, m, s = move(w, m, s, gradient, lr, torch.tensor(float(t)))
    return w


def _through(losses: Losses, start: Values, a: Values, b: Values) -> list[float]:
    """A plane in trips, from -0.5 to 1.5."""
    return of_trips(slice_of(losses, start, a, b, TRIPS), start, a, b)


def of_trips(z: Tensor, start: Values, a: Values, b: Values) -> list[float]:
    """Of a plane at `TRIPS` through a start and two ends what `_measures` gives, and one more.

    The last is the share of plateau with the slope taken per trip.
    """
    flat = {k: torch.stack([(p[k] - start[k]).flatten() for p in (a, b)]) for k in start}
    size = torch.cat([w.flatten() for w in start.values()]).norm()
    trips = torch.cat(list(flat.values()), 1) / size  # (2, parameters)
    spacing = 2 / (POINTS - 1)
    per_trip = relative_slope(z, torch.eye(2) * spacing)
    high = z[1:-1, 1:-1] > THRESHOLDS[0][0] * math.log(10)
    share = (high & (per_trip < PER_TRIP)).float().mean().item()
    return [*_measures(z, trips @ trips.T * spacing**2, spacing), share]


def _around(losses: Losses, centre: Values, seed: int) -> list[float]:
    """A plane of two random directions through a point, as far as its weights are long."""
    return of_lengths(slice_of(losses, centre, *random_ends(centre, seed), LENGTHS))


def of_lengths(z: Tensor) -> list[float]:
    """Of a plane at `LENGTHS` what `_measures` gives."""
    spacing = 2 / (POINTS - 1)
    return _measures(z, torch.eye(2) * spacing**2, spacing)


def random_ends(centre: Values, seed: int) -> tuple[Values, Values]:
    """Two points beside the centre; each unit's, or filter's, step is as long as its weights."""
    ends = []
    for stream in (1, 2):
        step: Values = {}
        for number, (k, w) in enumerate(centre.items()):
            d = prng.normal(tuple(w.shape), torch.tensor(seed), stream=100 * stream + number)
            if w.ndim > 1:  # one row for each unit
                lengths = (v.flatten(1).norm(dim=1) for v in (w, d))
                own, drawn = (n.view(-1, *[1] * (w.ndim - 1)) for n in lengths)
                d = d * own / drawn
            else:  # biases, gamma and beta stay, as in the source
                d = torch.zeros_like(d)
            step[k] = w + d
        ends.append(step)
    return ends[0], ends[1]


def _measures(z: Tensor, gram: Tensor, spacing: float) -> list[float]:
    """Shares of plateau for each of `THRESHOLDS`, share of high points, number of peaks."""
    root = torch.linalg.cholesky(gram.double() + 1e-12 * torch.eye(2)).float()
    slope, inner = relative_slope(z, root), z[1:-1, 1:-1]
    shares = [
        ((inner > high * math.log(10)) & (slope < flat)).float().mean().item()
        for high, flat in THRESHOLDS
    ]
    high = (inner > THRESHOLDS[0][0] * math.log(10)).float().mean().item()
    return [*shares, high, float(peaks(z).sum())]


def relative_slope(z: Tensor, root: Tensor) -> Tensor:
    """The length of the gradient within a plane, by central differences, (n - 2, n - 2).

    Args:
        z: (n, n); a step along a column is the plane's first direction, along a row the second.
        root: L with L L^T the products of these two steps, (2, 2): their lengths and angle.

    >>> z = 3 * torch.arange(4.0).repeat(4, 1)  # 3 for each step of length 0.5
    >>> relative_slope(z, 0.5 * torch.eye(2)).unique()
    tensor([6.])
    """
    across = (z[1:-1, 2:] - z[1:-1, :-2]) / 2
    along = (z[2:, 1:-1] - z[:-2, 1:-1]) / 2
    both = torch.stack([across.flatten(), along.flatten()])  # (2, points)
    return torch.linalg.solve(root, both).norm(dim=0).reshape(across.shape)


def peaks(z: Tensor) -> Tensor:
    """1 where a point lies above its eight neighbours, (n - 2, n - 2)."""
    n = len(z)
    middle = z[1:-1, 1:-1]
    around = [
        z[1 + i : n - 1 + i, 1 + j : n - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    return (middle > torch.stack(around).amax(0)).float()


def summarise(rows: list[Row]) -> dict:
    """For each setting, net and plane: over the seeds in which both of its points learned."""
    table: dict = {}
    for setting in SETTINGS:
        for net in ("plain", "bn"):
            own = [r for r in rows if (r["setting"], r["net"]) == (setting, net)]
            table[f"{setting}, {net}"] = {
                plane: _describe([r["planes"][k] for r in own if r["planes"][k]])
                for k, plane in enumerate(PLANES)
            }
    less = {
        setting: {kind: _less(rows, setting, numbers) for kind, numbers in KINDS.items()}
        for setting in SETTINGS
    }
    seeds = len({r["seed"] for r in rows})
    return {"runs": len(rows), "seeds": seeds, "less_with_bn": less, "by_net": table}


def _less(rows: list[Row], setting: str, numbers: Sequence[int]) -> Row:
    """Share without BN less that with BN, over seeds in which both have such planes."""
    shares: dict[str, dict[int, float]] = {"plain": {}, "bn": {}}
    for row in rows:
        found = [row["planes"][k][0] for k in numbers if row["planes"][k]]
        if row["setting"] == setting and found:
            shares[row["net"]][row["seed"]] = mean(found)
    both = sorted(shares["plain"].keys() & shares["bn"].keys())
    if len(both) < 2:
        return {"seeds": len(both)}
    plain, bn = ([shares[net][seed] for seed in both] for net in ("plain", "bn"))
    return rounded({"seeds": len(both), **asdict(effect(plain, bn))})


def _describe(planes: list) -> Row:
    thresholds = len(THRESHOLDS)
    return {
        "planes": len(planes),
        "share": between(p[0] for p in planes),
        "varied": [between(p[k] for p in planes)["median"] for k in range(1, thresholds)],
        "high": between(p[thresholds] for p in planes)["median"],
        "peaks": between(p[thresholds + 1] for p in planes),
        "per_trip": between(p[thresholds + 2] for p in planes if len(p) > thresholds + 2)["median"],
    }


PLATEAUS = Experiment(
    name="plateaus",
    title="Plateaus and peaks in slices through the loss surface",
    claims=("C30", "C37"),
    question="Has the loss surface large plateaus without BN, and none, but peaks, with it?",
    settings={
        "network": f"hidden layers of {WIDTH}",
        "settings": {k: dict(zip(("activation", "scale", "depth", "rates"), v, strict=True))
                     for k, v in SETTINGS.items()},
        "steps": STEPS,
        "batch": BATCH,
        "optimisers": "SGD at lr, momentum 0.9 at lr / 5, Adam at lr / 20, from one start; each at "
        "the rate of four with the lowest loss on the probe",
        "learned": f"loss on the probe below {LEARNED}; other points span no plane",
        "planes": PLANES,
        "slices": f"{POINTS} x {POINTS} points. Through the start and two ends: -0.5 to 1.5 in "
        "trips. Around the start and around the best end: -1 to 1 along two random directions, "
        f"each unit's part as long as its weights. Loss on {PROBE} training images, training mode",
        "plateau": "loss above a share of ln 10, slope below a limit per relative distance",
        "thresholds": THRESHOLDS,
        "peak": "a point above its eight neighbours",
        "no": "plateaus without BN and none with it, only if the share without BN exceeds twice "
        "that with it in the medians, by 0.05 or more, at every threshold, in planes of both kinds",
    },
    grid={"setting": tuple(SETTINGS), "net": ("plain", "bn"), "seed": tuple(range(4))},
    run=run,
    summarise=summarise,
    notes=("planes: a list for each of them, null where a point did not learn: shares at the five "
           "thresholds, share of high points, number of peaks, and share with a slope below "
           f"{PER_TRIP} per trip",
           "less_with_bn: share without BN less that with it, mean over planes of a kind"),
)  # fmt: skip
