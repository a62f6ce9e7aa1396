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

__all__ = ["PAIRS", "SEVEN_CHANGES", "VARIANTS", "SmallCNN", "distorted", "dropping", "fit"]

SIZES, BATCH, LR = (64, 40, 40, 40, 10), 32, 0.2
FEW = 300  # training images where overfitting is to be seen
SHORT, LONG = 150, 1200
TIMES = 5  # the larger rate, and how much faster it decays: the paper has 5 and 6
# Weights that L2 alone would shrink by 1 / e need 1 / (lr * l2) steps: 1,700 at 0.003.
EQUILIBRIUM = 3400
# name: what is changed, its value, steps
VARIANTS = {
    **{f"dropout-{p}": ("dropout", p / 100, 600) for p in (0, 10, 50)},
    **{f"l2-{k}": ("l2", k / 10000, EQUILIBRIUM) for k in (0, 10, 30, 100)},
    **{f"decay-{k}-{n}": ("decay", v, n)
       for n in (150, 600)
       for k, v in (("none", (1, 0.0)), ("slow", (1, 1.5)), ("fast", (1, 1.5 * TIMES)),
                    ("larger", (TIMES, 1.5)), ("coupled", (TIMES, 1.5 * TIMES)))},
    **{f"lrn-{k}": ("lrn", v, 200)
       for k, v in (("off", None), ("constant", 0.0), ("paper", 1e-4), ("on", 1.0))},
    **{f"shuffling-{k}": ("shuffling", k == "fresh", 600) for k in ("fixed", "fresh")},
    **{f"distortions-{s}-{n}": ("distortions", s / 100, n)
       for n in (SHORT, LONG) for s in (0, 50)},
}  # fmt: skip
# what is done -> the variants before and after it
PAIRS = {
    "rate": ("decay-slow-600", "decay-larger-600"),
    "decay": ("decay-slow-600", "decay-fast-600"),
    "decay at the larger rate": ("decay-larger-600", "decay-coupled-600"),
    "rate and decay": ("decay-slow-600", "decay-coupled-600"),
    "dropout 10": ("dropout-0", "dropout-10"),
    "dropout 50": ("dropout-0", "dropout-50"),
    "l2 30": ("l2-0", "l2-30"),
    "l2 100": ("l2-0", "l2-100"),
    "response": ("lrn-constant", "lrn-on"),
    "fresh": ("shuffling-fixed", "shuffling-fresh"),
    "distortions, early": ("distortions-0-150", "distortions-50-150"),
    "distortions": ("distortions-0-1200", "distortions-50-1200"),
}
_STREAM = 1000  # generators of masks and distortions: seed + this


class SmallCNN(nn.Module):
    """Two convolutions of 12 channels with ReLU; BN before it, local response normalisation after.

    The latter multiplies by (2 + alpha / 5 * sum of squares over 5 neighbouring channels)^-0.75.
    Where alpha times the squares is small beside 2, that is a constant. None leaves it out.
    Source: Krizhevsky et al. (2012), section 3.3, with alpha 1e-4 for activations of its own size.
    """

    unscaled = ("head",)  # as in `nets.MLP`

    def __init__(self, norm: bool, alpha: float | None):
        super().__init__()
        convs = [nn.Conv2d(c, 12, 3) for c in (1, 12)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(BatchNorm(12) if norm else nn.Identity() for _ in range(2))
        self.head, self.alpha = nn.Linear(12 * 4 * 4, 10), alpha
        for layer in (*convs, self.head):
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, 1, 8, 8)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))  # (m, 12, h, w)
            if self.alpha is not None:
                x = F.local_response_norm(x, 5, alpha=self.alpha, beta=0.75, k=2.0)
        return self.head(x.flatten(1))

    @torch.no_grad()
    def factors(self, x: Tensor) -> tuple[float, float]:
        """Smallest and largest factor of the normalisation behind the first convolution."""
        x = torch.relu(self.norms[0](self.convs[0](x.reshape(-1, 1, 8, 8))))
        x = x + 1e-6  # 0 has a factor, too
        factor = F.local_response_norm(x, 5, alpha=self.alpha or 0.0, beta=0.75, k=2.0) / x
        return factor.min().item(), factor.max().item()


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
    change: Callable[[Tensor], Tensor] = lambda x: x,
) -> None:
    """Gradient descent on the cross-entropy; `change` distorts a batch."""
    for _ in range(steps):
        rows = batches()
        loss = F.cross_entropy(net.train()(change(x[rows])), y[rows])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for w, g in zip(net.parameters(), gradients, strict=True):
                w -= LR * g


