"""Exercises: a place to fill in, a checker that says what is wrong, a solution that is right."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from bnviz.exercises.answers import (
    NOT_YET,
    Array,
    Choice,
    Function,
    Judge,
    Meets,
    Number,
)
from bnviz.exercises.check import EXERCISES, check

BOOK = Path(__file__).parent.parent / "book"
ASKED = [(e, name, answer) for e, asked in EXERCISES.items() for name, answer in asked.items()]


def cells():
    """(notebook, is it a solution?, exercise, source, printed) of each cell that calls `check`."""
    for path in sorted(BOOK.glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and (m := re.search(r'\bcheck\(\s*"([\w-]+)"', source)):
                printed = "".join("".join(o.get("text", "")) for o in cell["outputs"])
                hidden = "hide-cell" in cell["metadata"].get("tags", [])
                yield path.stem, hidden, m[1], source, printed


CELLS = list(cells())


def test_each_exercise_has_a_place_to_fill_in_and_below_it_a_solution():
    places = [e for _, hidden, e, _, _ in CELLS if not hidden]
    solutions = [e for _, hidden, e, _, _ in CELLS if hidden]
    assert sorted(places) == sorted(solutions) == sorted(EXERCISES)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c[2]}-{'solution' if c[1] else 'place'}")
def test_a_place_says_that_it_is_empty_and_a_solution_that_it_is_right(cell):
    _, hidden, exercise, _, printed = cell
    lines = printed.splitlines()
    for name in EXERCISES[exercise]:
        assert f"{name}: {'right' if hidden else NOT_YET}" in lines


def test_a_place_holds_no_answer_and_is_short():
    for notebook, hidden, exercise, source, _ in CELLS:
        if not hidden:
            assert "..." in source, (notebook, exercise)
            assert len(source.splitlines()) <= 30, (notebook, exercise)


@pytest.mark.parametrize(
    "answer", [a for _, _, a in ASKED], ids=[f"{e}-{name}" for e, name, _ in ASKED]
)
def test_each_known_mistake_is_named_and_no_answer_is_easily_right(answer):
    for nonsense in (object(), "no such word", float("nan"), np.full((7, 7, 7), 0.123)):
        assert answer.fault(nonsense), f"{nonsense!r} is right"
    if isinstance(answer, Number):
        for off in (2 * answer.within + 1e-9, -2 * answer.within - 1e-9):
            assert answer.fault(answer.right + off)
        assert answer.fault(answer.right) is None
        for mistake, why in answer.wrong.items():
            assert answer.fault(mistake) == why
    if isinstance(answer, Choice):
        assert answer.fault(answer.right) is None
        for word, why in answer.wrong.items():
            assert answer.fault(word) == why
    if isinstance(answer, Array | Function):
        assert answer.fault(answer.right) is None
        for mistake, why in answer.wrong:
            assert answer.fault(mistake) == why
    if isinstance(answer, Function):
        assert answer.fault(lambda *_: None) == NOT_YET
        assert "ZeroDivisionError" in answer.fault(lambda *_: 1 / 0)
        assert answer.fault(lambda *case: np.asarray(answer.right(*case)) + 3 * answer.within)
    if isinstance(answer, Judge):
        assert min(len(answer.accepts), len(answer.refuses)) > 0
        assert answer.fault(lambda _: True) == answer.refuses[0][1]
        assert answer.fault(lambda _: False) == answer.accepts[0][1]
        assert answer.fault(lambda _: ...) == NOT_YET
    if isinstance(answer, Meets):
        assert len(answer.tests) == len({why for _, why in answer.tests})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3.0004, None),
        (torch.tensor([3.0]), None),
        (4.0, "too large"),
        (2.0, "that is the median"),
        ([1.0, 2.0], "one number is wanted, this has shape (2,)"),
        ("three", "a number is wanted, this is a str"),
        (float("inf"), "inf is not finite"),
    ],
)
def test_a_number(given, words):
    assert Number(3.0, within=1e-3, wrong={2.0: "that is the median"}).fault(given) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[1.0, 2.0]], None),
        (torch.tensor([[1.0, 2.0]], requires_grad=True), None),
        ([1.0, 2.0], "shape (2,), wanted (1, 2)"),
        ([[1.0, 2.5]], "1 of 2 numbers are off, by up to 0.5"),
        ([[2.0, 1.0]], "in the other order"),
        ([[1.0, float("nan")]], "1 of 2 are not finite"),
    ],
)
def test_an_array(given, words):
    asked = Array([[1.0, 2.0]], within=1e-6, wrong=[([[2.0, 1.0]], "in the other order")])
    assert asked.fault(given) == words


def test_one_number_may_come_in_any_wrapping():
    for given in (2.0, [2.0], torch.tensor([[2.0]])):
        assert Array(2.0, within=1e-6).fault(given) is None
    assert Array(2.0, within=1e-6).fault([2.0, 2.0]) == "shape (2,), wanted ()"


def test_a_function_cannot_spoil_what_it_is_checked_with():
    def spoils(x):
        x *= 2
        return x

    assert Function(lambda x: 2 * x, cases=[(np.ones(3),)], within=0).fault(spoils) is None
    assert "4 of 4" in Function(lambda x: 3 * x, [(np.ones(4),)], within=0.5).fault(spoils)


def test_a_judge_that_says_neither_yes_nor_no_is_told_so():
    asked = Judge(accepts=[(np.ones(3), "refuses ones")], refuses=[(np.zeros(3), "accepts zeros")])
    assert asked.fault(lambda x: x.all()) is None
    assert "ambiguous" in str(asked.fault(lambda x: x > 0))


def test_unknown_names_are_refused_in_words():
    with pytest.raises(ValueError, match=r"no exercise 'steps-0'; there are .*steps-1"):
        check("steps-0", x=1)
    with pytest.raises(ValueError, match="asks for x_hat, gamma_beta; got nothing"):
        check("steps-1")
