"""Runs of a model, and what its layers do in them."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bnviz.clinic.patient import Batch, first_of
from bnviz.maths.reestimate import reestimate
from bnviz.watching.flat import Interval, flat_intervals, is_activation, units_within
from bnviz.watching.reading import batch_statistics, is_batch_norm

__all__ = ["Layer", "Measured", "Run", "measure"]

_LINEAR = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)  # fmt: skip


@dataclass
class Run:
    """What a run over all batches showed.

    Attributes:
        calls: BN layer -> for each call (values per feature, mean, biased variance).
        outputs: of the model, a tensor for each batch.
        fronts: BN layer -> module whose output went into it as it was.
        low, high: activation -> smallest and largest value of each unit.
        flat: activation -> share of values where it is flat.
        tails: BN layer -> share of positions at the end of sequences that repeat the last one.
    """

    calls: dict[str, list[tuple[int, Tensor, Tensor]]] = field(default_factory=dict)
    outputs: list[Tensor] = field(default_factory=list)
    fronts: dict[str, nn.Module] = field(default_factory=dict)
    low: dict[str, Tensor] = field(default_factory=dict)
    high: dict[str, Tensor] = field(default_factory=dict)
    flat: dict[str, list[float]] = field(default_factory=dict)
    tails: dict[str, list[float]] = field(default_factory=dict)

    def pooled(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of all values of a layer, float64; between batches included."""
        calls = self.calls[name]
        n = torch.tensor([float(k) for k, _, _ in calls], dtype=torch.float64)
        means = torch.stack([m.double() for _, m, _ in calls])
        variances = torch.stack([v.double() for _, _, v in calls])
        share = (n / n.sum())[:, None]
        mean = (share * means).sum(0)
        return mean, (share * (variances + (means - mean).square())).sum(0)

    def scatter(self, name: str) -> float:
        """Standard deviation of mu_B from call to call, over sigma: the median of the features."""
        calls = self.calls[name]
        if len(calls) < 2:
            return 0.0
        means = torch.stack([m.double() for _, m, _ in calls])
        _, var = self.pooled(name)
        alive = var > 0
        if not alive.any():
            return 0.0
        return (means.std(0)[alive] / var[alive].sqrt()).median().item()

    def width_scatter(self, name: str) -> float:
        """Standard deviation of sigma_B from call to call, over sigma: the median of the features.

        To first order that is half the relative scatter of the variance.
        """
        calls = self.calls[name]
        if len(calls) < 2:
            return 0.0
        variances = torch.stack([v.double() for _, _, v in calls])
        mean = variances.mean(0)
        alive = mean > 0
        if not alive.any():
            return 0.0
        return (variances.std(0)[alive] / mean[alive]).median().item() / 2


@dataclass(frozen=True)
class Layer:
    """A BN layer as it was found, before any run.

    Attributes:
        mean, var: running values, float64 on the CPU; None where there are none.
        updates: `num_batches_tracked`; None where it is not counted.
        trains: whether it normalises with the batch while the model trains.
        wakes: whether `model.train()` puts it into training mode although it was found out of it.
    """

    name: str
    module: nn.Module
    mean: Tensor | None
    var: Tensor | None
    eps: float
    momentum: float | None
    updates: int | None
    trains: bool
    wakes: bool


@dataclass(frozen=True)
class Measured:
    """All that the examination knows.

    Attributes:
        batches: what was run.
        layers: the BN layers.
        evaluation: a run in evaluation mode.
        training: a run as in training, Dropout included.
        batchwise: a run in which BN normalises with the batch and all else is in evaluation mode.
        renewed: a run in evaluation mode with statistics measured anew; None where that failed.
        shuffled: like `batchwise`, the examples dealt anew; None where they cannot be.
        moved: BN layer -> by how many sigma its running mean moved in the training run.
        activations: name -> module, and where it is flat.
        loader, optimizer: as they were given.
        training_mode: whether the model was given in training mode.
        failed: what the training run raised, or "".
    """

    model: nn.Module
    batches: Sequence[Batch]
    layers: Mapping[str, Layer]
    evaluation: Run
    training: Run
    batchwise: Run
    renewed: Run | None
    shuffled: Run | None
    moved: Mapping[str, float]
    activations: Mapping[str, tuple[nn.Module, tuple[Interval, ...]]]
    loader: Any
    optimizer: torch.optim.Optimizer | None
    training_mode: bool
    failed: str


