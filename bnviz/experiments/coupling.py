"""How much does a layer feel when a layer far below it changes? Moments, and single values."""

import torch
from torch import Tensor

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.maths.train import train

__all__ = ["COUPLING", "MOVES"]

SIZES, STEPS, BATCH, LR, PROBE = (64, 40, 40, 40, 10), 100, 32, 0.2, 256
MOVES = ("mean", "spread", "value")


def run(cell: Row) -> Row:
    """Train, add noise of half its norm to the first weights, and look at layer 3.

    mean, spread, value: how far they move, in standard deviations of each unit before the change;
    means over the units (value: root mean square over units and images).
    """
    seed = cell["seed"]
    net = MLP(SIZES, norm=cell["net"] == "bn", activation="tanh")
    net.load_state_dict(initialise(net, seed))
    train(net, digits(), steps=STEPS, batch_size=BATCH, lr=LR, seed=seed)
    before = _third_layer(net)
    first = net.layers[0].linear.weight.data
    noise = torch.randn(first.shape, generator=torch.Generator().manual_seed(seed))
    first += 0.5 * first.norm() * noise / noise.norm()
    after, std = _third_layer(net), before.std(0)
    return {
        "mean": ((after - before).mean(0) / std).abs().mean().item(),
        "spread": (after.std(0) / std - 1).abs().mean().item(),
        "value": ((after - before) / std).square().mean().sqrt().item(),
    }


@torch.no_grad()
def _third_layer(net: MLP) -> Tensor:
    """Pre-activations of layer 3 for the probe, in training mode, (m, 40)."""
    with inputs_of(net.train().activations) as seen:
        net(digits().x_train[:PROBE])
    return seen[2]


def summarise(rows: list[Row]) -> dict:
    """Over the seeds."""
    return {
        net: {key: between(r[key] for r in rows if r["net"] == net) for key in MOVES}
        for net in ("plain", "bn")
    }


COUPLING = Experiment(
    name="coupling",
    title="What layer 3 feels of a change in layer 1",
    claims=("C31",),
    question="By how much do means, spreads and single values of layer 3 move?",
    settings={
        "network": "3 hidden layers of 40, tanh",
        "trained": f"{STEPS} steps of {LR} with batches of {BATCH}",
        "change": "noise of half the norm of the first weight matrix is added to it",
        "unit": "standard deviations of each unit before the change; training mode",
        "no": "less coupled in the values, only if they move less with BN",
    },
    grid={"net": ("plain", "bn"), "seed": tuple(range(10))},
    run=run,
    summarise=summarise,
)
