"""One batch on several devices: Batch Normalization with statistics of all of them.

Forward, each device sends a count, the sum of x and the sum of x^2, and gets the totals:

    mean = sum x / n        var = sum x^2 / n - mean^2

Backward, it sends the sums of dy and of dy * x_hat, and gets the totals:

    dx = weight / sqrt(var + eps) * (dy - (sum dy + x_hat sum dy x_hat) / n)

The gradients of weight and bias stay local sums, as all other gradients do: whoever steps adds them
up. PyTorch's `SyncBatchNorm` does the same, on GPUs only; this runs on any machine.

Source: Peng et al. (2018), MegDet, on Cross-GPU Batch Normalization.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn  # pyright: ignore[reportUnknownVariableType]

from bnviz.maths import _arguments as arguments

__all__ = ["SharedNorm", "forward_backward", "run"]


class SharedNorm(torch.autograd.Function):
    """BN of (m, d) features in a process group; every process calls it with its own part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        sums = torch.stack([torch.full_like(x[0], len(x)), x.sum(0), (x * x).sum(0)])  # (3, d)
        total = _all_reduce(sums)
        n, mean, square = total[0], total[1] / total[0], total[2] / total[0]
        rstd = torch.rsqrt(square - mean**2 + eps)
        x_hat = (x - mean) * rstd
        ctx.save_for_backward(x_hat, weight, rstd, n)
        return weight * x_hat + bias

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (dy,), (x_hat, weight, rstd, n) = upstream, ctx.saved_tensors
        own = torch.stack([dy.sum(0), (dy * x_hat).sum(0)])  # (2, d): of bias, of weight
        total = _all_reduce(own)
        dx = weight * rstd * (dy - (total[0] + x_hat * total[1]) / n)
        return dx, own[1], own[0], None


def _all_reduce(v: Tensor) -> Tensor:
    """The sum of v over all devices."""
    total = v.clone()
    dist.all_reduce(total)  # pyright: ignore[reportUnknownMemberType]
    return total


def forward_backward(
    rank: int,
    parts: list[Tensor],
    upstream: list[Tensor],
    weight: Tensor,
    bias: Tensor,
    eps: float = 1e-5,
) -> dict[str, Tensor]:
    """What one device computes of its part, for `run`.

    Args:
        rank: number of the device, from 0.
        parts, upstream: x and dL/dy of every device, (m, d) each; m may differ.
        weight, bias: (d,).
        eps: added to the variance.

    Returns:
        y, dx, and this device's share of the gradients of weight and bias.
    """
    x, w, b = (v.clone().requires_grad_() for v in (parts[rank], weight, bias))
    y = cast(Tensor, SharedNorm.apply(x, w, b, eps))  # pyright: ignore[reportUnknownMemberType]
    dx, dw, db = torch.autograd.grad(y, (x, w, b), upstream[rank])
    return {"y": y.detach(), "dx": dx, "weight": dw, "bias": db}


def run(work: Callable[..., Any], devices: int, *given: Any) -> list[Any]:
    """Call `work(rank, *given)` in as many processes at once, which form a process group (gloo).

    Args:
        work: a function that a process can import, not one of a notebook; what it returns goes
            through a file.
        devices: how many, at least 1.
        given: tensors and other values that can be pickled.

    Returns:
        What each returned, in order.

    Raises ValueError for no device; an error in a process comes back as PyTorch reports it.
    """
    arguments.whole("devices", devices, 1)
    with tempfile.TemporaryDirectory() as folder:
        spawn(_device, (devices, folder, work, given), nprocs=devices)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(devices)]


def _device(
    rank: int, devices: int, folder: str, work: Callable[..., Any], given: tuple[Any, ...]
) -> None:
    """One process: join the group, work, leave the result in the folder."""
    torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=devices)
    try:
        torch.save(work(rank, *given), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
