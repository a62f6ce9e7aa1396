"""What the code of `book/troubles/` runs on: a small healthy network with its data."""

import ast
import copy
import functools
import re
import warnings

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from tests.pages import BOOK

__all__ = ["names", "run", "said_by"]

_PAGE = BOOK / "troubleshooting.md"


@functools.cache
def _trained() -> tuple[nn.Module, TensorDataset, TensorDataset]:
    """A network with BN that tells four kinds of noisy pictures apart, and the pictures."""
    torch.manual_seed(0)
    patterns = torch.randn(4, 3, 8, 8)
    classes = torch.arange(64) % 4
    train, test = (
        TensorDataset(patterns[classes] + 0.5 + 0.5 * torch.randn(64, 3, 8, 8), classes)
        for _ in range(2)
    )
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 36, 4),
    )  # fmt: skip
    descent = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(20):
        for x, y in _loader(train):
            descent.zero_grad()
            cross_entropy(model(x), y).backward()
            descent.step()
    return model, train, test


def _loader(data: TensorDataset) -> DataLoader:
    order = torch.Generator().manual_seed(0)
    return DataLoader(data, batch_size=16, shuffle=True, generator=order)


def names(*code: str) -> dict:
    """The names that the page promises, made by the page's own code, and after `code`."""
    model, train, test = _trained()
    torch.manual_seed(1)
    model = copy.deepcopy(model)
    space = {
        "model": model,
        "loader": _loader(train),
        "test_loader": _loader(test),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05),
        "TensorDataset": TensorDataset,
    }
    promised = re.search(r"^```python\n(.*?)^```", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for part in (promised[1], *code):
        run(part, space)
    return space


def run(code: str, space: dict):
    """Run code there; the value of its last line, None unless that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<symptom>", "exec"), space)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<symptom>", "eval"), space)


def said_by(code: str) -> str:
    """What code raises and warns of, as Python prints it."""
    space, said = names(), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(code, space)
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    return "\n".join(said + [f"{w.category.__name__}: {w.message}" for w in caught])
