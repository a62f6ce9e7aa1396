"""A deep MLP on the digits, compiled, that can be looked into and taken in hand while it learns."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function, Layout
from bnviz.maths.data import digits
from bnviz.maths.functional import State, descend, evaluate, hold
from bnviz.maths.measures import accuracy
from bnviz.maths.nets import ACTIVATIONS, MLP, activate, initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.record import inputs_of

__all__ = ["BATCH", "DEPTH", "PROBE", "WIDTH", "Watched", "watched"]

BATCH, PROBE, DEPTH, WIDTH = 32, 256, 5, 64


More = Callable[[MLP, Layout], list[Function]]


class Watched:
    """One network of five hidden layers of 64, to be trained again and again.

    Attributes:
        norm: with BN in front of every activation.
        layout: of the state that `state` and `put` speak of.

    Args:
        norm: see there.
        more: other functions of its state, for `instance`.
    """

    def __init__(self, norm: bool, more: More | None = None):
        self.norm = norm
        net = MLP(norm=norm)
        self.layout = Layout({k: tuple(v.shape) for k, v in net.state_dict().items()})
        functions = _functions(net, self.layout)
        functions += more(net, self.layout) if more else []
        self.instance = Instance(compile_functions(functions, (BATCH, BATCH)))

    def begin(self, *, activation: str, lr: float, scale: float, seed: int) -> None:
        """New weights, and the minibatches in the order of this seed."""
        index = float(ACTIVATIONS.index(activation))
        self.rows = Shuffler(len(digits().x_train), seed)
        controls = torch.tensor([lr, scale, index])
        self.instance.run("initial", seed=torch.tensor([float(seed)]), controls=controls)
        self.instance.keep("initial")

    def go(self, steps: int, anchor: Tensor | None = None) -> None:
        """So many steps of gradient descent.

        Args:
            steps: how many.
            anchor: (DEPTH, WIDTH): after each step the biases are set so that the mean of every
                unit over the probe is this. No distribution drifts then, as far as means go. For a
                network without BN.
        """
        run = self.instance
        for _ in range(steps):
            run.run("step", rows=self.rows.take(BATCH))
            run.keep("step")
            if anchor is not None:
                run.run("anchored", anchor=anchor)
                run.keep("anchored")

    def look(self) -> dict[str, Tensor]:
        """What the network is like now, on fixed training images, the probe, in training mode.

        Returns:
            "v", the pre-activations (DEPTH, PROBE, WIDTH), behind BN where there is one; "loss" and
            "train", the accuracy, on the probe; "test", the accuracy in evaluation mode; "finite".
        """
        return self.instance("look")

    def state(self) -> State:
        """All parameters and running statistics."""
        return self.layout.unpack(self.instance.read("step", "state"))

    def put(self, state: State) -> None:
        """Go on from there. The order of the minibatches stays."""
        self.instance.run("look", state=self.layout.pack(state))


@cache
def watched(norm: bool) -> Watched:
    """The same one again, so that it is compiled once in a process."""
    return Watched(norm)


def _functions(net: MLP, layout: Layout) -> list[Function]:
    data = digits()
    probe, labels = data.x_train[:PROBE], data.y_train[:PROBE]

    def initial(seed: Tensor, controls: Tensor) -> State:
        return {"next_state": layout.pack(initialise(net, seed.reshape(()), controls[1]))}

    def step(state: Tensor, rows: Tensor, controls: Tensor) -> State:
        now = layout.unpack(state)
        values = hold(net, now, {"activation": controls[2]})
        batch = data.x_train[rows], data.y_train[rows]
        return {"next_state": layout.pack(descend(net, now, values, batch, controls[0])[0])}

    def look(state: Tensor, controls: Tensor) -> State:
        now, index = layout.unpack(state), {"activation": controls[2]}
        values = hold(net, now, index)
        with inputs_of(net.activations) as entered:
            logits = functional_call(net.train(), values, (probe,))
        return {
            "v": torch.stack(entered),  # (DEPTH, PROBE, WIDTH)
            "loss": F.cross_entropy(logits, labels),
            "train": accuracy(logits, labels),
            "test": accuracy(evaluate(net, now, index, data.x_test), data.y_test),
            "finite": state.isfinite().all().float(),
        }

    def anchored(state: Tensor, controls: Tensor, anchor: Tensor) -> State:
        now, h = layout.unpack(state), probe
        for k in range(DEPTH):
            w, b = f"layers.{k}.linear.weight", f"layers.{k}.linear.bias"
            z = h @ now[w].T + now[b]  # (PROBE, WIDTH)
            off = anchor[k] - z.mean(0)  # (WIDTH,)
            now[b] = now[b] + off
            h = activate(z + off, controls[2])
        return {"next_state": layout.pack(now)}

    seed, controls = torch.tensor([0.0]), torch.tensor([0.1, 1.0, 0.0])
    start = initial(seed, controls)["next_state"]
    rows, anchor = torch.arange(23), torch.zeros(DEPTH, WIDTH)
    held = {"state": start, "controls": controls}
    functions = [
        Function("initial", initial, {"seed": seed, "controls": controls}),
        Function("step", step, {"state": start, "rows": rows, "controls": controls}),
        Function("look", look, held),
    ]
    if isinstance(net.layers[0].norm, nn.Identity):
        functions.append(Function("anchored", anchored, held | {"anchor": anchor}))
    return functions
