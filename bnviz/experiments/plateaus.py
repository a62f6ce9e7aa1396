"""How much of a slice through the loss surface is plateau, with and without BN, over seeds?"""

import torch
from torch.func import grad

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.surface import (
    HIGH,
    OPTIMISERS,
    SLOPE,
    begin,
    losses_of,
    plateaus,
    slice_of,
    update,
)

__all__ = ["PLATEAUS"]

NETS = ("plain", "bn")
SETTINGS = {  # activation, initial scale, learning rate of SGD, hidden layers
    "sigmoid, 4 layers": ("sigmoid", 2.0, 0.5, 4), "sigmoid, 7 layers": ("sigmoid", 2.0, 0.5, 7),
    "tanh, 4 layers": ("tanh", 1.0, 0.15, 4), "relu, 4 layers": ("relu", 1.4, 0.1, 4),
}  # fmt: skip
STEPS, BATCH, WIDTH, PROBE, POINTS, HALF = 200, 32, 16, 100, 31, 1.0
PAIRS = ((0, 1), (0, 2), (1, 2))


def run(cell: Row) -> Row:
    """Train with three optimisers from one start; the share of plateaus in the three slices."""
    activation, scale, lr, depth = SETTINGS[cell["setting"]]
    net = MLP((64, *[WIDTH] * depth, 10), norm=cell["net"] == "bn", activation=activation)
    drawn, data = initialise(net, cell["seed"], scale), digits()
    start = {k: drawn[k] for k, _ in net.named_parameters()}
    w, m, s = begin(start)
    shuffler = Shuffler(len(data.x_train), cell["seed"])

    def losses(values, x, y):
        return losses_of(values, x, y, net.layers[0].activation.index)

    def total(values, x, y):
        return losses(values, x, y).sum()

    for t in range(1, STEPS + 1):
        rows = shuffler.take(BATCH)
        gradient = grad(total)(w, data.x_train[rows], data.y_train[rows])
        w, m, s = update(w, m, s, gradient, torch.tensor(lr), torch.tensor(float(t)))
    x, y = data.x_train[:PROBE], data.y_train[:PROBE]
    places, ends = 0.5 + HALF * torch.linspace(-1, 1, POINTS), range(len(OPTIMISERS))
    points = [{k: v[i] for k, v in w.items()} for i in ends]
    shares, high = [], []
    for a, b in PAIRS:
        z = slice_of(lambda v: losses(v, x, y), start, points[a], points[b], places)
        shares.append(plateaus(z, 2 * HALF / (POINTS - 1)).mean().item())
        high.append((z > HIGH).float().mean().item())
    return {
        "losses": losses(w, x, y).tolist(),
        "shares": shares,
        "share": sum(shares) / len(shares),
        "high": sum(high) / len(high),
    }


def summarise(rows: list[Row]) -> dict:
    """Median and extremes over seeds, and in how many seeds BN has fewer plateaus."""
    table, fewer = {}, {}
    for setting in SETTINGS:
        for net in NETS:
            chosen = [r for r in rows if (r["setting"], r["net"]) == (setting, net)]
            keys = ("share", "high")
            table[f"{setting}, {net}"] = {k: between(r[k] for r in chosen) for k in keys}
        plain, bn = (
            {r["seed"]: r["share"] for r in rows if (r["setting"], r["net"]) == (setting, n)}
            for n in NETS
        )
        fewer[setting] = sum(bn[seed] < plain[seed] for seed in plain)
    seeds = len({row["seed"] for row in rows})
    return {"runs": len(rows), "seeds": seeds, "fewer_with_bn": fewer, "by_net": table}


PLATEAUS = Experiment(
    name="plateaus",
    title="Plateaus in slices through the loss surface",
    claims=("C30",),
    question="Has the loss surface large plateaus without BN, and none with it?",
    settings={
        "network": f"hidden layers of {WIDTH}",
        "settings": {k: dict(zip(("activation", "scale", "lr", "depth"), v, strict=True))
                     for k, v in SETTINGS.items()},
        "steps": STEPS,
        "batch": BATCH,
        "optimisers": "SGD at lr, momentum 0.9 at lr / 5, Adam at lr / 20, from one start",
        "slices": f"the start and two end points; {POINTS} x {POINTS} points, coordinates -0.5 to "
        f"1.5 (in trips); loss on {PROBE} training images, in training mode",
        "plateau": f"loss above {HIGH:.3f} and slope below {SLOPE} per trip",
    },
    grid={"setting": tuple(SETTINGS), "net": NETS, "seed": tuple(range(6))},
    run=run,
    summarise=summarise,
    notes=("share: mean of the three slices; fewer_with_bn: seeds of 6",),
)  # fmt: skip
