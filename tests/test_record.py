"""bnviz.maths.record: hooks that are always removed, and records of the promised shapes."""

import numpy as np
import pytest
import torch
from torch import nn

from bnviz.maths.nets import MLP
from bnviz.maths.record import ActivationRecorder, inputs_of, summarise


def hooks(net: nn.Module) -> int:
    """All forward hooks of a network, of either kind."""
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in net.modules())


@pytest.fixture
def net():
    return MLP((6, 5, 4, 3), norm=True)


@pytest.fixture
def x():
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def test_inputs_are_what_the_modules_saw(net, x):
    with inputs_of(net.activations) as seen:
        net(x)
    first = net.layers[0]
    assert [tuple(v.shape) for v in seen] == [(8, 5), (8, 4)]
    torch.testing.assert_close(seen[0], first.norm(first.linear(x)))
    net(x)
    assert len(seen) == 2
    assert hooks(net) == 0


@pytest.mark.parametrize("watch", [inputs_of, ActivationRecorder])
def test_hooks_are_gone_after_an_exception(net, x, watch):
    def crash_inside():
        with watch(net.activations):
            assert hooks(net) > 0
            net(x)
            net(x[:1])  # too small for BN, found in the middle of a forward pass

    with pytest.raises(ValueError, match="at least 2 values"):
        crash_inside()
    assert hooks(net) == 0


def test_a_summary_that_fails_leaves_no_hook_behind(net, x):
    def fails(v):
        raise KeyError("no such summary")

    def run():
        with ActivationRecorder(net.activations, summary=fails):
            net(x)

    with pytest.raises(KeyError):
        run()
    assert hooks(net) == 0


def test_records_come_every_so_many_training_steps(net, x):
    with ActivationRecorder(net.activations, every=3) as recorder:
        for k in range(7):
            net.train()(x)
            if k % 2:
                net.eval()(x)  # evaluation is neither counted nor recorded
    assert len(recorder.rows) == 3  # steps 1, 4 and 7
    assert all(len(row) == 2 for row in recorder.rows)
    assert recorder.stack("mean").shape == (3, 2)
    assert recorder.stack("percentiles").shape == (3, 2, 3)
    assert recorder.stack("histogram").shape == (3, 2, 48)
    with pytest.raises(KeyError):
        recorder.stack("median")


def test_a_recorder_can_be_entered_again(net, x):
    recorder = ActivationRecorder(net.activations)
    for _ in range(2):
        with recorder:
            net(x)
    assert recorder.stack("std").shape == (2, 2)
    assert hooks(net) == 0


def test_records_keep_no_graph_and_no_activation(net, x):
    with ActivationRecorder(net.activations) as recorder:
        net(x).sum().backward()
    for value in recorder.rows[0][0].values():
        assert not value.requires_grad
        assert value.numel() <= 48


def test_summaries_are_numpys():
    v = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)) * 1.5
    summary, flat = summarise(v), v.numpy().ravel()
    expected, _ = np.histogram(flat, bins=48, range=(-6, 6), density=True)
    assert np.abs(flat).max() < 6
    np.testing.assert_allclose(summary["histogram"], expected, atol=1e-6)
    np.testing.assert_allclose(summary["percentiles"], np.percentile(flat, [15, 50, 85]), rtol=1e-5)
    assert summary["mean"] == pytest.approx(flat.mean(), abs=1e-6)
    assert summary["std"] == pytest.approx(flat.std(), rel=1e-5)  # biased: divided by n


def test_large_layers_can_be_summarised():
    """torch.quantile would refuse more than 16 million values."""
    assert summarise(torch.zeros(256, 16, 64, 65))["mean"] == 0


@pytest.mark.parametrize("every", [0, -1])
def test_an_impossible_pace_is_refused(every):
    with pytest.raises(ValueError, match=f"every must be at least 1, got {every}"):
        ActivationRecorder([], every=every)
