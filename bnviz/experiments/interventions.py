"""What revives a network that fails to train? Cause, told from company, by taking it in hand.

Twenty networks of each kind of failure train for 400 steps. Then each is copied, and every copy
goes on from there with one thing changed, with the same minibatches. What revives them was what
they lacked. One copy goes on unchanged: the control.

And one more training, from the start, in which the means of all units are held: after each step the
biases are set back so that no unit's mean moves. If a network fails because its distributions
drift, this one does not fail.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from statistics import median

import torch
from torch import Tensor

from bnviz.experiments.experiment import Experiment, Row, rounded
from bnviz.experiments.failures import CRITERIA, KINDS, PROPER, Diary, kind_of
from bnviz.experiments.watched import DEPTH, PROBE, WIDTH, Watched, watched
from bnviz.maths.data import digits
from bnviz.maths.functional import State
from bnviz.maths.nets import MLP, activate

__all__ = ["INTERVENTIONS", "SETTINGS", "anew", "causes", "normalised", "set_right"]

SETTINGS = {  # kind, activation, BN, learning rate, share of the proper scale
    "faded sigmoid": ("faded", "sigmoid", False, 1.0, 0.25),
    "faded ReLU": ("faded", "relu", False, 0.1, 0.25),
    "dead sigmoid": ("thrown, dead", "sigmoid", False, 10.0, 1.0),
    "dead tanh": ("thrown, dead", "tanh", False, 1.0, 1.0),
    "dead ReLU": ("thrown, dead", "relu", False, 1.0, 0.5),
    "BN sigmoid": ("thrown, moving", "sigmoid", True, 30.0, 1.0),
    "BN tanh": ("thrown, moving", "tanh", True, 10.0, 1.0),
    "BN ReLU": ("thrown, dead", "relu", True, 10.0, 1.0),
}
SLOWER = 0.1  # of the learning rate, for the arms that go on more gently
BEFORE = 400  # steps
_LATER = {"half": 200, "all": 400}  # more steps, until the accuracy is taken
GUESSING = 0.1
SEEDS = tuple(range(100, 120))  # none of those that the kinds were found with


def set_right(state: State, index: Tensor, *, spread: bool, centre: bool) -> State:
    """The plain network with its pre-activations put in order, layer by layer from the input.

    spread: W_k and b_k are divided by one number for each layer, so that the standard deviation of
    a unit over the images is 1 in the mean of the layer. Without `centre`, the means of the units
    stay. centre: b_k is changed so that the mean of every unit is 0. Nothing else changes, and no
    layer normalises anything afterwards.

    Args:
        state: of an `nets.MLP` without BN, of `DEPTH` layers.
        index: of the activation.
    """
    new, h = dict(state), digits().x_train[:PROBE]
    for k in range(DEPTH):
        w, b = f"layers.{k}.linear.weight", f"layers.{k}.linear.bias"
        z = h @ new[w].T + new[b]  # (PROBE, WIDTH)
        size, middle = z.std(0, correction=0).mean(), z.mean(0)
        factor = 1 / size if spread and size > 1e-12 else torch.tensor(1.0)
        new[w], new[b] = factor * new[w], factor * new[b]
        wanted = torch.zeros(WIDTH) if centre else middle
        new[b] = new[b] + wanted - factor * middle
        h = activate(h @ new[w].T + new[b], index)
    return new


def normalised(state: State) -> State:
    """The state of a network with BN that has the weights of a plain one: gamma 1, beta 0."""
    fresh: State = MLP(norm=True).state_dict()
    return {k: state.get(k, v) for k, v in fresh.items()}


def anew(state: State) -> State:
    """A network with BN whose gamma and beta are 1 and 0 again: every unit is back in its place."""
    new = dict(state)
    for k, v in state.items():
        if k.endswith("norm.weight"):
            new[k] = torch.ones_like(v)
        elif k.endswith("norm.bias"):
            new[k] = torch.zeros_like(v)
    return new


def run(cell: Row) -> Row:
    """All seeds of one setting: the kind of each, and how well every arm reads the probe."""
    seeds = [_one(cell["setting"], seed) for seed in cell.get("seeds", SEEDS)]
    letters: dict[str, str] = dict(zip(KINDS, "LSFDMX", strict=True))
    kinds = "".join(letters[kind] for kind, _ in seeds)
    arms = {
        arm: {name: [rounded(scores[arm][name], 2) for _, scores in seeds] for name in _LATER}
        for arm in seeds[0][1]
    }
    return {"kinds": kinds, "arms": arms}


def _one(setting: str, seed: int) -> tuple[str, dict[str, dict[str, float]]]:
    """The kind after `BEFORE` steps, and the scores of each arm."""
    _, activation, norm, lr, factor = SETTINGS[setting]
    about: Row = {
        "activation": activation,
        "lr": lr,
        "scale": factor * PROPER[activation],
        "seed": seed,
    }
    diary = Diary(norm=norm, **about)
    net, found = diary.net, {}
    first = net.state()
    diary.go(BEFORE - BEFORE // 4)
    late = diary.follow(BEFORE // 4)
    state, rows = net.state(), net.rows
    for arm, new in _arms(state, first, diary.index, norm):
        for pace, label in ((1.0, arm), (SLOWER, f"{arm}, slower")):
            other = watched(arm == "BN" or norm)
            other.begin(**{**about, "lr": pace * lr})
            other.rows = deepcopy(rows)
            other.put(new)
            found[label] = _scores(other)
    if not norm:
        net.begin(**about)
        anchor = net.look()["v"].mean(1)  # (DEPTH, WIDTH)
        net.go(BEFORE, anchor)
        found["held"] = _scores(net, anchor)
    return kind_of(rounded({**late, "late": late["drift"]})), found


def _arms(state: State, first: State, index: Tensor, norm: bool) -> Iterator[tuple[str, State]]:
    """Name and state with which each copy goes on; `first` is the state at the start."""
    yield "goes on", state
    if norm:
        head = {k: v for k, v in first.items() if k.startswith("head.")}
        yield "reset", anew(state)
        yield "head", state | head
        yield "reset and head", anew(state) | head
        return
    for arm, spread, centre in (
        ("spread", True, False),
        ("centre", False, True),
        ("both", True, True),
    ):
        yield arm, set_right(state, index, spread=spread, centre=centre)
    yield "BN", normalised(state)


def _scores(net: Watched, anchor: Tensor | None = None) -> dict[str, float]:
    """Accuracy on the probe after so many more steps, the median of five looks up to there."""
    found, done = {}, 0
    for name, steps in _LATER.items():
        net.go(steps - done - 25, anchor)
        seen = []
        for _ in range(5):
            net.go(5, anchor)
            look = net.look()
            seen.append(look["train"].item() if bool(look["finite"]) else GUESSING)
        found[name], done = median(seen), steps
    return found


def summarise(rows: list[Row]) -> dict:
    """In how many seeds each arm learned, at both times, against going on and by itself."""
    return {
        row["setting"]: {
            "kinds": dict(Counter(row["kinds"]).most_common()),
            "seeds": len(row["kinds"]),
            "learned": {
                arm: {name: sum(a > CRITERIA.learned for a in values) for name, values in v.items()}
                for arm, v in row["arms"].items()
            },
            "causes": {arm: causes(row, arm) for arm in row["arms"] if arm != "goes on"},
        }
        for row in rows
    }


def causes(row: Row, arm: str) -> str:
    """Whether what this arm changed was what the networks lacked: "yes", "no", "undecided".

    yes: at both times the arm learns in at least half of the seeds more than going on does. no: in
    less than a quarter more, at both. The rule was written down before the runs.
    """
    margins = []
    for name in _LATER:
        arm_, control = (
            [a > CRITERIA.learned for a in row["arms"][k][name]] for k in (arm, "goes on")
        )
        margins.append((sum(arm_) - sum(control)) / len(control))
    if min(margins) >= 0.5:
        return "yes"
    return "no" if max(margins) < 0.25 else "undecided"


INTERVENTIONS = Experiment(
    name="interventions",
    title="What revives a network that fails to train",
    claims=("C08",),
    question="Which change, made in mid-run, makes a network learn that has failed so far?",
    settings={
        "data": "digits",
        "network": "5 hidden layers of 64",
        "batch": 32,
        "before": BEFORE,
        "later": _LATER,
        "seeds": f"{SEEDS[0]} to {SEEDS[-1]}; the kinds were found with others",
        "settings": {
            k: dict(zip(("kind", "activation", "bn", "lr", "factor"), v, strict=True))
            for k, v in SETTINGS.items()
        },
        "arms": {
            "goes on": "the control",
            "spread": "weights divided by one number for each layer: spread 1; means kept",
            "centre": "biases changed: mean 0 for every unit; spread kept",
            "both": "spread 1 and mean 0",
            "BN": "BN swapped in, gamma 1, beta 0",
            "reset": "a network with BN: gamma 1, beta 0 again",
            "head": "a network with BN: the last, linear layer as it was at the start",
            "held": "from the start, the mean of every unit is held by its bias: no drift of means",
            "slower": f"from there on with {SLOWER} of the learning rate",
        },
        "no": "Drift is not the cause if holding it makes less than a quarter more of the seeds "
        "learn; the fade is not if restoring the spread does, or if moving the means back does as "
        "much; being thrown is not if moving back does not, at either learning rate.",
    },
    grid={"setting": tuple(SETTINGS)},
    run=run,
    summarise=summarise,
    digits=2,
)
