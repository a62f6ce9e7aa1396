"""The pre-activations that chapter 2 looks at: a real batch, before any normalisation."""

from functools import cache

import torch
from torch import Tensor

from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of

__all__ = ["second_layer"]


@cache
def second_layer(rows: int) -> Tensor:
    """What enters the second hidden layer's sigmoids of an untrained net: (rows, 64).

    Layers of 64 units, initial scale 3, seed 0; the first `rows` of the training digits. The
    sigmoids of the first layer are never negative, so most units have a mean far from 0.
    """
    net = MLP((64, 64, 64, 10))
    net.load_state_dict(initialise(net, seed=0, scale=3.0))
    with torch.no_grad(), inputs_of(net.activations) as seen:
        net(digits().x_train[:rows])
    return seen[1].clone()
