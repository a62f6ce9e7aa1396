"""Which layers of a network are watched, and what their names are."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from bnviz.watching.flat import Interval, flat_intervals, is_activation
from bnviz.watching.reading import is_batch_norm

__all__ = ["Chosen", "choose", "unwrapped"]

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(frozen=True)
class Chosen:
    """A layer to watch.

    Attributes:
        name: as in `named_modules` of the network, without the prefix of a wrapper; "" is the
            network itself.
        module: the layer.
        kind: name of its class.
        side: "input" of BN layers and activations, "output" of all others.
        bn: whether it normalises over the batch.
        intervals: where it is flat, if it is an activation.
    """

    name: str
    module: nn.Module
    kind: str
    side: str
    bn: bool
    intervals: tuple[Interval, ...]


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside DataParallel or DistributedDataParallel.

    Raises:
        TypeError: for what is no module, and for compiled or scripted networks.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    while isinstance(model, _WRAPPERS):
        model = model.module
    for name, module in model.named_modules():
        where = f"layer {name!r}" if name else "the model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(
                f"{where} is a TorchScript module, whose layers call no hooks: watch the model "
                "before torch.jit.script or trace"
            )
        if _is_compiled(module):
            raise TypeError(
                f"{where} is compiled, and compiled code calls no hooks of its layers: watch the "
                "model without torch.compile (the original is its attribute `_orig_mod`)"
            )
    return model


def _is_compiled(module: nn.Module) -> bool:
    # torch.compile(module) wraps, module.compile() leaves a mark on the module itself
    wrapped = hasattr(module, "_orig_mod") and hasattr(module, "dynamo_ctx")
    return wrapped or getattr(module, "_compiled_call_impl", None) is not None


def choose(
    model: nn.Module, layers: Iterable[str | type | nn.Module] | str | type | None
) -> list[Chosen]:
    """The layers to watch, in the order of `named_modules`.

    Args:
        model: the network, unwrapped.
        layers: names, types or modules of it; None: all BN layers and activations. A name also
            stands for the layers inside: "encoder" for "encoder.0.relu". In this case, and with a
            module that holds others, BN layers and activations are meant, if there are any inside.

    Raises:
        ValueError: for an unknown name, a type that does not occur, a module that is no part of
            the model, and a model with nothing to watch.
        TypeError: for anything else.
    """
    named = dict(model.named_modules())
    if layers is None:
        found = [name for name, module in named.items() if _usual(module)]
        if not found:
            raise ValueError(
                "this model has no BN layer and no activation module (functions such as F.relu "
                "cannot be seen): name the layers to watch, for example layers=['fc1'] or "
                f"layers=torch.nn.Linear; its layers are {_listed(list(named)[1:])}"
            )
        return [_chosen(name, named[name]) for name in found]
    wanted = [layers] if isinstance(layers, (str, type, nn.Module)) else list(layers)
    if not wanted:
        raise ValueError("layers is empty: leave it out to watch all BN layers and activations")
    names = {name for one in wanted for name in _meant(one, named)}
    return [_chosen(name, module) for name, module in named.items() if name in names]


def _usual(module: nn.Module) -> bool:
    return is_batch_norm(module) or is_activation(module)


def _meant(wanted: object, named: dict[str, nn.Module]) -> list[str]:
    if isinstance(wanted, str):
        if wanted in named:
            return _inside(wanted, named)
        raise ValueError(f"no layer is called {wanted!r}; there are {_listed(list(named)[1:])}")
    if isinstance(wanted, type):
        found = [name for name, module in named.items() if isinstance(module, wanted)]
        if not found:
            kinds = sorted({type(module).__name__ for module in named.values()})
            raise ValueError(f"no layer is a {wanted.__name__}; there are {', '.join(kinds)}")
        return found
    if isinstance(wanted, nn.Module):
        for name, module in named.items():
            if module is wanted:
                return _inside(name, named)
        raise ValueError(f"this {type(wanted).__name__} is no part of the model: name one of its")
    raise TypeError(f"layers holds {wanted!r}, must be names, types or modules")


def _inside(name: str, named: dict[str, nn.Module]) -> list[str]:
    """The usual layers inside a container; a leaf, or a container without any, is meant itself."""
    if _usual(named[name]):
        return [name]
    below = [other for other in named if other.startswith(f"{name}.") or not name]
    return [other for other in below if _usual(named[other])] or [name]


def _chosen(name: str, module: nn.Module) -> Chosen:
    bn = is_batch_norm(module)
    side = "input" if bn or is_activation(module) else "output"
    kind = type(module).__name__
    return Chosen(name, module, kind, side, bn, flat_intervals(module))


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(map(repr, names[:most])) or "none") + more
