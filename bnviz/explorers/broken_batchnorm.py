"""`broken-batchnorm`: the same small network with a right and with a broken layer, in training."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bnviz.explorers import _controls
from bnviz.figure.controls import Choice
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import prng
from bnviz.maths.broken import MISTAKES, Right
from bnviz.maths.data import digits
from bnviz.maths.functional import State
from bnviz.maths.moments import moments
from bnviz.templates.broken_batchnorm import broken_batchnorm

__all__ = ["BROKEN_BATCHNORM", "MYSTERIES"]

INPUTS, WIDTH, CLASSES = 64, 32, 10
PROBE, COMPANIES, SEATS = 4, 12, 8  # the image, and how many test batches of how many it sits in
NETS = ("right", "broken")
_CLASS = int(digits().y_test[PROBE])  # what the image shows
OFF, RATIO, TOP = 2.0, 8.0, 4.0  # ends of the axes
MYSTERIES = {"mystery A": 6, "mystery B": 1, "mystery C": 3}  # an index into MISTAKES
_MEANS = tuple(range(len(MISTAKES))) + tuple(MYSTERIES.values())


def _layers(name: str) -> tuple[type[Right], ...]:
    return (Right,) if name == "right" else tuple(MISTAKES.values())


def _normalise(name: str, z: Tensor, state: State, controls: dict, training: bool, loaded=False):
    """z through the chosen layer, and its running values after that.

    Every layer is computed and one is chosen: a traced graph has no branches. `loaded` takes a
    layer whose state has been saved and loaded into a new one.
    """
    results = []
    for kind in _layers(name):
        bn = kind(WIDTH, controls["momentum"]).train(training)
        bn.running_mean, bn.running_var = (state[f"{name}.{k}"] for k in _buffers(name))
        if loaded:
            saved, bn = bn.state_dict(), kind(WIDTH, controls["momentum"]).train(training)
            for key, value in saved.items():
                setattr(bn, key, value)
        results.append((bn(z), bn.running_mean, bn.running_var))
    if name == "right":
        return results[0]
    means = torch.tensor(_MEANS).index_select(0, controls["mistake"].long().reshape(1))
    return tuple(torch.stack(part).index_select(0, means)[0] for part in zip(*results, strict=True))


def _buffers(name: str) -> tuple[str, str]:
    """Only the right layer's carry the names that promise to behave like PyTorch's."""
    return ("running_mean", "running_var") if name == "right" else ("mean", "var")


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin alike."""
    w1 = prng.normal((WIDTH, INPUTS), seed, stream=0) / INPUTS**0.5
    w2 = prng.normal((CLASSES, WIDTH), seed, stream=1) / WIDTH**0.5
    state = {}
    for name in NETS:
        mean, var = _buffers(name)
        state |= {f"{name}.w1": w1, f"{name}.w2": w2}
        state |= {f"{name}.{mean}": torch.zeros(WIDTH), f"{name}.{var}": torch.ones(WIDTH)}
    return state


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data = digits()
    x, y = data.x_train[rows], data.y_train[rows]
    new, outputs = {}, {}
    for name in NETS:
        with torch.enable_grad():
            w1, w2 = (state[f"{name}.{k}"].detach().requires_grad_() for k in ("w1", "w2"))
            z = x @ w1.T  # (m, WIDTH)
            x_hat, mean, var = _normalise(name, z, state, controls, training=True)
            loss = F.cross_entropy(torch.relu(x_hat) @ w2.T, y)
        d_w1, d_w2, d_z = torch.autograd.grad(loss, [w1, w2, z])
        new |= {f"{name}.w1": w1.detach() - controls["lr"] * d_w1}
        new |= {f"{name}.w2": w2.detach() - controls["lr"] * d_w2}
        new |= dict(zip((f"{name}.{k}" for k in _buffers(name)), (mean, var), strict=True))
        outputs |= {f"{name}_loss": loss.detach()} | _instruments(name, x_hat.detach(), d_z)
    return {k: new[k] for k in state}, outputs


