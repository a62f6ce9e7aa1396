"""What wrong statistics cost: how much a model's answers change when they are measured anew."""

import torch

from bnviz.clinic.measured import Measured, Run
from bnviz.clinic.patient import logits_of

__all__ = ["answers"]


def answers(m: Measured) -> tuple[float, str]:
    """How much the outputs change when the statistics are measured anew, and that in words."""
    if m.renewed is None or not m.renewed.outputs or not m.evaluation.outputs:
        return 0.0, ""
    before, after = (torch.cat([y.flatten(1) if y.ndim > 1 else y[:, None] for y in run.outputs])
                     for run in (m.evaluation, m.renewed))  # fmt: skip
    if logits_of(m.evaluation.outputs[0]) is not None:
        changed = (before.argmax(1) != after.argmax(1)).float().mean().item()
        words = f"{changed:.0%} of the model's answers change"
        moved = (before.softmax(1) - after.softmax(1)).abs().sum(1).mean().item() / 2
        words += f", and {moved:.0%} of their probability moves to other classes"
        changed = max(changed, moved / 2)
        right = [_accuracy(m, run) for run in (m.evaluation, m.renewed)]
        if None not in right:
            words += f" (accuracy {right[0]:.1%} before, {right[1]:.1%} after)"
        return changed, words
    spread = after.std().item() or 1.0
    changed = (before - after).square().mean().sqrt().item() / spread
    return changed / 5, f"the outputs move by {changed:.2g} of their standard deviation"


def _accuracy(m: Measured, run: Run) -> float | None:
    if any(b.labels is None for b in m.batches) or len(run.outputs) < len(m.batches):
        return None
    right = n = 0
    for b, y in zip(m.batches, run.outputs, strict=True):
        labels = b.labels
        if labels is None or len(labels) != len(y):
            return None
        right += int((y.argmax(1) == labels.cpu()).sum())
        n += len(labels)
    return right / n
