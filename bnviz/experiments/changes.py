"""Seven changes that BN allows, by Ioffe and Szegedy: six of them measured one at a time.

The seventh, the learning rate, has a sweep of its own (`rates`).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz import measures
from bnviz.data import digits
from bnviz.experiments.experiment import Experiment, Row, between, grid
from bnviz.nets import MLP, BatchNorm, initialise
from bnviz.prng import Shuffler

__all__ = ["SEVEN_CHANGES", "SmallCNN", "distorted", "dropping", "fit"]

SIZES, BATCH, LR = (64, 40, 40, 40, 10), 32, 0.2
FEW = 300  # training images where overfitting is to be seen
SHORT, LONG = 150, 1200
_STREAM = 1000  # generators of masks and distortions: seed + this


class SmallCNN(nn.Module):
    """Two convolutions of 12 channels with ReLU; BN before it, local response normalisation after.

    The latter divides by (2 + 1e-4 / 5 * sum of squares over 5 neighbouring channels)^0.75.
    Source: Krizhevsky et al. (2012), section 3.3.
    """

    def __init__(self, norm: bool, lrn: bool):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, 12, 3) for c in (1, 12))
        self.norms = nn.ModuleList(BatchNorm(12) if norm else nn.Identity() for _ in range(2))
        self.head, self.lrn = nn.Linear(12 * 4 * 4, 10), lrn
        for layer in (*self.convs, self.head):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, 1, 8, 8)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))  # (m, 12, h, w)
            if self.lrn:
                x = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2.0)
        return self.head(x.flatten(1))


def dropping(net: MLP, p: float, generator: torch.Generator) -> None:
    """Make every activation drop a share p of its outputs in training, and scale up the others.

    Source: Srivastava et al. (2014), section 10, inverted Dropout.
    """

    def drop(module, inputs, out):
        if not module.training or p == 0:
            return out
        kept = torch.rand(out.shape, generator=generator) >= p
        return out * kept / (1 - p)

    for activation in net.activations:
        activation.register_forward_hook(drop)


def distorted(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Photometric distortion: each image its own contrast and brightness, (m, d) -> (m, d).

    x (1 + s z_1) + s z_2 with two standard normal numbers for each image.
    """
    z = torch.randn(2, len(x), 1, generator=generator)
    return x * (1 + strength * z[0]) + strength * z[1]


def fit(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    batches: Callable[[], Tensor],
    steps: int,
    *,
    rate: Callable[[float], float] = lambda progress: LR,
    l2: float = 0.0,
    change: Callable[[Tensor], Tensor] = lambda x: x,
) -> None:
    """Gradient descent on the cross-entropy plus l2 / 2 * ||W||^2 over all weight matrices.

    `rate` maps the share of steps already made to the learning rate; `change` distorts a batch.
    """
    for number in range(steps):
        rows = batches()
        loss = F.cross_entropy(net.train()(change(x[rows])), y[rows])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for w, g in zip(net.parameters(), gradients, strict=True):
                w -= rate(number / steps) * (g + l2 * w * (w.ndim > 1))


def _fixed_batches(n: int, seed: int) -> Callable[[], Tensor]:
    """The same images always meet: one division into batches, handed out in shuffled order."""
    groups = torch.stack(Shuffler(n, seed).take(n // BATCH * BATCH).split(BATCH))
    order = Shuffler(len(groups), seed + 1)
    return lambda: groups[order.take(1)[0]]


def run(cell: Row) -> Row:
    """Train one network with one change; accuracy in evaluation mode."""
    change, value, seed = cell["change"], cell["value"], cell["seed"]
    data, bn, generator = digits(), cell["net"] == "bn", torch.Generator()
    generator.manual_seed(_STREAM + seed)
    few = change in ("dropout", "l2", "shuffling", "distortions")
    x, y = (data.x_train[:FEW], data.y_train[:FEW]) if few else (data.x_train, data.y_train)
    lrn = change == "lrn"
    net = SmallCNN(bn, value == 1) if lrn else MLP(SIZES, norm=bn, activation="relu")
    net.load_state_dict(initialise(net, seed, math.sqrt(2)))
    shuffler, options = Shuffler(len(x), seed), {}
    batches = lambda: shuffler.take(BATCH)  # noqa: E731
    if change == "dropout":
        dropping(net, value, generator)
    elif change == "l2":
        options["l2"] = value
    elif change == "decay":
        options["rate"] = lambda progress: LR * math.exp(-value * progress)
    elif change == "shuffling" and value == 0:
        batches = _fixed_batches(len(x), seed)
    elif change == "distortions":
        options["change"] = lambda x: distorted(x, value, generator)
    fit(net, x, y, batches, cell["steps"], **options)
    return _accuracies(net, x, y)


@torch.no_grad()
def _accuracies(net: nn.Module, x: Tensor, y: Tensor) -> Row:
    data = digits()
    parts = {"train": (x, y), "test": (data.x_test, data.y_test)}
    return {k: measures.accuracy(net.eval()(v), w).item() for k, (v, w) in parts.items()}


def summarise(rows: list[Row]) -> dict:
    """Test accuracy and gap by change, net, steps and value; how the best value compares."""
    summary: dict = {}
    for row in rows:
        key = f"{row['change']} {row['net']} {row['steps']}"
        summary.setdefault(key, {}).setdefault(f"{row['value']:g}", []).append(row)
    return {
        key: {
            value: {"test": between(r["test"] for r in same),
                    "train": between(r["train"] for r in same)["median"]}
            for value, same in values.items()
        }
        for key, values in summary.items()
    }  # fmt: skip


_NETS = ("plain", "bn")
_SEEDS = range(5)


def _cells(change: str, values: tuple, steps: tuple[int, ...]) -> tuple[Row, ...]:
    return grid(change=(change,), net=_NETS, value=values, steps=steps, seed=_SEEDS)


SEVEN_CHANGES = Experiment(
    name="seven-changes",
    title="The changes that BN allows, one at a time",
    claims=("C33",),
    question="Does a net with BN need less Dropout, L2, ... than one without?",
    settings={
        "data": f"digits; {FEW} training images for dropout, l2, shuffling and distortions, "
        "1437 for decay and lrn",
        "network": "3 hidden layers of 40, ReLU, initial scale sqrt 2; lrn: 2 convolutions of 12",
        "batch": BATCH,
        "lr": LR,
        "dropout": "share dropped after every activation",
        "l2": "factor of the weights in the gradient; weight matrices only",
        "decay": "lr * exp(-value * share of the steps made)",
        "lrn": "1 with local response normalisation, 0 without",
        "shuffling": "1 fresh batches in every epoch, 0 the same batches in another order",
        "distortions": "strength s: each image times 1 + s z, plus s z', z and z' normal",
    },
    cells=(
        *_cells("dropout", (0.0, 0.1, 0.2, 0.5), (600,)),
        *_cells("l2", (0.0, 0.001, 0.003, 0.01, 0.03), (600,)),
        *_cells("decay", (0.0, 1.5, 9.0), (150, 600)),
        *_cells("lrn", (0, 1), (200,)),
        *_cells("shuffling", (0, 1), (600,)),
        *_cells("distortions", (0.0, 0.25, 0.5), (SHORT, LONG)),
    ),
    run=run,
    summarise=summarise,
)
