"""Figure 1 of Ioffe and Szegedy (2015), on the digits: section 4.1 with five seeds."""

import torch
from torch import Tensor
from torch.func import functional_call

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths.data import Split, digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.maths.train import Step, train

__all__ = ["IOFFE_FIGURE_1", "gaussian", "look"]

SIZES = (64, 100, 100, 100, 10)
BATCH, SIGMA, UNIT = 60, 0.1, 0
STEPS = 5000
RECORDED = (
    1,
    5,
    10,
    15,
    20,
    30,
    40,
    50,
    70,
    100,
    150,
    200,
    300,
    400,
    500,
    600,
    700,
    800,
    900,
    1000,
    1200,
    1400,
    1600,
    1800,
    2000,
    2500,
    3000,
    3500,
    4000,
    4500,
    5000,
)
AT = (20, 50, 100, 500, 1000, 5000)
REACHED = (50, 80, 90)  # percent
RATES = {"low": 0.1, "main": 0.5, "high": 2.0}


def gaussian(net: MLP, seed: int, sigma: float) -> dict[str, Tensor]:
    """Starting values with every weight drawn from N(0, sigma^2), biases 0, gamma 1, beta 0."""
    state = initialise(net, seed)  # weights of N(0, 1 / fan_in)
    return {k: w * w.shape[1] ** 0.5 * sigma if w.ndim == 2 else w for k, w in state.items()}


def run(cell: Row) -> Row:
    """Train one network; look at the test images at the recorded steps."""
    split = digits(binary=True)
    net = MLP(SIZES, norm=cell["net"] == "bn", activation="sigmoid")
    net.load_state_dict(gaussian(net, cell["seed"], SIGMA))
    accuracies: list[float] = []
    tracks: list[Tensor] = []

    def record(step: Step) -> None:
        if step.number in RECORDED:
            accuracy, percentiles = look(net, split)
            accuracies.append(accuracy)
            tracks.append(percentiles)

    train(
        net,
        split,
        steps=cell.get("steps", STEPS),
        batch_size=BATCH,
        lr=cell["lr"],
        seed=cell["seed"],
        on_step=record,
    )
    track = torch.stack(tracks)  # (records, 3, units)
    wander = (track[:, 1] - track[0, 1]).abs().amax(0)  # (units,)
    return {
        "accuracy": accuracies,
        **{f"p{p}": track[:, i, UNIT].tolist() for i, p in enumerate((15, 50, 85))},
        "wander": wander[UNIT].item(),
        "wander_mean": wander.mean().item(),
    }


@torch.no_grad()
def look(net: MLP, split: Split) -> tuple[float, Tensor]:
    """Test accuracy, and the 15th, 50th, 85th percentile of the input of each last sigmoid.

    Accuracy in evaluation mode; the percentiles in training mode, where BN uses the statistics of
    the images before it, on a copy of the state, so that the running statistics do not move.
    """
    logits = net.eval()(split.x_test)
    with inputs_of(net.activations[-1:]) as seen:
        functional_call(net.train(), dict(net.state_dict()), (split.x_test,))
    accuracy = (logits.argmax(1) == split.y_test).double().mean().item()
    return accuracy, torch.quantile(seen[0], torch.tensor([0.15, 0.5, 0.85]), dim=0)


def summarise(rows: list[Row]) -> dict:
    """Accuracy at some steps, steps to some accuracies, and how far the median wanders."""
    return {
        net: {
            rate: _describe([r for r in rows if r["net"] == net and r["lr"] == lr])
            for rate, lr in RATES.items()
        }
        for net in ("plain", "bn")
    }


def _describe(rows: list[Row]) -> dict:
    return {
        "runs": len(rows),
        "accuracy": {
            str(at): between(row["accuracy"][RECORDED.index(at)] for row in rows) for at in AT
        },
        "steps_to": {
            str(percent): between(steps_to(row["accuracy"], percent / 100) for row in rows)
            for percent in REACHED
        },
        "wander_of_unit": between(row["wander"] for row in rows),
        "wander_of_all_units": between(row["wander_mean"] for row in rows),
    }


def steps_to(accuracies: list[float], level: float) -> int | None:
    """First recorded step with that accuracy; None if there is none.

    >>> steps_to([0.1, 0.6, 0.5], 0.5)
    5
    """
    return next((s for s, a in zip(RECORDED, accuracies, strict=False) if a >= level), None)


IOFFE_FIGURE_1 = Experiment(
    name="ioffe-figure-1",
    title="Ioffe and Szegedy's figure 1 on the digits",
    claims=("C03", "C07"),
    question="How do test accuracy and the input of one sigmoid develop, with and without BN?",
    settings={
        "data": "digits, 8 x 8, binary: pixels of 8 and more (of 16) are 1, the others 0",
        "network": "3 hidden layers of 100 sigmoid units, softmax, cross-entropy",
        "batch": BATCH,
        "optimiser": "plain SGD (the paper does not say)",
        "rates": RATES,
        "sigma": SIGMA,
        "sigma_note": "standard deviation of every weight (the paper: small random Gaussian)",
        "unit": f"unit {UNIT} of the last hidden layer, chosen before looking",
        "percentiles": "of what enters the sigmoid for the test images, with their statistics",
        "accuracy": "on the test images in evaluation mode, with running statistics",
        "recorded": list(RECORDED),
    },
    grid={"net": ("plain", "bn"), "lr": tuple(RATES.values()), "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
    notes=(
        "The paper trains on MNIST for 50,000 steps; lr, optimiser and sigma are our choices.",
        "wander: largest distance of a unit's median from its first recorded value.",
    ),
)
