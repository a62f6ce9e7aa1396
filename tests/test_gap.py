"""How far two results are apart, in words."""

import numpy as np
import pytest

from bnviz.maths.gap import gap


@pytest.mark.parametrize(
    ("ours", "theirs", "below", "said"),
    [
        ([1.0, 2.0], [1.0, 2.5], 1e-12, "0.5"),
        ([1.0], [1.0 + 2e-16], 1e-12, "below 1e-12"),
        ([[0.0, 3e-5]], 0, 1e-12, "3e-05"),
        ([1.0], [1.0 + 5e-7], 1e-6, "below 1e-6"),
        ([1.0], [1.0 + 2e-6], 1e-6, "2e-06"),
        (-3, 4, 1e-12, "7"),
    ],
)
def test_the_largest_difference_or_what_it_is_below(ours, theirs, below, said):
    assert gap(ours, theirs, below) == said
    assert gap(theirs, ours, below) == said


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_hides_nothing(broken):
    with pytest.raises(ValueError, match="not finite"):
        gap([1.0, broken], [1.0, 2.0])
    with pytest.raises(ValueError, match="not finite"):
        gap([1.0, 2.0], [broken, 2.0])
