"""The benchmark's arithmetic; what it measures is not a test."""

import time

import pytest

from bnviz.bench.rows import Row, in_turns, seconds


def test_a_ratio_is_taken_turn_by_turn():
    row = Row("g", "w", "a", "ms", (2.0, 9.0, 4.0), (1.0, 3.0, 4.0), target=2)
    assert row.ratios == (2.0, 3.0, 1.0)
    assert row.ratio == 2
    assert row.met is True
    assert row.to_dict()["quartiles"] == [1.5, 2.5]


@pytest.mark.parametrize(("faster", "met"), [("less", False), ("more", True)])
def test_a_target_has_a_direction(faster, met):
    assert Row("g", "w", "a", "ms", (5.0,), (), faster, 4).met is met
    assert Row("g", "w", "a", "ms", (5.0,)).met is None


def test_both_sides_take_turns_and_each_goes_first():
    order = []
    sides = [lambda name=name: order.append(name) or 1.0 for name in "ab"]
    assert in_turns(*sides, turns=4) == ((1.0,) * 4, (1.0,) * 4)
    assert "".join(order) == "ab" + "ba" + "ab" + "ba" + "ab"


def test_a_measurement_repeats_until_it_is_long_enough():
    measure = seconds(lambda: time.sleep(0.002), least=0.02)
    assert 0.002 <= measure() < 0.02