def _fixed_batches(n: int, seed: int) -> Callable[[], Tensor]:
    """The same images always meet: one division into batches, handed out in shuffled order."""
    groups = torch.stack(Shuffler(n, seed).take(n // BATCH * BATCH).split(BATCH))
    order = Shuffler(len(groups), seed + 1)
    return lambda: groups[order.take(1)[0]]


def run(cell: Row) -> Row:
    """Train one network with one change; accuracy in evaluation mode."""
    change, value, steps = VARIANTS[cell["variant"]]
    steps = cell.get("steps", steps)
    if change in ("l2", "decay"):
        return _compiled(change, value, steps, cell)
    data, bn, seed, generator = digits(), cell["net"] == "bn", cell["seed"], torch.Generator()
    generator.manual_seed(_STREAM + seed)
    few = change != "lrn"
    x, y = (data.x_train[:FEW], data.y_train[:FEW]) if few else (data.x_train, data.y_train)
    net = MLP(SIZES, norm=bn, activation="relu") if few else SmallCNN(bn, value)
    net.load_state_dict(initialise(net, seed, math.sqrt(2)))
    shuffler, change_of = Shuffler(len(x), seed), lambda x: x
    batches = lambda: shuffler.take(BATCH)  # noqa: E731
    if change == "dropout" and isinstance(net, MLP):
        dropping(net, value, generator)
    elif change == "shuffling" and not value:
        batches = _fixed_batches(len(x), seed)
    elif change == "distortions":
        change_of = lambda x: distorted(x, value, generator)  # noqa: E731
    fit(net, x, y, batches, steps, change_of)
    found = _accuracies(net, x, y)
    if isinstance(net, SmallCNN):
        found["low"], found["high"] = net.eval().factors(data.x_test)
    return found


def _compiled(change: str, value, steps: int, cell: Row) -> Row:
    """Plain gradient descent with L2 or with a rate that changes: the compiler knows both."""
    from bnviz.experiments.compiled import trainer  # not needed to read a result

    network = trainer(BATCH, sizes=SIZES, norm=cell["net"] == "bn", activation="relu")
    options: dict = {"lr": LR, "l2": value, "first": FEW}
    if change == "decay":
        times, k = value
        options = {"lr": lambda step: times * LR * math.exp(-k * step / steps)}
    found = network.scores([steps], scale=math.sqrt(2), seed=cell["seed"], **options)
    return {"train": None, "test": found["test"][0], "low": None, "high": None}


@torch.no_grad()
def _accuracies(net: nn.Module, x: Tensor, y: Tensor) -> Row:
    data = digits()
    parts = {"train": (x, y), "test": (data.x_test, data.y_test)}
    found = {k: measures.accuracy(net.eval()(v), w).item() for k, (v, w) in parts.items()}
    return found | {"low": None, "high": None}


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
                "factors": [between(r[k] for r in same)["median"] for k in ("low", "high")],
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
        "1150 for decay, 1437 for lrn",
        "network": "3 hidden layers of 40, ReLU, initial scale sqrt 2; lrn: 2 convolutions of 12",
        "batch": BATCH,
        "lr": LR,
        "dropout": "per cent of outputs dropped after every activation; 600 steps",
        "l2": f"factor of the weight matrices in the gradient, in units of 0.0001; {EQUILIBRIUM} "
        "steps, twice what 0.003 needs to reach its equilibrium",
        "decay": "rate * lr * exp(-k * share of the steps made); rate and k: none 1, 0; slow 1, "
        f"1.5; fast 1, {1.5 * TIMES}; larger {TIMES}, 1.5; coupled {TIMES}, {1.5 * TIMES}",
        "lrn": "local response normalisation in a small CNN, 200 steps: alpha of the paper 1e-4; "
        "on 1; constant 0, the factor alone",
        "low, high": "smallest and largest factor of lrn on test images, after training",
        "shuffling": "fresh batches in every epoch, or fixed ones in another order; 600 steps",
        "distortions": "per cent: each image times 1 + s z, plus s z', z and z' normal; "
        f"{SHORT} or {LONG} steps",
        "no": "a change is BN's doing only if its effect with BN lies above that without",
    },
    grid={"variant": tuple(VARIANTS), "net": ("plain", "bn"), "seed": tuple(range(8))},
    run=run,
    summarise=summarise,
)
