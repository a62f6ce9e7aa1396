"""How the weights grow in training, without weight decay: BN lets them grow, then settle."""

import contextlib

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import DivergenceError, Step, train

__all__ = ["RECORDED", "WEIGHT_NORM"]

SIZES, LAYER = (64, 40, 40, 40, 10), 1  # the second hidden layer is measured
RATES = (0.1, 0.3, 1.0)
STEPS, BATCH = 2000, 32
RECORDED = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1500, 2000)


class _Norms:
    """||W|| of one layer at the steps `RECORDED`, and what Pythagoras predicts for it.

    When the gradient G is orthogonal to W, a step of size lr gives ||W||^2 + lr^2 ||G||^2. `law`
    adds these up from the start, without looking at W again.
    """

    def __init__(self, net: MLP, lr: float):
        self.weight, self.lr = net.layers[LAYER].linear.weight, lr
        self.law = self._square()
        self.start = self.law**0.5
        self.norms, self.predicted, self.cosine = [1.0], [1.0], 0.0

    def _square(self) -> float:
        return self.weight.detach().double().square().sum().item()

    def __call__(self, step: Step) -> None:
        assert self.weight.grad is not None  # `train` leaves it there
        gradient, after = self.weight.grad.double(), self.weight.detach().double()
        before = after + self.lr * gradient
        norm = gradient.norm()
        self.law += (self.lr * norm).square().item()
        cosine = (gradient * before).sum() / (norm * before.norm() + 1e-300)
        self.cosine = max(self.cosine, cosine.abs().item())
        if step.number in RECORDED:
            self.norms.append(self._square() ** 0.5 / self.start)
            self.predicted.append(self.law**0.5 / self.start)


def run(cell: Row) -> Row:
    """Train one network; the norm of a weight matrix over its start, and the prediction."""
    net = MLP(SIZES, norm=cell["net"] == "bn", activation="relu")
    net.load_state_dict(initialise(net, cell["seed"]))
    watch = _Norms(net, cell["lr"])
    with contextlib.suppress(DivergenceError):
        train(net, digits(), steps=cell.get("steps", STEPS), batch_size=BATCH, lr=cell["lr"],
              seed=cell["seed"], on_step=watch)  # fmt: skip
    missing = [float("nan")] * (len(RECORDED) - len(watch.norms))
    return {
        "norm": rounded(watch.norms + missing, 4),
        "predicted": rounded(watch.predicted + missing, 4),
        "cosine": watch.cosine,
    }


def summarise(rows: list[Row]) -> dict:
    """Norm over its start by step, growth in each half, the law's error; lists go by rate."""
    summary: dict = {"recorded": list(RECORDED), "rates": list(RATES), "nets": {}}
    for net in ("plain", "bn"):
        by_rate = [_describe([r for r in rows if (r["net"], r["lr"]) == (net, lr)]) for lr in RATES]
        summary["nets"][net] = {key: [d[key] for d in by_rate] for key in by_rate[0]}
    return summary


def _describe(rows: list[Row]) -> dict:
    half = RECORDED.index(STEPS // 2)
    ended = [r for r in rows if r["norm"][-1] is not None]
    curves = [r["norm"] for r in ended]
    errors = (abs(r["predicted"][-1] / r["norm"][-1] - 1) for r in ended)
    return {
        "runs": len(ended),
        "norm": [between(c)["median"] for c in zip(*curves, strict=True)],
        "first_half": between(rounded(c[half] - c[0]) for c in curves),
        "second_half": between(rounded(c[-1] - c[half]) for c in curves),
        "law_off_by": between(rounded(error) for error in errors),
        "largest_cosine": max((r["cosine"] for r in ended), default=None),
    }


WEIGHT_NORM = Experiment(
    name="weight-norm",
    title="The norm of a weight matrix in training, without weight decay",
    claims=("C26",),
    question="Does the norm settle with BN, and does it grow by the law of orthogonal steps?",
    settings={
        "data": "digits",
        "network": "3 hidden layers of 40, ReLU; hidden layer 2 is measured",
        "steps": STEPS,
        "batch": BATCH,
        "recorded": list(RECORDED),
        "norm": "||W|| over its start",
        "predicted": "root of ||W||^2 + sum of lr^2 ||G||^2, over the start",
        "cosine": "largest |cosine| between the gradient and the weights over all steps",
    },
    grid={"net": ("plain", "bn"), "lr": RATES, "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
    digits=4,
)
