"""What weight decay does behind BN: a turn per step, and nothing else but that.

Networks that differ in the seed alone are trained side by side: every tensor has one more axis in
front, the network's, (n, ...).
"""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bnviz.experiments.experiment import Row, between, rounded
from bnviz.experiments.stacked import SideBySideSweep
from bnviz.experiments.statistics import effect
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.decay import angle, decayed_step, settled_angle, settled_norm
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP, initialise

__all__ = ["DECAY_ON_GAMMA", "DECAY_THROUGH_RATE", "EQUILIBRIUM", "logits", "wrong_labels"]

SIZES, BATCH, EPS = (64, 40, 40, 40, 10), 32, 1e-5
LAYERS = len(SIZES) - 2
HIDDEN = tuple(f"layers.{k}.linear.weight" for k in range(LAYERS))
NETWORK = "3 hidden layers of 40, tanh"
WRONG = 0.3  # share of training labels that are wrong, where it says so
AHEAD = 1000  # the other run's seed is so much larger
Values = dict[str, Tensor]


def start(seeds: Sequence[int], norm: bool = True) -> Values:
    """The parameters of untrained networks, (n, ...) each."""
    net = MLP(SIZES, norm=norm)
    drawn = [initialise(net, seed) for seed in seeds]
    return {k: torch.stack([one[k] for one in drawn]) for k, _ in net.named_parameters()}


def logits(values: Values, x: Tensor, known: Tensor | None = None) -> Tensor:
    """(n, m, classes) of the inputs x, (n, m, 64), in one forward pass.

    Args:
        values: as `start` gives them; with BN where there are gammas.
        x: inputs.
        known: inputs whose statistics BN takes, (n, M, 64); x itself unless given.
    """
    both = x if known is None else torch.cat([known, x], 1)
    m = both.shape[1] if known is None else known.shape[1]
    for k in range(LAYERS):
        both = both @ values[f"layers.{k}.linear.weight"].mT
        if f"layers.{k}.norm.weight" in values:
            mean, var = (v.unsqueeze(1) for v in moments(both[:, :m], 1))
            both = (both - mean) * torch.rsqrt(var + EPS)
            both = both * values[f"layers.{k}.norm.weight"][:, None]
            both = both + values[f"layers.{k}.norm.bias"][:, None]
        else:
            both = both + values[f"layers.{k}.linear.bias"][:, None]
        both = torch.tanh(both)
    found = both @ values["head.weight"].mT + values["head.bias"][:, None]
    return found if known is None else found[:, m:]


def slopes(values: Values, x: Tensor, y: Tensor) -> Values:
    """Gradients of the mean cross-entropy of each network, by name; they share nothing."""
    own = {k: v.requires_grad_() for k, v in values.items()}
    loss = F.cross_entropy(logits(own, x).flatten(0, 1), y.flatten(), reduction="sum") / BATCH
    gradients = torch.autograd.grad(loss, list(own.values()))
    for v in values.values():
        v.requires_grad_(False)
    return dict(zip(own, gradients, strict=True))


def wrong_labels(share: float, seed: int) -> Tensor:
    """Training labels of the digits, of which about that share is wrong: any other class.

    >>> bool((wrong_labels(0.0, 0) == digits().y_train).all())
    True
    """
    y = digits().y_train
    drawn, which = (prng.uniform((len(y),), torch.tensor(seed), stream=k) for k in (7, 8))
    other = 1 + (9 * which).long().clamp(max=8)  # 1 to 9
    return torch.where(drawn < share, (y + other) % 10, y)


def batches(steps: int, seeds: Sequence[int], share: float) -> Iterable[tuple[Tensor, Tensor]]:
    """Minibatches of training digits, (n, m, 64) and (n, m), with that share of wrong labels."""
    x, labels = digits().x_train, [wrong_labels(share, seed) for seed in seeds]
    shufflers = [prng.Shuffler(len(x), seed) for seed in seeds]
    for _ in range(steps):
        rows = [shuffler.take(BATCH) for shuffler in shufflers]
        yield (
            torch.stack([x[at] for at in rows]),
            torch.stack([y[at] for y, at in zip(labels, rows, strict=True)]),
        )


