"""`bnviz.watch` around a training loop, against the loop alone and against TensorBoard."""

import tempfile
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bnviz.bench.rows import Row, in_ms, in_turns, seconds
from bnviz.watching.watch import Watch

__all__ = ["watch_rows"]

STEPS, EVERY, BATCH = 20, 10, 64
CHANNELS = (64, 128, 256, 256)


def watch_rows() -> Iterator[Row]:
    """Both record each 10th step of a convolutional network of a million parameters."""
    torch.set_num_threads(1)
    loop = _Loop()
    size = sum(p.numel() for p in loop.net.parameters())
    what = f"{STEPS} steps, CNN of {size / 1e6:.2f} million parameters, every {EVERY}th watched"
    for against, theirs, target in (
        ("not watched", loop.train, 1.10),
        ("TensorBoard add_histogram", loop.with_tensorboard, 1.0),
    ):
        ms = in_ms(in_turns(seconds(loop.watched), seconds(theirs)))
        yield Row("Watching", what, against, "ms", *ms, target=target)


class _Loop:
    """Some training steps on noise of the shape of small photos."""

    def __init__(self):
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * CHANNELS[-1], 100))
        self.x, self.y = torch.randn(BATCH, 3, 32, 32), torch.randint(100, (BATCH,))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01)

    def train(self, after: Callable[[int], None] = lambda step: None) -> None:
        for step in range(STEPS):
            loss = cross_entropy(self.net(self.x), self.y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            after(step)

    def watched(self) -> None:
        with Watch(self.net, EVERY):
            self.train()

    def with_tensorboard(self) -> None:
        """Histograms of what BN layers and activations receive, of weights and of gradients."""
        from torch.utils.tensorboard import SummaryWriter

        seen: list[torch.Tensor] = []
        watched = [m for m in self.net if isinstance(m, (nn.BatchNorm2d, nn.ReLU))]
        hooks = [m.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
                 for m in watched]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:

            def write(step: int) -> None:
                if step % EVERY == 0:
                    for layer, values in enumerate(seen):
                        writer.add_histogram(f"layer {layer}", values, step)
                    for name, p in self.net.named_parameters():
                        writer.add_histogram(name, p, step)
                        writer.add_histogram(f"{name}, gradient", p.grad, step)
                seen.clear()

            self.train(write)
        for hook in hooks:
            hook.remove()
