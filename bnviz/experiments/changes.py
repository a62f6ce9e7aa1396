"""Seven changes that BN allows, by Ioffe and Szegedy: six of them measured one at a time.

The seventh, the learning rate, has a sweep of its own (`rates`).
"""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, BatchNorm, initialise
from bnviz.maths.prng import Shuffler

__all__ = ["SEVEN_CHANGES", "VARIANTS", "SmallCNN", "distorted", "dropping", "fit"]

SIZES, BATCH, LR = (64, 40, 40, 40, 10), 32, 0.2
FEW = 300  # training images where overfitting is to be seen
SHORT, LONG = 150, 1200
# name: what is changed, its value, steps
VARIANTS = {
    **{f"dropout-{p}": ("dropout", p / 100, 600) for p in (0, 10, 20, 50)},
    **{f"l2-{k}": ("l2", k / 10000, 600) for k in (0, 10, 30, 100, 300)},
    **{f"decay-{k}-{n}": ("decay", {"none": 0.0, "slow": 1.5, "fast": 9.0}[k], n)
       for n in (150, 600) for k in ("none", "slow", "fast")},
    **{f"lrn-{k}": ("lrn", k == "on", 200) for k in ("off", "on")},
    **{f"shuffling-{k}": ("shuffling", k == "fresh", 600) for k in ("fixed", "fresh")},
    **{f"distortions-{s}-{n}": ("distortions", s / 100, n)
       for n in (SHORT, LONG) for s in (0, 25, 50)},
}  # fmt: skip
_STREAM = 1000  # generators of masks and distortions: seed + this


class SmallCNN(nn.Module):
    """Two convolutions of 12 channels with ReLU; BN before it, local response normalisation after.

    The latter divides by (2 + 1e-4 / 5 * sum of squares over 5 neighbouring channels)^0.75.
    Source: Krizhevsky et al. (2012), section 3.3.
    """

    unscaled = ("head",)  # as in `nets.MLP`

    def __init__(self, norm: bool, lrn: bool):
        super().__init__()
        convs = [nn.Conv2d(c, 12, 3) for c in (1, 12)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(BatchNorm(12) if norm else nn.Identity() for _ in range(2))
        self.head, self.lrn = nn.Linear(12 * 4 * 4, 10), lrn
        for layer in (*convs, self.head):
            nn.init.zeros_(cast(Tensor, layer.bias))

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
    (change, value, steps), seed = VARIANTS[cell["variant"]], cell["seed"]
    data, bn, generator = digits(), cell["net"] == "bn", torch.Generator()
    generator.manual_seed(_STREAM + seed)
    few = change in ("dropout", "l2", "shuffling", "distortions")
    x, y = (data.x_train[:FEW], data.y_train[:FEW]) if few else (data.x_train, data.y_train)
    lrn = change == "lrn"
    net = SmallCNN(bn, value) if lrn else MLP(SIZES, norm=bn, activation="relu")
    net.load_state_dict(initialise(net, seed, math.sqrt(2)))
    shuffler, options = Shuffler(len(x), seed), {}
    batches = lambda: shuffler.take(BATCH)  # noqa: E731
    if change == "dropout" and isinstance(net, MLP):
        dropping(net, value, generator)
    elif change == "l2":
        options["l2"] = value
    elif change == "decay":
        options["rate"] = lambda progress: LR * math.exp(-value * progress)
    elif change == "shuffling" and not value:
        batches = _fixed_batches(len(x), seed)
    elif change == "distortions":
        options["change"] = lambda x: distorted(x, value, generator)
    fit(net, x, y, batches, cell.get("steps", steps), **options)
    return _accuracies(net, x, y)


@torch.no_grad()
def _accuracies(net: nn.Module, x: Tensor, y: Tensor) -> Row:
    data = digits()
    parts = {"train": (x, y), "test": (data.x_test, data.y_test)}
    return {k: measures.accuracy(net.eval()(v), w).item() for k, (v, w) in parts.items()}


def summarise(rows: list[Row]) -> dict:
    """Test accuracy over the seeds, and the median on the training images, by variant and net."""
    groups: dict = {}
    for row in rows:
        groups.setdefault(row["variant"], {}).setdefault(row["net"], []).append(row)
    return {
        variant: {
            net: {
                **between(r["test"] for r in same),
                "train": between(r["train"] for r in same)["median"],
            }
            for net, same in nets.items()
        }
        for variant, nets in groups.items()
    }


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
        "dropout": "per cent of outputs dropped after every activation; 600 steps",
        "l2": "factor of the weight matrices in the gradient, in units of 0.0001; 600 steps",
        "decay": "lr * exp(-k * share of the steps made), k = 0, 1.5, 9; 150 or 600 steps",
        "lrn": "local response normalisation in a small CNN; 200 steps",
        "shuffling": "fresh batches in every epoch, or fixed ones in another order; 600 steps",
        "distortions": "per cent: each image times 1 + s z, plus s z', z and z' normal; "
        f"{SHORT} or {LONG} steps",
    },
    grid={"variant": tuple(VARIANTS), "net": ("plain", "bn"), "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
)