def _instruments(name: str, x_hat: Tensor, d_z: Tensor) -> dict[str, Tensor]:
    """Of each unit: mean and std of what leaves the layer; the part of dL/dz that shifts all z."""
    mean, var = moments(x_hat, 0)
    g = d_z * x_hat.shape[0]  # of one example's loss; where it is all but 0, so is its share
    along_one = g.mean(0) / torch.sqrt((g**2).mean(0) + 1e-4)
    return {
        f"{name}_out_mean": mean.clamp(-OFF, OFF),
        f"{name}_out_std": var.sqrt().clamp(0, 2),
        f"{name}_shift": along_one,
        f"{name}_most_shift": along_one.abs().max(),
    }


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Evaluation mode, after saving and loading: loss, running values, one image in 12 batches."""
    data, outputs = digits(), {}
    for name in NETS:
        z = data.x_test @ state[f"{name}.w1"].T
        whole, mean, var = _normalise(name, z, state, controls, training=False, loaded=True)
        logits = torch.relu(whole) @ state[f"{name}.w2"].T
        loss = F.cross_entropy(logits, data.y_test)
        outputs |= {f"{name}_test": loss, f"{name}_shown": loss.clamp(max=TOP)}
        outputs[f"{name}_company"] = _companies(name, z, state, controls)
        outputs |= _running(name, state, mean, var)
        company = outputs[f"{name}_company"]
        outputs[f"{name}_spread"] = company.max() - company.min()
    return outputs


def _companies(name: str, z: Tensor, state: State, controls: dict) -> Tensor:
    """The probability of the right class for the probe, in each of the test batches."""
    found = []
    for k in range(COMPANIES):
        seats = torch.cat([z[PROBE : PROBE + 1], z[10 + k * (SEATS - 1) :][: SEATS - 1]])
        x_hat, _, _ = _normalise(name, seats, state, controls, training=False, loaded=True)
        logits = torch.relu(x_hat[0]) @ state[f"{name}.w2"].T
        found.append(torch.softmax(logits, 0)[_CLASS])
    return torch.stack(found)


def _running(name: str, state: State, mean: Tensor, var: Tensor) -> dict[str, Tensor]:
    """Loaded running values against the training set's: mean off by stds, and ratio of stds."""
    z = digits().x_train @ state[f"{name}.w1"].T
    true_mean, true_var = moments(z, 0)
    true_std = torch.sqrt(true_var + 1e-5)
    off, ratio = (mean - true_mean) / true_std, torch.sqrt(var + 1e-5) / true_std
    return {
        f"{name}_off": off.clamp(-OFF, OFF),
        f"{name}_ratio": ratio.clamp(1 / RATIO, RATIO),
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_shown", f"{name}-test", "y", append=True))
        bindings.append(Binding(f"{name}_company", f"{name}-company", "y"))
        bindings.append(Binding(f"{name}_shift", f"{name}-shift", "y"))
        for trace, x, y in (("out", "out_mean", "out_std"), ("running", "off", "ratio")):
            bindings.append(Binding(f"{name}_{x}", f"{name}-{trace}", "x"))
            bindings.append(Binding(f"{name}_{y}", f"{name}-{trace}", "y"))
    return tuple(bindings)


BROKEN_BATCHNORM = Simulation(
    name="broken-batchnorm",
    title="Spot the broken layer",
    caption=(
        "Two small networks with one BN layer, the same data and the same start. Blue: the layer "
        "is right. Violet: it has the mistake that you choose. Six instruments watch both, and "
        "evaluation comes after saving and loading. Which instruments does a mistake move? "
        "What lies beyond an axis is drawn at its end."
    ),
    controls=(
        Choice(
            "mistake",
            "mistake",
            (*MISTAKES, *MYSTERIES),
            "one scalar for all",
            restart=True,
        ),
        _controls.batch(16),
        _controls.momentum(low=0.001),
        _controls.rate(0.1, high=3.1622777),
    ),
    compute=None,
    figure=broken_batchnorm(WIDTH, COMPANIES, (OFF, RATIO, TOP)),
    bindings=_bindings(),
    readout=(
        "Right and broken: training loss {right_loss:.2f} and {broken_loss:.2f}, test loss "
        "{right_test:.2f} and {broken_test:.2f}. In 12 test batches, the probability for the one "
        "image ranges over {right_spread:.2f} and {broken_spread:.2f}. The gradient's common shift "
        "is at most {right_most_shift:.2f} and {broken_most_shift:.2f}."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    every=5,
    watch={"right_loss": "the right one", "broken_loss": "the broken one"},
)