def lengths(values: Values) -> Tensor:
    """||W|| of the hidden layers, (n, LAYERS)."""
    return torch.stack([values[k].flatten(1).norm(dim=1) for k in HIDDEN], 1)


def read(values: Values) -> list[float]:
    """Test accuracies, BN with statistics of all training digits."""
    data, n = digits(), len(values["head.bias"])
    x, known = (v.expand(n, *v.shape) for v in (data.x_test, data.x_train))
    right = logits(values, x, known).argmax(2) == data.y_test
    return right.float().mean(1).tolist()


# --- equilibrium ---------------------------------------------------------------------------------

STEPS = 1000


def settle(cell: Row) -> Row:
    """SGD with decay of the hidden weights; turn and length in the second half of the steps."""
    cells = cell["cells"]
    first, seeds = cells[0], [c["seed"] for c in cells]
    lr, decay, mu = (torch.tensor(float(first[k])) for k in ("lr", "decay", "momentum"))
    values = start(seeds, first["net"] == "bn")
    v = {k: torch.zeros_like(w) for k, w in values.items()}
    seen: list[Tensor] = []  # of every step, (3, n, LAYERS)
    steps = first.get("steps", STEPS)
    for number, (x, y) in enumerate(batches(steps, seeds, 0.0)):
        before, old = dict(values), lengths(values)
        gradients = slopes(values, x, y)
        for k, g in gradients.items():
            pull = decay if k in HIDDEN else torch.tensor(0.0)
            values[k], v[k] = decayed_step(before[k], g, v[k], lr, pull, mu)
        if number >= steps // 2:
            pairs = [(before[k].double(), values[k].double()) for k in HIDDEN]
            turn = torch.stack([torch.func.vmap(angle)(a, b) for a, b in pairs], 1)
            seen.append(torch.stack([turn, lengths(gradients) * old, lengths(values)]).double())
    turns, pushes, norms = torch.stack(seen, 1)  # (steps, n, LAYERS) each
    return {"rows": [_settled(turns[:, k], pushes[:, k], norms[:, k], lr, decay, mu)
                     for k in range(len(cells))]}  # fmt: skip


def _settled(
    turns: Tensor, pushes: Tensor, norms: Tensor, lr: Tensor, decay: Tensor, mu: Tensor
) -> Row:
    """Of one network, from (steps, LAYERS) each."""
    turn = turns.square().mean(0).sqrt()
    at = settled_norm(lr, decay, mu, pushes.square().mean(0))
    # without momentum a step changes ln |W| by ln(1 - lr decay) - ln cos(angle)
    grown = torch.log(norms[-1] / norms[0])
    law = (math.log(1 - lr * decay) - torch.log(torch.cos(turns[1:]))).sum(0)
    return {
        "turn": (turn / settled_angle(lr, decay, mu)).tolist(),
        "norm": (norms.mean(0) / at).tolist(),
        "uneven": (turn.max() / turn.min()).item(),
        "grown": grown.tolist(),
        "law_off": (law - grown).abs().tolist() if mu == 0 else None,
    }


def settled(rows: list[Row]) -> dict:
    """By net and momentum: turn and length over the prediction, smallest to largest."""
    found: dict = {}
    for row in rows:
        key = f"{row['net']}-{'with' if row['momentum'] else 'without'}-momentum"
        found.setdefault(key, []).append(row)
    return {key: _told(of) for key, of in found.items()}


