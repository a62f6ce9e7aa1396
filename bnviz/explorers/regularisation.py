"""`regularisation`: one digit in many batches; with BN its output depends on its company."""

from functools import cache

import torch
from torch import Tensor

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.maths.data import Split, digits
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import train
from bnviz.templates.regularisation import regularisation

__all__ = ["REGULARISATION", "trained"]

SIZES, ROWS, STEPS = (64, 32, 32, 10), 150, 60
DRAWS, LARGEST, IMAGES = 48, 128, 60  # batches, their largest size, images to choose from
EPS = 1e-5


@cache
def trained(norm: bool) -> MLP:
    """A ReLU network after a short training on the first 150 digits."""
    data = digits()
    net = MLP(SIZES, norm=norm, activation="relu")
    net.load_state_dict(initialise(net, seed=0, scale=2**0.5))
    few = Split(data.x_train[:ROWS], data.y_train[:ROWS], data.x_test, data.y_test)
    with torch.enable_grad():  # a host that draws has it switched off
        train(net, few, steps=STEPS, batch_size=30, lr=0.1)
    return net.eval().requires_grad_(False)


def compute(image: Tensor, batch: Tensor, seed: Tensor) -> dict[str, Tensor]:
    """The image stands first in each batch; the rest of a batch is drawn from the training set."""
    data, net = digits(), trained(True)
    place = image.long().reshape(1)
    own = data.x_test[:IMAGES][place][0]  # (64,)
    label = data.y_test[:IMAGES][place][0]
    first = torch.cat([data.x_train, own.unsqueeze(0)]) @ net.layers[0].linear.weight.T
    n = len(data.x_train)
    rows = (prng.uniform((DRAWS, LARGEST), seed, stream=0) * n).long().clamp(0, n - 1)
    rows = torch.cat([torch.full((DRAWS, 1), n), rows[:, 1:]], dim=1)
    inside = (torch.arange(LARGEST) < batch).float().unsqueeze(1)  # (LARGEST, 1)
    h = torch.relu(_norm(net.layers[0].norm, first[rows], inside, batch))
    h = h @ net.layers[1].linear.weight.T
    h = torch.relu(_norm(net.layers[1].norm, h, inside, batch))[:, 0]  # (DRAWS, 32), the image's
    bn = torch.softmax(h @ net.head.weight.T + net.head.bias, 1)  # (DRAWS, 10)
    running = torch.softmax(net(own.unsqueeze(0)), 1)[0]
    plain = torch.softmax(trained(False)(own.unsqueeze(0)), 1)[0]
    right = (torch.arange(10) == label).float()  # (10,)
    p = bn @ right  # probability of the right class, (DRAWS,)
    mean, var = moments(p, 0)
    return {
        "picture": own.reshape(8, 8).flip(0),  # plotly's first row is at the bottom
        "bn_p": bn.T.flatten(),  # class by class
        "running_p": running,
        "plain_p": plain,
        "label": label.float(),
        "label_x": label.float().reshape(1),
        "right_mean": mean,
        "right_std": var.sqrt(),
        "right_low": p.amin(0),
        "right_high": p.amax(0),
        "right_plain": plain @ right,
        "right_running": running @ right,
        "wrong": (bn.amax(1) > p).float().mean(),
    }


def _norm(norm, z: Tensor, inside: Tensor, m: Tensor) -> Tensor:
    """BN of each batch over its first m rows: (DRAWS, LARGEST, d) -> the same."""
    mean = (z * inside).sum(1, keepdim=True) / m
    var = ((z - mean) ** 2 * inside).sum(1, keepdim=True) / m  # biased
    return (z - mean) * torch.rsqrt(var + EPS) * norm.weight + norm.bias


REGULARISATION = Explorer(
    name="regularisation",
    title="The same digit in different company",
    caption=(
        "One test image stands in 48 batches; its companions are drawn anew for each. A dot is the "
        "probability that the network with BN gives to a class in one of them, in training mode. "
        "Squares: with BN's running statistics. Crosses: the network without BN, which gives "
        "one answer only. Watch the spread of the dots as the batch grows."
    ),
    controls=(
        Slider("batch", "batch size", 2, LARGEST, 16, 1, scale="log2", format="d"),
        Slider("image", "test image", 0, IMAGES - 1, 19, 1, format="d"),
        Slider("seed", "draw of the companions", 0, 50, 0, 1, format="d"),
    ),
    compute=compute,
    figure=regularisation(DRAWS),
    bindings=(
        Binding("picture", "picture", "z"),
        Binding("bn_p", "bn-dots", "y"),
        Binding("running_p", "bn-running", "y"),
        Binding("plain_p", "plain", "y"),
        Binding("label_x", "label", "x"),
    ),
    readout=(
        "This is a {label:d}. In 48 batches of {batch:d}, BN gives it a probability from "
        "{right_low:.0%} to {right_high:.0%} (mean {right_mean:.0%}, std {right_std:.3f}), and "
        "another class wins in {wrong:.0%} of them. With running statistics: {right_running:.0%}. "
        "Without BN: {right_plain:.0%}, whatever the batch."
    ),
)
