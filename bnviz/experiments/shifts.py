"""Both measures of internal covariate shift, on the same runs: plain, BN, noisy BN."""

from statistics import median

import torch
from torch import Tensor
from torch.func import functional_call

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.maths import ics
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.noisy import N_MU, N_SIGMA, NoisyBatchNorm, R, add_noise
from bnviz.maths.prng import Shuffler
from bnviz.maths.record import inputs_of
from bnviz.maths.train import Step, train

__all__ = ["ICS_MEASURES"]

NETS = ("plain", "bn", "noisy")
SETTINGS = {  # activation, initial scale, learning rate: all three networks learn in each
    "sigmoid-slow": ("sigmoid", 5.0, 0.5),
    "sigmoid-fast": ("sigmoid", 5.0, 1.5),
    "tanh-slow": ("tanh", 1.0, 0.05),
    "tanh-fast": ("tanh", 1.0, 0.15),
    "relu": ("relu", 1.4, 0.1),
}
STEPS, BATCH, EVERY, PROBE, LAYERS = 300, 32, 10, 256, 5
PHASES = {"early": range(0, 100), "late": range(200, 300)}
MEASURES = ("cosine", "relative_shift", "shift", "drift", "drift_in_std", "raw_drift_in_std")
KEYS = ("shift", "norm", "cosine", "w1", "std", "raw_w1", "raw_std")