def _told(rows: list[Row]) -> dict:
    """Of one net, with or without momentum."""
    summary: dict = {
        "turn": between(v for r in rows for v in r["turn"]),
        "turn_by_decay": [
            between(v for r in rows if r["decay"] == decay for v in r["turn"])
            for decay in dict.fromkeys(r["decay"] for r in rows)
        ],
        "norm": between(v for r in rows for v in r["norm"]),
        "uneven": between(r["uneven"] for r in rows),
    }
    if rows[0]["law_off"] is not None:
        summary["law_off"] = between(v for r in rows for v in r["law_off"])
    return summary


EQUILIBRIUM = SideBySideSweep(
    name="decay-equilibrium",
    title="Turn per step and length of weights that decay, over what is predicted",
    claims=("C48", "C49"),
    question="Do weights in front of BN settle at the predicted turn per step and length?",
    settings={
        "data": "digits",
        "network": f"{NETWORK}; only the hidden layers' weights decay",
        "optimiser": "SGD as PyTorch has it",
        "steps": STEPS,
        "measured": "over the second half",
        "batch": BATCH,
        "turn": "root mean square of the angle of a step, over sqrt(2 lr decay / (1 + momentum))",
        "norm": "mean of ||W||, over (lr |g~|^2 / (2 decay (1 - momentum)))^(1/4)",
        "uneven": "largest turn of a layer over the smallest",
        "grown": "logarithm of the length's change over the measured steps",
        "law_off": "how far that is from the sum of ln(1 - lr decay) - ln cos(angle)",
        "no": "a layer of a network with BN that turns less than 0.8 or more than 1.25 times as "
        "far as predicted, or the same accuracy of the prediction without BN",
    },
    grid={
        "net": ("plain", "bn"),
        "lr": (0.3,),
        "decay": (0.003, 0.01, 0.03),
        "momentum": (0, 0.9),
        "seed": tuple(range(5)),
    },
    run=settle,
    summarise=settled,
)

# --- the same by a rate --------------------------------------------------------------------------

RATE, DECAY, LONG = 0.3, 0.01, 1500
ARMS = ("decay", "none", "borrowed")


def train_arm(
    arm: str, share: float, seeds: Sequence[int], steps: int, borrowed: Tensor | None = None
) -> tuple[Values, Tensor]:
    """Train in one of three ways; the effective rates lr / |W|^2, (steps, n, LAYERS).

    "decay": the hidden weights decay. "none": they do not. "borrowed": they do not, and after
    every step they get back the length that they began with; their rate is such that lr / |W|^2 is
    that of another run. Everything else moves at the constant rate.
    """
    values = start(seeds)
    begun, rates = lengths(values), []
    keep = 1 - RATE * DECAY if arm == "decay" else 1.0
    for number, (x, y) in enumerate(batches(steps, seeds, share)):
        rates.append(RATE / lengths(values).square())
        for name, g in slopes(values, x, y).items():
            w = values[name]
            if name not in HIDDEN:
                values[name] = w - RATE * g
            elif borrowed is None:
                values[name] = keep * w - RATE * g
            else:
                k = HIDDEN.index(name)
                own = (borrowed[number] * begun.square())[:, k, None, None]
                moved = w - own * g
                length = moved.flatten(1).norm(dim=1)
                values[name] = moved * (begun[:, k] / length)[:, None, None]
    return values, torch.stack(rates)


def through_rate(cell: Row) -> Row:
    """Test accuracy of one arm; "borrowed" has the effective rates of runs with other seeds."""
    cells = cell["cells"]
    first, seeds = cells[0], [c["seed"] for c in cells]
    arm, share, steps, borrowed = first["arm"], first["wrong"], first.get("steps", LONG), None
    if arm == "borrowed":
        borrowed = train_arm("decay", share, [s + AHEAD for s in seeds], steps)[1]
    values, rates = train_arm(arm, share, seeds, steps, borrowed)
    last = (rates if borrowed is None else borrowed)[-1].tolist()
    return {"rows": [{"test": t, "rate": r} for t, r in zip(read(values), last, strict=True)]}


