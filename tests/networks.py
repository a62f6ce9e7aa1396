"""Networks of other people: kinds that a tool for any PyTorch model has to bear."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["KINDS", "batch_for", "make"]


class Residual(nn.Module):
    """A convolutional network with two blocks around which the signal also goes straight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.blocks = nn.ModuleList(self._block() for _ in range(2))
        self.relu = nn.ReLU(inplace=True)  # shared by all
        self.head = nn.Linear(8, 4)

    def _block(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        for block in self.blocks:
            x = self.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class Shared(nn.Module):
    """One layer, one BN and one ReLU, used three times in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.layer, self.bn = nn.Linear(6, 16), nn.Linear(16, 16), nn.BatchNorm1d(16)
        self.relu, self.head = nn.ReLU(), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(3):
            x = self.relu(self.bn(self.layer(x)))
        return self.head(x)


class Mixed(nn.Module):
    """BN and LayerNorm in one network, called with keywords, answering with a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.bn = nn.Linear(6, 16), nn.BatchNorm1d(16)
        self.norm, self.act, self.head = nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4)

    def forward(self, *, features: Tensor) -> dict[str, Tensor]:
        x = self.act(input=self.norm(self.bn(input=self.enter(features))))
        return {"logits": self.head(x)}


class Sequences(nn.Module):
    """1-D convolutions over sequences (n, channels, length)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(5, 8, 3, padding=1), nn.BatchNorm1d(8), nn.Tanh(),
            nn.Conv1d(8, 8, 3, padding=1), nn.BatchNorm1d(8), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(2))


def _mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 32), nn.BatchNorm1d(32), nn.Sigmoid(),
        nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4),
    )  # fmt: skip


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (_mlp, (6,)),
    "cnn": (_cnn, (3, 8, 8)),
    "residual": (Residual, (3, 8, 8)),
    "shared": (Shared, (6,)),
    "mixed": (Mixed, (6,)),
    "sequences": (Sequences, (5, 12)),
    "bfloat16": (lambda: _mlp().to(torch.bfloat16), (6,)),
}


def make(kind: str, seed: int = 0) -> nn.Module:
    """A network of a kind, its weights from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return KINDS[kind][0]()


def batch_for(kind: str, n: int = 32, seed: int = 1) -> tuple[dict[str, Tensor] | Tensor, Tensor]:
    """Inputs and classes that a network of this kind can learn, from a seed."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=generator)
    x = torch.randn(n, *KINDS[kind][1], generator=generator)
    x = x + y.reshape(-1, *[1] * (x.ndim - 1)) * torch.linspace(-1, 1, x.shape[1]).reshape(
        -1, *[1] * (x.ndim - 2)
    )
    if kind == "bfloat16":
        x = x.to(torch.bfloat16)
    return ({"features": x} if kind == "mixed" else x), y