class _Observer:
    """Measures the step that comes next, every `EVERY` steps, on the batch that it will use."""

    def __init__(self, net: MLP, lr: float, seed: int):
        self.net, self.lr, self.data = net, lr, digits()
        self.next_rows = Shuffler(len(self.data.x_train), seed)
        self.records: dict[int, dict[str, list[float]]] = {}
        self.before: tuple[Tensor, ...] = ()
        self.look(0)

    def __call__(self, step: Step) -> None:
        self.look(step.number)

    def look(self, done: int) -> None:
        """`done` steps have been taken; the network holds what step `done + 1` will start from."""
        rows = self.next_rows.take(BATCH)
        values = {k: v.detach() for k, v in self.net.state_dict().items()}
        if done % EVERY == 1:
            pairs = zip(self.before, self._look_inside(values), strict=True)
            moved = [ics.wasserstein(a, b).mean().item() for a, b in pairs]
            self.records[done - 1] |= {"raw_w1": moved[0::2], "w1": moved[1::2]}
        if done % EVERY == 0 and done < STEPS:
            self.before = self._look_inside(values)
            x, y = self.data.x_train[rows], self.data.y_train[rows]
            found = ics.gradient_shift(self.net, values, x, y, self.lr)
            self.records[done] = {k: v.tolist() for k, v in found.items()}
            std = [v.std(0, correction=0).mean().item() for v in self.before]
            self.records[done] |= {"raw_std": std[0::2], "std": std[1::2]}

    @torch.no_grad()
    def _look_inside(self, values: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """For each layer what enters its norm, then what enters its activation, (PROBE, 64) each.

        In training mode, on the probe. Without BN the two are the same.
        """
        watched = [m for layer in self.net.layers for m in (layer.norm, layer.activation)]
        with inputs_of(watched) as seen:
            functional_call(self.net.train(), dict(values), (self.data.x_train[:PROBE],))
        return tuple(seen)

    def over(self, steps: range, key: str) -> list[float]:
        """Median over the records of a phase, by layer."""
        rows = [r[key] for done, r in self.records.items() if done in steps]
        return [median(layer) for layer in zip(*rows, strict=True)]


def run(cell: Row) -> Row:
    """Train one network and measure both shifts at every tenth step."""
    activation, scale, lr = SETTINGS[cell["setting"]]
    net = MLP(norm=cell["net"] != "plain", activation=activation)
    if cell["net"] == "noisy":
        add_noise(net, seed=cell["seed"])
    net.load_state_dict(initialise(net, cell["seed"], scale) | _seeds(net))
    observer = _Observer(net, lr, cell["seed"])
    losses = train(
        net,
        observer.data,
        steps=STEPS,
        batch_size=BATCH,
        lr=lr,
        seed=cell["seed"],
        on_step=observer,
    )
    logits = net.eval()(observer.data.x_test)
    result: Row = {
        "loss": sum(losses[-50:]) / 50,
        "accuracy": (logits.argmax(1) == observer.data.y_test).double().mean().item(),
    }
    for phase, steps in PHASES.items():
        result |= {f"{key}_{phase}": observer.over(steps, key) for key in KEYS}
    return result


def _seeds(net: MLP) -> dict[str, Tensor]:
    layers = net.named_modules()
    return {f"{k}.seed": m.seed for k, m in layers if isinstance(m, NoisyBatchNorm)}


def summarise(rows: list[Row]) -> dict:
    """Medians over seeds by layer, and in how many seeds one network shifts more than another."""
    table = {
        setting: {
            net: _describe([r for r in rows if (r["setting"], r["net"]) == (setting, net)])
            for net in NETS
        }
        for setting in SETTINGS
    }
    seeds = len({row["seed"] for row in rows})
    return {"runs": len(rows), "seeds": seeds, "pairs": _pairs(rows), "by_setting": table}


def _describe(rows: list[Row]) -> dict:
    described = {"accuracy": between(r["accuracy"] for r in rows)}
    for phase in PHASES:
        described[phase] = {
            "cosine": _by_layer(r[f"cosine_{phase}"] for r in rows),
            "relative_shift": _by_layer(_ratio(r, "shift", "norm", phase) for r in rows),
            "shift": _by_layer(r[f"shift_{phase}"] for r in rows),
            "drift": _by_layer(r[f"w1_{phase}"] for r in rows),
            "drift_in_std": _by_layer(_ratio(r, "w1", "std", phase) for r in rows),
            "raw_drift_in_std": _by_layer(_ratio(r, "raw_w1", "raw_std", phase) for r in rows),
        }
    return described


def _ratio(row: Row, top: str, bottom: str, phase: str) -> list[float]:
    return [a / b for a, b in zip(row[f"{top}_{phase}"], row[f"{bottom}_{phase}"], strict=True)]


def _by_layer(rows) -> list[float]:
    return rounded([median(layer) for layer in zip(*rows, strict=True)])


def _pairs(rows: list[Row]) -> dict:
    """In how many seeds a measure is larger in one net than in the other, by setting and in all.

    Runs of one setting and seed are compared: sums over layers 2 to 5, late in training.
    """
    score = {(row["setting"], row["seed"], row["net"]): _score(row) for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    found: dict = {}
    for net, other in (("bn", "plain"), ("noisy", "plain"), ("noisy", "bn")):
        counts = found[f"{net}_over_{other}"] = {}
        for measure in MEASURES:
            larger = {
                s: sum(score[s, k, net][measure] > score[s, k, other][measure] for k in seeds)
                for s in SETTINGS
            }
            counts[measure] = {**larger, "all": sum(larger.values())}
    return {"compared": len(SETTINGS) * len(seeds), **found}


def _score(row: Row) -> dict[str, float]:
    """Every measure of one run, summed over layers 2 to 5, late in training."""
    late = {
        "cosine": row["cosine_late"],
        "relative_shift": _ratio(row, "shift", "norm", "late"),
        "shift": row["shift_late"],
        "drift": row["w1_late"],
        "drift_in_std": _ratio(row, "w1", "std", "late"),
        "raw_drift_in_std": _ratio(row, "raw_w1", "raw_std", "late"),
    }
    return {measure: sum(values[1:LAYERS]) for measure, values in late.items()}


ICS_MEASURES = Experiment(
    name="ics-measures",
    title="Two measures of internal covariate shift: plain, BN, noisy BN",
    claims=("C03", "C07"),
    question="Does BN lower internal covariate shift, by either measure, and does the rise of it "
    "in noisy BN hurt?",
    settings={
        "data": "digits",
        "network": "5 hidden layers of 64",
        "settings": {
            k: dict(zip(("activation", "scale", "lr"), v, strict=True)) for k, v in SETTINGS.items()
        },
        "steps": STEPS,
        "batch": BATCH,
        "noise": {"n_mu": N_MU, "n_sigma": N_SIGMA, "r": R},
        "measured": f"at every {EVERY}th step; medians over steps 0-99 (early), 200-299 (late)",
        "drift": f"w1: Wasserstein-1 distance, over one step, of what a unit's activation receives "
        f"for {PROBE} fixed training images in training mode; mean over the units of a layer. "
        "std: mean over units of the standard deviation over these images",
        "raw": "the same two for what enters BN; without BN that is what the activation receives",
        "gradient": "shift ||G - G'||, norm ||G||, cosine, of each weight matrix; the last is the "
        "head's",
    },
    grid={"setting": tuple(SETTINGS), "net": NETS, "seed": (0, 1, 2, 3, 4)},
    run=run,
    summarise=summarise,
    notes=("pairs: sums over layers 2 to 5, late; runs with equal setting and seed.",),
)
