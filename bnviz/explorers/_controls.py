"""The controls that figures with a network in training share: one name, label and convention each.

A figure says where a control begins and, if it must, how far it reaches.
"""

from bnviz.figure.controls import Choice, Slider, Toggle
from bnviz.maths.nets import ACTIVATIONS

__all__ = ["activation", "batch", "hold", "momentum", "rate", "scale"]


def activation(start: str) -> Choice:
    """Sigmoid, tanh or ReLU; another one begins the run anew."""
    return Choice("activation", "activation", ACTIVATIONS, start, restart=True)


def rate(start: float, low: float = 0.001, high: float = 10, step: float = 0.1) -> Slider:
    """Learning rate; `step` in decades."""
    return Slider("lr", "learning rate", low, high, start, step, scale="log10", format=".3g")


def batch(start: int, low: int = 2, high: int = 256) -> Slider:
    """Examples in a minibatch."""
    return Slider("batch", "batch size", low, high, start, 1, scale="log2", format="d")


def momentum(low: float = 0) -> Slider:
    """Weight of the new batch in the running averages; in decades, unless it may be 0."""
    label, note = "momentum (share of new batch)", "old keeps {other}"
    if not low:
        return Slider("momentum", label, low, 1, 0.1, step=0.01, note=note)
    return Slider("momentum", label, low, 1, 0.1, step=0.1, scale="log10", format=".3f", note=note)


def scale(start: float, low: float = 0.1, high: float = 10, **looks) -> Slider:
    """Factor on the initial weights; `looks` are fields of `Slider`."""
    looks = {"step": 0.1, "restart": True, **looks}
    return Slider("scale", "initial weight scale", low, high, start, **looks)


def hold() -> tuple[Toggle, Slider, Slider]:
    """Gamma and beta of every BN layer, set by hand."""
    return (
        Toggle("hold", "hold γ and β in every BN layer", False),
        Slider("gamma", "γ", -3, 3, 1, 0.05, switches_on="hold"),
        Slider("beta", "β", -5, 5, 0, 0.1, switches_on="hold"),
    )
