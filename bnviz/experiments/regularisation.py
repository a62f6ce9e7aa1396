"""Does BN regularise? Plain, BN, Dropout and both, on 150 digits, at three batch sizes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import Split, digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import DivergenceError, train

__all__ = ["REGULARISATION", "with_dropout"]

KINDS = ("plain", "bn", "dropout", "both")
ROWS, RATES, BATCHES, STEPS, DROP = 150, (0.03, 0.1), (10, 30, 150), 400, 0.3
SIZES = (64, 64, 64, 10)
SEEDS = tuple(range(8))


def with_dropout(net: MLP, p: float) -> MLP:
    """Dropout behind the activation of every hidden layer, in place."""
    for layer in net.layers:
        layer.add_module("activation", nn.Sequential(layer.activation, nn.Dropout(p)))
    return net


def run(cell: Row) -> Row:
    """Train on a small set of digits; losses and accuracies on it and on others, in evaluation.

    Of the training digits, the first `ROWS` in the order of the seed's split train the network and
    the rest chooses between learning rates; the test digits judge.
    """
    data = digits(cell["seed"])
    small = Split(data.x_train[:ROWS], data.y_train[:ROWS], data.x_test, data.y_test)
    net = MLP(SIZES, norm=cell["kind"] in ("bn", "both"), activation="relu")
    net.load_state_dict(initialise(net, cell["seed"], 2**0.5))
    if cell["kind"] in ("dropout", "both"):
        with_dropout(net, DROP)
    torch.manual_seed(cell["seed"])  # Dropout draws from the global generator
    try:
        train(net, small, steps=STEPS, batch_size=cell["batch"], lr=cell["lr"], seed=cell["seed"])
    except DivergenceError:
        return dict.fromkeys(_KEYS, float("nan"))
    parts = {
        "train": (small.x_train, small.y_train),
        "chosen": (data.x_train[ROWS:], data.y_train[ROWS:]),
        "test": (small.x_test, small.y_test),
    }
    return dict(zip(_KEYS, [v for x, y in parts.values() for v in _judge(net, x, y)], strict=True))


_KEYS = ("train_loss", "train", "chosen_loss", "chosen", "test_loss", "test")


@torch.no_grad()
def _judge(net: MLP, x: Tensor, y: Tensor) -> tuple[float, float]:
    logits = net.eval()(x)
    return F.cross_entropy(logits, y).item(), measures.accuracy(logits, y).item()


def summarise(rows: list[Row]) -> dict:
    """For each kind and batch size, at the learning rate with the best accuracy on other digits."""
    best, table = {}, {}
    for kind in KINDS:
        for batch in BATCHES:
            here = [r for r in rows if (r["kind"], r["batch"]) == (kind, batch)]
            rate = max(RATES, key=lambda lr: _mean(r["chosen"] for r in here if r["lr"] == lr))
            best[kind, batch] = {r["seed"]: r for r in here if r["lr"] == rate}
            table[f"{kind}, batch {batch}"] = {"lr": rate, **_describe(best[kind, batch].values())}
    pairs = {
        f"{a} > {b}": {
            str(batch): sum(best[a, batch][s]["test"] > best[b, batch][s]["test"] for s in SEEDS)
            for batch in BATCHES
        }
        for a, b in (("bn", "plain"), ("dropout", "plain"), ("both", "bn"), ("both", "dropout"),
                     ("bn", "dropout"))
    }  # fmt: skip
    gaps = {
        f"{a} < {b}": {
            str(batch): sum(_gap(best[a, batch][s]) < _gap(best[b, batch][s]) for s in SEEDS)
            for batch in BATCHES
        }
        for a, b in (("bn", "plain"), ("dropout", "plain"), ("both", "bn"), ("bn", "dropout"))
    }
    return {"runs": len(rows), "seeds": len(SEEDS), "better_test_accuracy": pairs,
            "smaller_gap_of_losses": gaps, "by_kind": table}  # fmt: skip


def _mean(values) -> float:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else float("-inf")


def _gap(row: Row) -> float:
    return row["test_loss"] - row["train_loss"]


def _describe(rows) -> dict:
    described = {key: between(r[key] for r in rows) for key in ("train", "test", "train_loss")}
    described["test_loss"] = between(r["test_loss"] for r in rows)
    return described | {"gap": between(round(_gap(r), 4) for r in rows)}


REGULARISATION = Experiment(
    name="regularisation",
    title="Plain, BN, Dropout and both on 150 digits",
    claims=("C28",),
    question="Does BN lower the test error and the gap to training, and does Dropout still help?",
    settings={
        "network": "two hidden layers of 64, ReLU, initial scale sqrt(2)",
        "data": f"{ROWS} training digits, another split for each seed; 360 test digits; the other "
        "1287 choose the learning rate",
        "rates": RATES,
        "steps": STEPS,
        "dropout": f"behind every hidden activation, p = {DROP}",
        "measured": "in evaluation mode: running statistics, no Dropout",
    },
    grid={"kind": KINDS, "batch": BATCHES, "lr": RATES, "seed": SEEDS},
    run=run,
    summarise=summarise,
    digits=4,
    notes=("pairs: seeds of 8, each network at its best learning rate",),
)  # fmt: skip