def measure(
    model: nn.Module, batches: Sequence[Batch], loader: Any, optimizer: torch.optim.Optimizer | None
) -> Measured:
    """Run the model in every way that the checks need; it must be kept by `patient.as_it_was`."""
    names = {name: m for name, m in model.named_modules() if is_batch_norm(m)}
    found_modes = {name: m.training for name, m in names.items()}
    training_mode = model.training
    layers = _as_found(model, names, found_modes, training_mode)
    acts = {name: (m, flat_intervals(m)) for name, m in model.named_modules() if is_activation(m)}

    def train_mode() -> None:
        model.train()
        if training_mode:
            for name, layer in names.items():
                layer.training = found_modes[name]

    def batch_mode() -> None:
        model.eval()
        for name, layer in names.items():
            layer.training = layers[name].trains

    held = {name: _held(m) for name, m in names.items()}

    def put_back() -> None:
        with torch.no_grad():
            for name, values in held.items():
                for key, value in values.items():
                    names[name]._buffers[key].copy_(value)  # pyright: ignore[reportOptionalMemberAccess]

    def run(prepare: Callable[[], object], batches: Sequence[Batch] = batches) -> Run:
        prepare()
        with _watched(model, names, acts) as found, torch.no_grad():
            for batch in batches:
                outputs = first_of(batch.run(model))
                if outputs is not None:
                    found.outputs.append(outputs.detach().float().cpu())
        return found

    evaluation = run(model.eval)
    failed, training = "", Run()
    try:
        training = run(train_mode)
    except RuntimeError as error:
        failed = str(error.__cause__ or error)
    moved = {} if failed else _moved(layers, names, training)
    put_back()
    batchwise = Run() if failed else run(batch_mode)
    put_back()
    dealt = None if failed else _dealt(batches)
    shuffled = None if dealt is None else run(batch_mode, dealt)
    put_back()
    renewed = _renewed(model, names, batches, run, training_mode, found_modes)
    put_back()
    return Measured(
        model, batches, layers, evaluation, training, batchwise, renewed, shuffled, moved, acts,
        loader, optimizer, training_mode, failed,
    )  # fmt: skip


def _as_found(model, names, modes, training_mode) -> dict[str, Layer]:
    model.train()
    awake = {name: layer.training for name, layer in names.items()}
    found = {}
    for name, layer in names.items():
        mean, var = (getattr(layer, k, None) for k in ("running_mean", "running_var"))
        count = getattr(layer, "num_batches_tracked", None)
        momentum = getattr(layer, "momentum", None)
        found[name] = Layer(
            name, layer,
            None if mean is None else mean.detach().double().cpu().clone(),
            None if var is None else var.detach().double().cpu().clone(),
            float(getattr(layer, "eps", 0.0)),
            None if momentum is None else float(momentum),
            None if count is None else int(count),
            trains=modes[name] if training_mode else awake[name],
            wakes=training_mode and not modes[name] and awake[name],
        )  # fmt: skip
    return found


def _held(layer: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in layer._buffers.items() if v is not None}


def _moved(layers, names, training: Run) -> dict[str, float]:
    moved = {}
    for name, layer in layers.items():
        now = getattr(names[name], "running_mean", None)
        if layer.mean is None or now is None or name not in training.calls:
            continue
        _, var = training.pooled(name)
        sigma = (var + layer.eps).sqrt()
        moved[name] = ((now.double().cpu() - layer.mean) / sigma).square().mean().sqrt().item()
    return moved


def _renewed(model, names, batches, run, training_mode, modes) -> Run | None:
    """Statistics measured anew on these batches, then a run in evaluation mode."""
    tracked = [m for m in names.values() if getattr(m, "running_mean", None) is not None]
    inputs = [b.inputs for b in batches]
    if not tracked or any(x is None for x in inputs):
        return None
    model.train()
    try:
        reestimate(model, inputs)
        return run(model.eval)
    except (ValueError, RuntimeError):
        return None


