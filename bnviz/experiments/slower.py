"""Does a smaller learning rate rescue a plain sigmoid network? At equal rate times steps."""

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.experiments.watched import watched

__all__ = ["SLOWER"]

SCALE = 2.0  # of the initial weights: the one at which the chapter sees the network fail
RATES = (1.5, 0.5, 0.15, 0.05)
WAYS = (15, 75, 150, 300, 450)  # rate times steps: how far gradient descent may go
SEEDS = tuple(range(10))


def run(cell: Row) -> Row:
    """Test accuracy at each of the `WAYS`, and the same after 100 steps."""
    net = watched(False)
    net.begin(activation="sigmoid", lr=cell["lr"], scale=SCALE, seed=cell["seed"])
    found, done = {}, 0
    steps = {way: round(way / cell["lr"]) for way in WAYS}
    for name, number in sorted({**steps, "100 steps": 100}.items(), key=lambda item: item[1]):
        net.go(number - done)
        done = number
        found[name] = net.look()["test"].item()
    return {"accuracy": [found[way] for way in WAYS], "after_100": found["100 steps"]}


def summarise(rows: list[Row]) -> dict:
    """Accuracy by rate and way; in how many runs 100 steps are enough; two rates compared."""
    by_rate = []
    for lr in sorted({r["lr"] for r in rows}, reverse=True):
        mine = [r for r in rows if r["lr"] == lr]
        ways = zip(*(r["accuracy"] for r in mine), strict=True)
        by_rate.append(
            {
                "lr": lr,
                "after_100": between(r["after_100"] for r in mine),
                "ways": {str(way): between(values) for way, values in zip(WAYS, ways, strict=True)},
            }
        )
    largest, *_, smallest = by_rate
    return {
        "seeds": len(SEEDS),
        "by_rate": by_rate,
        "learned_in_100": sum(r["after_100"] > 0.5 for r in rows),
        "at_300": {"largest": largest["ways"]["300"], "smallest": smallest["ways"]["300"]},
    }


SLOWER = Experiment(
    name="slower",
    title="Five sigmoid layers without BN at smaller learning rates",
    claims=("C04",),
    question="Does a smaller learning rate rescue the plain network, given as many more steps?",
    settings={
        "data": "digits",
        "network": "5 hidden layers of 64 sigmoids, no BN",
        "scale": SCALE,
        "batch": 32,
        "ways": WAYS,
        "accuracy": "on test images, after way / rate steps",
        "no": "A smaller rate does not rescue it if, at equal rate times steps, no rate below the "
        "largest reads half of the images at any way in most seeds.",
    },
    grid={"lr": RATES, "seed": SEEDS},
    run=run,
    summarise=summarise,
)
