"""What weight decay does behind BN: a turn per step, and nothing else but that."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.statistics import effect
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.decay import angle, settled_angle, settled_norm
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.reestimate import reestimate

__all__ = ["DECAY_ON_GAMMA", "DECAY_THROUGH_RATE", "EQUILIBRIUM", "wrong_labels"]

SIZES, BATCH = (64, 40, 40, 40, 10), 32
LAYERS = len(SIZES) - 2
NETWORK = "3 hidden layers of 40, tanh"
WRONG = 0.3  # share of training labels that are wrong, where it says so
AHEAD = 1000  # the other run's seed is so much larger


def start(seed: int, norm: bool = True) -> tuple[MLP, list[Tensor]]:
    """An untrained network and the weights of its hidden layers."""
    net = MLP(SIZES, norm=norm, activation="tanh")
    net.load_state_dict(initialise(net, seed))
    return net, [layer.linear.weight for layer in net.layers]


def wrong_labels(share: float, seed: int) -> Tensor:
    """Training labels of the digits, of which about that share is wrong: any other class.

    >>> bool((wrong_labels(0.0, 0) == digits().y_train).all())
    True
    """
    y = digits().y_train
    drawn, which = (prng.uniform((len(y),), torch.tensor(seed), stream=k) for k in (7, 8))
    other = 1 + (9 * which).long().clamp(max=8)  # 1 to 9
    return torch.where(drawn < share, (y + other) % 10, y)


def batches(steps: int, seed: int, y: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """Minibatches of training digits with the labels y."""
    x = digits().x_train
    shuffler = prng.Shuffler(len(x), seed)
    for _ in range(steps):
        rows = shuffler.take(BATCH)
        yield x[rows], y[rows]


# --- equilibrium ---------------------------------------------------------------------------------

STEPS = 1000


def settle(cell: Row) -> Row:
    """Train with `torch.optim.SGD`; in the second half, turn and length over what is predicted."""
    net, hidden = start(cell["seed"], cell["net"] == "bn")
    others = [p for p in net.parameters() if all(p is not w for w in hidden)]
    lr, decay, mu = cell["lr"], cell["decay"], cell["momentum"]
    groups = [{"params": hidden, "weight_decay": decay}, {"params": others}]
    optimiser = torch.optim.SGD(groups, lr=lr, momentum=mu)
    steps = cell.get("steps", STEPS)
    seen: list[Row] = []
    for number, (x, y) in enumerate(batches(steps, cell["seed"], digits().y_train)):
        optimiser.zero_grad()
        cross_entropy(net(x), y).backward()
        before = [w.detach().clone() for w in hidden]
        optimiser.step()
        if number >= steps // 2:
            seen.append(_look(before, hidden))
    return _settled(seen, lr, decay, mu)


def _look(before: list[Tensor], hidden: list[Tensor]) -> Row:
    """Turn of a step, |g~| and length after it, of each layer."""
    pairs = [(a, b, b.grad) for a, b in zip(before, hidden, strict=True)]
    return {
        "turn": [angle(a.double(), b.detach().double()).item() for a, b, _ in pairs],
        "push": [g.norm().item() * a.norm().item() for a, _, g in pairs if g is not None],
        "norm": [b.detach().double().norm().item() for _, b, _ in pairs],
    }


def _settled(seen: list[Row], lr: float, decay: float, mu: float) -> Row:
    turns, pushes, norms = (
        torch.tensor([look[what] for look in seen]).double() for what in ("turn", "push", "norm")
    )  # (steps, LAYERS)
    own = [torch.tensor(v).double() for v in (lr, decay, mu)]
    turn = turns.square().mean(0).sqrt()
    at = settled_norm(*own, pushes.square().mean(0))
    # without momentum a step changes ln |W| by ln(1 - lr decay) - ln cos(angle)
    grown = torch.log(norms[-1] / norms[0])
    law = (math.log(1 - lr * decay) - torch.log(torch.cos(turns[1:]))).sum(0)
    return {
        "turn": (turn / settled_angle(*own)).tolist(),
        "norm": (norms.mean(0) / at).tolist(),
        "uneven": (turn.max() / turn.min()).item(),
        "grown": grown.tolist(),
        "law": law.tolist() if mu == 0 else None,
    }


def settled(rows: list[Row]) -> dict:
    """By net and momentum: turn and length over the prediction, smallest to largest."""
    found: dict = {}
    for row in rows:
        key = f"{row['net']}-{'with' if row['momentum'] else 'without'}-momentum"
        found.setdefault(key, []).append(row)
    summary: dict = {}
    for key, of in found.items():
        summary[key] = {
            "turn": between(v for r in of for v in r["turn"]),
            "norm": between(v for r in of for v in r["norm"]),
            "uneven": between(r["uneven"] for r in of),
        }
        if of[0]["law"] is not None:
            pairs = [p for r in of for p in zip(r["law"], r["grown"], strict=True)]
            summary[key]["law_off"] = between(abs(law - grown) for law, grown in pairs)
    return summary


EQUILIBRIUM = Experiment(
    name="decay-equilibrium",
    title="Turn per step and length of weights that decay, over what is predicted",
    claims=("C48", "C49"),
    question="Do weights in front of BN settle at the predicted turn per step and length?",
    settings={
        "data": "digits",
        "network": f"{NETWORK}; only the hidden layers' weights decay",
        "optimiser": "torch.optim.SGD",
        "steps": STEPS,
        "measured": "over the second half",
        "batch": BATCH,
        "turn": "root mean square of the angle of a step, over sqrt(2 lr decay / (1 + momentum))",
        "norm": "mean of ||W||, over (lr |g~|^2 / (2 decay (1 - momentum)))^(1/4)",
        "uneven": "largest turn of a layer over the smallest",
        "grown": "logarithm of the length's change over the measured steps",
        "law": "the same by the law: sum of ln(1 - lr decay) - ln cos(angle)",
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
    arm: str, share: float, seed: int, steps: int, borrowed: list[list[float]] | None = None
) -> tuple[MLP, list[list[float]]]:
    """Train in one of three ways; the effective rates lr / |W|^2 at every step, (steps, LAYERS).

    "decay": the hidden weights decay. "none": they do not. "borrowed": they do not, and after
    every step they get back the length that they began with; their rate is such that lr / |W|^2 is
    that of another run. Everything else moves at the constant rate.
    """
    net, hidden = start(seed)
    begun = [w.detach().norm() for w in hidden]
    names = {id(w): k for k, w in enumerate(hidden)}
    learned, rates = list(net.parameters()), []
    for number, (x, y) in enumerate(batches(steps, seed, wrong_labels(share, seed))):
        gradients = torch.autograd.grad(cross_entropy(net(x), y), learned)
        rates.append([RATE / w.detach().square().sum().item() for w in hidden])
        with torch.no_grad():
            for p, g in zip(learned, gradients, strict=True):
                k = names.get(id(p))
                if k is not None and borrowed is not None:
                    p.sub_(borrowed[number][k] * begun[k] ** 2 * g)
                    p.mul_(begun[k] / p.norm())
                else:
                    keep = 1 - RATE * DECAY if arm == "decay" and k is not None else 1.0
                    p.mul_(keep).sub_(RATE * g)
    return net, rates


def _read(net: nn.Module) -> float:
    """Test accuracy, with statistics of all training digits."""
    data = digits()
    reestimate(net, data.x_train)
    with torch.no_grad():
        return (net(data.x_test).argmax(1) == data.y_test).float().mean().item()


def through_rate(cell: Row) -> Row:
    """Test accuracy of one arm; "borrowed" has the effective rates of a run with another seed."""
    steps, borrowed = cell.get("steps", LONG), None
    if cell["arm"] == "borrowed":
        borrowed = train_arm("decay", cell["wrong"], cell["seed"] + AHEAD, steps)[1]
    net, rates = train_arm(cell["arm"], cell["wrong"], cell["seed"], steps, borrowed)
    return {"test": _read(net), "rate": (borrowed or rates)[-1]}


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


DECAY_THROUGH_RATE = Experiment(
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
    net, _ = start(cell["seed"])
    matrices = [p for p in net.parameters() if p.ndim == 2]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    on_vectors = cell["decay"] if cell["on"] == "all" else 0.0
    groups = [
        {"params": matrices, "weight_decay": cell["decay"]},
        {"params": vectors, "weight_decay": on_vectors},
    ]
    optimiser = torch.optim.SGD(groups, lr=RATE)
    labels = wrong_labels(cell["wrong"], cell["seed"])
    for x, y in batches(cell.get("steps", SHORT), cell["seed"], labels):
        optimiser.zero_grad()
        cross_entropy(net(x), y).backward()
        optimiser.step()
    gammas = torch.cat([layer.norm.weight.detach() for layer in net.layers])
    return {"test": _read(net), "gamma": gammas.abs().mean().item()}


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


DECAY_ON_GAMMA = Experiment(
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