def _dealt(batches: Sequence[Batch]) -> list[Batch] | None:
    """The same examples in other company; None unless all batches are tensors of one shape."""
    inputs = [b.inputs for b in batches if b.inputs is not None]
    full = [x for x in inputs if len(x) == len(inputs[0])] if inputs else []
    if len(inputs) < len(batches) or len(full) < 3 or len({x.shape[1:] for x in full}) > 1:
        return None
    pool = torch.cat(full)
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0)).to(pool.device)
    return [Batch(lambda m, x=x: m(x), x, None) for x in pool[order].split(len(full[0]))]


@contextmanager
def _watched(model: nn.Module, names, acts) -> Generator[Run]:
    """Hooks on the layers while a run goes on."""
    run, handles = Run(), []
    outputs: dict[int, nn.Module] = {}  # tensor -> who made it; of this moment only
    alive: list[Tensor] = []  # so that no id is used twice

    def made(module, args, out) -> None:
        if isinstance(out, Tensor):
            outputs[id(out)] = module
            alive.append(out)

    def enters(name, args, kwargs) -> None:
        x = first_of((*args, *kwargs.values()))
        if x is None or x.ndim < 2:
            return
        if id(x) in outputs:
            run.fronts[name] = outputs[id(x)]
        if x.shape[0]:
            run.calls.setdefault(name, []).append(batch_statistics(x))
        if x.ndim == 3:
            run.tails.setdefault(name, []).append(_tail(x))

    def acts_on(name, module, intervals, args, kwargs) -> None:
        v = first_of((*args, *kwargs.values()))
        if v is None or v.ndim < 2 or not intervals:
            return
        axis = 1 if v.ndim > 2 and isinstance(outputs.get(id(v)), _BY_CHANNEL) else v.ndim - 1
        axis = 1 if v.ndim == 2 or v.ndim > 3 else axis
        others = [k for k in range(v.ndim) if k != axis]
        low, high = v.amin(others).float().cpu(), v.amax(others).float().cpu()
        same = name in run.low and run.low[name].shape == low.shape
        run.low[name] = torch.minimum(run.low[name], low) if same else low
        run.high[name] = torch.maximum(run.high[name], high) if same else high
        inside = torch.zeros_like(v, dtype=torch.bool)
        for a, b in intervals:
            inside |= (v >= a) & (v <= b)
        run.flat.setdefault(name, []).append(inside.float().mean().item())

    for name, module in model.named_modules():
        if not list(module.children()):
            handles.append(module.register_forward_hook(made))
        if name in names:
            handles.append(
                module.register_forward_pre_hook(
                    lambda m, a, k, name=name: enters(name, a, k), with_kwargs=True
                )
            )
        if name in acts:
            intervals = acts[name][1]
            handles.append(
                module.register_forward_pre_hook(
                    lambda m, a, k, name=name, intervals=intervals: acts_on(
                        name, m, intervals, a, k
                    ),
                    with_kwargs=True,
                )
            )

    def begins(module, args) -> None:
        outputs.clear()
        alive.clear()

    handles.append(model.register_forward_pre_hook(begins))
    try:
        yield run
    finally:
        for handle in handles:
            handle.remove()


_BY_CHANNEL = (*_LINEAR[1:], nn.modules.batchnorm._NormBase, nn.GroupNorm)


def _tail(x: Tensor) -> float:
    """Of sequences (m, c, length): the share of positions that repeat the last one, to its end."""
    same = (x == x[:, :, -1:]).all(1)  # (m, length)
    run = same.flip(1).float().cumprod(1).sum(1)  # 1 where only the last position equals itself
    return ((run - 1).sum() / same.numel()).item()


def dead(measured: Measured, name: str) -> float:
    """Share of units of an activation that were flat for every example of the evaluation run."""
    run = measured.evaluation
    if name not in run.low:
        return 0.0
    inside = units_within(run.low[name], run.high[name], measured.activations[name][1])
    return inside.float().mean().item()
