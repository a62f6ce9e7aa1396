"""The network that all sides of the benchmark train, as a Simulation and in PyTorch's layers."""

import itertools
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bnviz.compile.figure import compile_figure
from bnviz.compile.module import Module
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Simulation
from bnviz.maths.data import digits
from bnviz.maths.functional import State, descend
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.prng import Shuffler

__all__ = ["LR", "SEED", "Compiled", "Eager", "flops", "kernels", "mlp", "module"]

LR, SEED = 0.1, 0
_INPUTS, _CLASSES = 64, 10


def mlp(depth: int, width: int) -> Simulation:
    """`depth` hidden layers of `width` units with BN and ReLU on the digits; it only trains."""
    net = MLP((_INPUTS, *[width] * depth, _CLASSES), norm=True)
    for layer in net.layers:
        layer.add_module(
            "activation", nn.ReLU()
        )  # the book's own can be switched, which costs time

    def initial(seed: Tensor, **controls: Tensor) -> State:
        return initialise(net, seed)

    def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
        data = digits()
        batch = data.x_train[rows], data.y_train[rows]
        state, loss = descend(net, state, state, batch, controls["lr"])
        return state, {"loss": loss}

    return Simulation(
        name=f"mlp-{depth}-x-{width}",
        title="",
        caption="",
        controls=(
            Slider("lr", "learning rate", 0.001, 1, LR, 0.001),
            Slider("batch", "batch size", 2, 256, 32, 1),
        ),
        compute=None,
        figure={"data": [], "layout": {}},
        bindings=(),
        readout="",
        initial=initial,
        step=step,
        rows=len(digits().x_train),
    )


@cache
def module(depth: int, width: int) -> Module:
    """It as the page gets it."""
    return compile_figure(mlp(depth, width))


def _start(depth: int, width: int) -> State:
    initial = mlp(depth, width).initial
    assert initial is not None  # it trains
    return initial(torch.tensor(SEED))


def kernels(depth: int, width: int) -> list[list[float]]:
    """The weight matrices at the start, each as (inputs, outputs) in one row after the other."""
    return [w.T.flatten().tolist() for w in _start(depth, width).values() if w.ndim == 2]


def flops(depth: int, width: int, batch: int) -> int:
    """Multiplications and additions in the matrix products of one step.

    A layer has three of them: forward, for the gradient of its weights, and for that of its input,
    which the first layer does not need.
    """
    sizes = [_INPUTS, *[width] * depth, _CLASSES]
    products = [a * b for a, b in itertools.pairwise(sizes)]
    return 2 * batch * (3 * sum(products) - products[0])


class Eager:
    """The same in PyTorch's own layers: what one would write in a notebook."""

    def __init__(self, depth: int, width: int, batch: int):
        sizes = [_INPUTS, *[width] * depth]
        layers = [
            layer
            for a, b in itertools.pairwise(sizes)
            for layer in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())
        ]
        head = nn.Linear(width, _CLASSES)
        self.net = nn.Sequential(*layers, head)
        weights = (w for w in _start(depth, width).values() if w.ndim == 2)
        with torch.no_grad():
            for p in self.net.parameters():
                if p.ndim == 2:
                    p.copy_(next(weights))
            head.bias.zero_()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=LR)
        self.rows, self.batch = Shuffler(len(digits().x_train), SEED), batch

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Forward; `backward` finds the way back."""
        return cross_entropy(self.net(x), y)

    def steps(self, count: int) -> float:
        """So many steps; the loss of the last."""
        data, loss = digits(), torch.tensor(torch.nan)
        for _ in range(count):
            rows = self.rows.take(self.batch)
            loss = self.loss(data.x_train[rows], data.y_train[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return float(loss.detach())


class Compiled(Eager):
    """The same through `torch.compile`, forward and backward; the first step compiles.

    The optimizer stays as it is: compiled too, it is no faster here.
    """

    def __init__(self, depth: int, width: int, batch: int):
        super().__init__(depth, width, batch)
        self.loss = torch.compile(super().loss, dynamic=False)