def _compared(pairs: Iterable[tuple[str, str]]) -> Callable[[list[Row]], dict]:
    """A summary: the median of each arm, and intervals of differences, by share of wrong labels."""

    def summarise(rows: list[Row]) -> dict:
        summary: dict = {}
        for share in dict.fromkeys(r["wrong"] for r in rows):
            of = {
                arm: [r["test"] for r in rows if (r["arm"], r["wrong"]) == (arm, share)]
                for arm in dict.fromkeys(r["arm"] for r in rows)
            }
            found: dict = {arm: between(values) for arm, values in of.items()}
            for ours, theirs in pairs:
                e = effect(of[ours], of[theirs])
                found[f"{ours}_less_{theirs}"] = rounded(
                    {"mean": e.mean, "low": e.low, "high": e.high}
                )
            summary["wrong" if share else "right"] = found
        return summary

    return summarise


DECAY_THROUGH_RATE = SideBySideSweep(
    name="decay-through-rate",
    title="Weight decay, and its effective rates without it",
    claims=("C51",),
    question="Does a network without decay, whose weights keep their length, read as many test "
    "digits if it borrows the effective rates of another run with decay?",
    settings={
        "data": "digits, with right labels and with 30 % wrong ones in training",
        "network": f"{NETWORK}, with BN",
        "rate": RATE,
        "decay": DECAY,
        "steps": LONG,
        "batch": BATCH,
        "measured": "test accuracy, BN with statistics of all training digits",
        "no": "the interval of borrowed less decay reaches beyond 0.02 on either side; and if "
        "decay less none lies within 0.02, the comparison says nothing",
    },
    grid={"arm": ARMS, "wrong": (0.0, WRONG), "seed": tuple(range(10))},
    run=through_rate,
    summarise=_compared((("borrowed", "decay"), ("decay", "none"))),
    digits=4,
)

# --- gamma and beta ------------------------------------------------------------------------------

SHORT, ROUND = 800, (0.001, 0.003, 0.01, 0.03)


def on_gamma(cell: Row) -> Row:
    """Test accuracy with decay on all parameters, or on the weight matrices alone."""
    cells = cell["cells"]
    first, seeds = cells[0], [c["seed"] for c in cells]
    values, less = start(seeds), RATE * first["decay"]
    for x, y in batches(first.get("steps", SHORT), seeds, first["wrong"]):
        for name, g in slopes(values, x, y).items():
            matrix = values[name].ndim == 3  # with the networks' axis in front
            keep = 1 - less if matrix or first["on"] == "all" else 1.0
            values[name] = keep * values[name] - RATE * g
    gammas = torch.cat([values[f"layers.{k}.norm.weight"] for k in range(LAYERS)], 1)
    gamma = gammas.abs().mean(1).tolist()
    return {"rows": [{"test": t, "gamma": g} for t, g in zip(read(values), gamma, strict=True)]}


def _by_decay(rows: list[Row]) -> dict:
    """Medians of accuracy and gamma by what decays, for each decay."""
    return {
        on: {
            what: [
                between(r[what] for r in rows if (r["on"], r["decay"]) == (on, decay))["median"]
                for decay in ROUND
            ]
            for what in ("test", "gamma")
        }
        for on in ("matrices", "all")
    }


DECAY_ON_GAMMA = SideBySideSweep(
    name="decay-on-gamma",
    title="Weight decay on gamma, beta and biases, or on matrices alone",
    claims=("C52",),
    question="Does it read more test digits if gamma, beta and biases do not decay?",
    settings={
        "data": "digits, 30 % of the training labels wrong",
        "network": f"{NETWORK}, with BN",
        "rate": RATE,
        "steps": SHORT,
        "batch": BATCH,
        "measured": "test accuracy, BN with statistics of all training digits",
        "no": "the interval of matrices less all lies below 0 for every decay",
    },
    grid={"on": ("matrices", "all"), "decay": ROUND, "wrong": (WRONG,), "seed": tuple(range(10))},
    run=on_gamma,
    summarise=_by_decay,
)
