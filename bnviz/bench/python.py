"""Our NumPy against PyTorch, and recording against what else records."""

import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bnviz.bench.rows import Row, in_ms, in_turns, seconds
from bnviz.maths import batchnorm
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP
from bnviz.maths.record import ActivationRecorder

__all__ = ["numpy_rows", "recorder_rows"]

SHAPES = ((256, 1024), (64, 32, 16, 16))
STEPS = 100


def numpy_rows() -> Iterator[Row]:
    """Forward and backward of BN, one thread: `bnviz.maths.batchnorm` against `torch.nn`."""
    torch.set_num_threads(1)
    yield from map(_numpy_row, SHAPES)


def _numpy_row(shape: tuple[int, ...]) -> Row:
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    d = shape[1]
    gamma, beta = np.ones(d, np.float32), np.zeros(d, np.float32)
    layer = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(d)
    x_torch, dy_torch = torch.tensor(x, requires_grad=True), torch.tensor(dy)

    def ours():
        _, cache = batchnorm.forward(x, gamma, beta)
        batchnorm.backward(dy, cache)

    def theirs():
        layer(x_torch).backward(dy_torch)

    times = in_turns(seconds(ours), seconds(theirs))
    what = f"BN forward and backward, {shape}"
    return Row("NumPy", what, "torch.nn", "ms", *in_ms(times), target=3)


def recorder_rows() -> Iterator[Row]:
    """A training loop with recording against one without, and against TensorBoard's histograms."""
    torch.set_num_threads(1)
    for every in (1, 10):
        ours, plain, board = _Loop(every), _Loop(None), _Board(every)
        what = f"{STEPS} steps, recorded at every {'step' if every == 1 else f'{every}th'}"
        ms = in_ms(in_turns(seconds(ours), seconds(plain)))
        target = 1.15 if every == 10 else None
        yield Row("Recording", what, "not recorded", "ms", *ms, target=target)
        ms = in_ms(in_turns(seconds(ours), seconds(board)))
        yield Row("Recording", what, "TensorBoard add_histogram", "ms", *ms, target=1)


class _Loop:
    """Some training steps of 5 x 64 units with BN, recorded unless `every` is None."""

    def __init__(self, every: int | None):
        self.every = every
        torch.manual_seed(0)
        self.net = MLP((64, *[64] * 5, 10), norm=True)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)

    def __call__(self) -> None:
        if self.every is None:
            self.train()
        else:
            with ActivationRecorder(self.net.activations, every=self.every):
                self.train()

    def train(self, after=lambda step: None) -> None:
        data = digits()
        for step in range(STEPS):
            rows = torch.arange(32 * step, 32 * step + 32) % len(data.x_train)
            loss = cross_entropy(self.net(data.x_train[rows]), data.y_train[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            after(step)


class _Board(_Loop):
    """The same, with every layer's values written by TensorBoard."""

    def __init__(self, every: int):
        super().__init__(every)
        self.stride = every
        self.seen: list[torch.Tensor] = []
        for module in self.net.activations:
            module.register_forward_pre_hook(lambda _, args: self.seen.append(args[0].detach()))

    def __call__(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:

            def write(step: int) -> None:
                if step % self.stride == 0:
                    for layer, values in enumerate(self.seen):
                        writer.add_histogram(f"layer {layer + 1}", values, step)
                self.seen.clear()

            self.train(write)
