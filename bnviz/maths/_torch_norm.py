"""What `nets.BatchNorm` shares with PyTorch's layers, so that tools written for those take it.

It is a `_BatchNorm` without a forward pass. The one difference: the momentum is a buffer, and so is
the count of batches, and neither is part of what a network learns or tracks.
"""

# PyTorch allows None where this layer has a tensor, a number where it has one, and types no
# argument of its state dicts:
# pyright: reportIncompatibleVariableOverride=false, reportUnknownMemberType=false

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from bnviz.maths import _arguments as arguments
from bnviz.maths import _overflow as overflow

__all__ = ["TorchNorm"]


class TorchNorm(_BatchNorm):
    """Arguments, attributes and state dicts of PyTorch's layers, as `nets.BatchNorm` describes."""

    _version = 1  # in a state dict: PyTorch's layers then do not miss the count of batches

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ):
        arguments.whole("num_features", num_features, 1)
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        count = self._buffers["num_batches_tracked"]
        self.register_buffer("num_batches_tracked", count, persistent=False)

    @property
    def features(self) -> int:
        """d or c, the number of features."""
        return self.num_features

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "eps" and (not arguments.finite(value) or value <= 0):
            raise ValueError(f"eps must be > 0 and finite, got {value}; PyTorch's default is 1e-5")
        if name == "momentum" and not isinstance(value, Tensor):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(
                    f"momentum, the weight of the new value, lies in [0, 1]: {value}; "
                    "None weighs all batches alike"
                )
            mean = self._buffers.get("running_mean")
            if value is not None:
                value = torch.tensor(float(value)) if mean is None else mean.new_tensor(value)
                self._number = float(value)
            # a buffer, so that a simulation can hand in another value at every step
            self.register_buffer("momentum", value, persistent=False)
            return
        super().__setattr__(name, value)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """As ever, but the momentum, which no state dict brings back, outlives `to_empty`."""
        old = self._buffers["momentum"]
        super()._apply(fn, recurse)
        new = self._buffers["momentum"]
        if old is not None and new is not None and not new.is_meta:
            new.fill_(self._number) if old.is_meta else new.copy_(old)
        return self

    def weight_of_batch(self) -> Tensor:
        """The weight of the batch that comes now, which is counted: the momentum, or 1/k."""
        momentum = self._buffers["momentum"]
        # in a graph, a count that decides nothing would be one more output
        if momentum is None or overflow.values_known(self.running_mean):
            self.num_batches_tracked = self.num_batches_tracked + 1
        return (
            momentum
            if momentum is not None
            else (1 / self.num_batches_tracked).to(self.running_mean)
        )

    def running_values_are_finite(self) -> bool:
        """Whether both are; looks at them."""
        both = torch.stack([self.running_mean, self.running_var])
        return bool(torch.isfinite(both).all())

    def extra_repr(self) -> str:
        momentum = self._buffers["momentum"]
        shown = None if momentum is None else round(momentum.item(), 6)
        return f"{self.num_features}, eps={self.eps}, momentum={shown}, affine={self.affine}"

    def _save_to_state_dict(self, destination: Any, prefix: Any, keep_vars: Any) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._buffers["momentum"] is None and self._buffers["running_mean"] is not None:
            destination[f"{prefix}num_batches_tracked"] = self.num_batches_tracked

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: Any,
        local_metadata: Any,
        strict: Any,
        missing_keys: Any,
        unexpected_keys: Any,
        error_msgs: Any,
    ) -> None:
        # PyTorch's layers always have a count in theirs
        if self._buffers["running_mean"] is not None:
            count = cast("Tensor | None", state_dict.pop(f"{prefix}num_batches_tracked", None))
            if count is not None:
                self.num_batches_tracked = count.detach().clone().to(self.running_mean.device)
        nn.Module._load_from_state_dict(
            self,
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )
