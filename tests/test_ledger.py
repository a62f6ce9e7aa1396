"""The claims ledger: complete, and its numbers are read, never typed."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from bnviz import experiments, explorers
from bnviz.site import ledger
from tests.pages import FIGURES, PAGE

BOOK = Path(__file__).parent.parent / "book"
ROW = {
    "id": "C01",
    "claim": "It works.",
    "sources": ["S0"],
    "chapter": "steps",
    "measured": "It did in {runs} of 5.",
    "numbers": {"runs": {"notebook": "steps", "find": r"learned: (\d) of 5"}},
    "verdict": "holds",
}


@pytest.fixture
def book(tmp_path):
    """A made-up book: what one notebook printed, and rows that a test writes."""
    printed = new_output("stream", text="learned: 4 of 5\nlost: 1 of 5\n")
    notebook = new_notebook(cells=[new_code_cell("...", outputs=[printed])])
    nbformat.write(notebook, tmp_path / "steps.ipynb")

    def write(*rows: dict):
        (tmp_path / "claims.yml").write_text(yaml.safe_dump(list(rows)))
        return ledger.read(tmp_path)

    return write


def test_a_number_comes_from_what_a_notebook_printed(book):
    (claim,) = book(ROW)
    assert claim.measured == "It did in 4 of 5."
    assert claim.commands == ("make notebooks NB=book/steps.ipynb",)


def test_a_number_comes_from_a_stored_experiment(book, monkeypatch):
    stored = {"summary": {"bn": {"seeds": [1, 2.345]}}}
    monkeypatch.setattr(experiments, "load", lambda name: {"toy": stored}[name])
    place = {"experiment": "toy", "key": "summary.bn.seeds.1", "format": ".1f"}
    (claim,) = book(ROW | {"numbers": {"runs": place}})
    assert claim.measured == "It did in 2.3 of 5."
    assert claim.commands == ("python -m bnviz.experiments toy",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"verdict": "probably"}, "not one of"),
        ({"colour": "red"}, "known are"),
        ({"measured": "It did."}, "does not use"),
        ({"measured": "{runs} and {more}"}, "more"),
        ({"numbers": {"runs": {"notebook": "steps", "find": "(nothing)"}}}, "gives \\[\\]"),
        ({"numbers": {"runs": {"notebook": "steps", "find": r"(\d) of 5"}}}, "'4', '1'"),
    ],
)
def test_a_row_that_cannot_be_filled_is_refused_by_name(book, change, complaint):
    with pytest.raises(ValueError, match=f"C01.*{complaint}"):
        book(ROW | change)


def test_a_row_without_a_verdict_is_refused(book):
    with pytest.raises(ValueError, match=r"C01 has no .*verdict"):
        book({k: v for k, v in ROW.items() if k != "verdict"})


# --- the book's own ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def claims():
    return ledger.read(BOOK)


def test_every_claim_has_its_row_in_order(claims):
    ids = [claim.id for claim in claims]
    assert ids == [f"C{k:02}" for k in range(1, len(ids) + 1)]
    assert len(ids) >= 14


def test_rows_point_to_chapters_and_figures_that_exist(claims):
    for claim in claims:
        assert f"{claim.chapter}.html" in FIGURES, claim.id
        if claim.figure:
            assert PAGE[claim.figure] == f"{claim.chapter}.html", claim.id
            assert claim.figure in explorers.names()


def test_numbers_are_written_as_in_a_sentence(claims):
    for claim in claims:
        words = re.sub(r"`[^`]*`|\$[^$]*\$", "", claim.measured)
        assert not re.search(r"\de[+-]\d|(?<!\w)-\d", words), f"{claim.id}: {words}"


def test_numbers_are_not_typed(claims):
    """What is measured has no digit in its own words, but for names such as BN-x5 and 5 x 64."""
    rows = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))
    for row, claim in zip(rows, claims, strict=True):
        words = re.sub(r"\{\w+\}|`[^`]*`|\bC\d\d\b|\$[^$]*\$", "", row["measured"])
        assert not re.search(r"\d", words), f"{claim.id}: {words}"
        assert row.get("numbers") or claim.verdict == "cannot be measured here", claim.id


def test_every_chapter_judges_its_claims(claims):
    """The table at the end of a chapter names each claim that the ledger assigns to it."""
    for claim in claims:
        cells = nbformat.read(BOOK / f"{claim.chapter}.ipynb", as_version=4).cells
        assert any(f"({claim.id})" in cell.source for cell in cells), claim.id


def test_the_page_and_its_data_are_built(claims):
    data = json.loads((BOOK.parent / "_build/html/_static/bnviz/claims.json").read_text())
    assert [row["measured"] for row in data] == [claim.measured for claim in claims]
    page = (BOOK.parent / "_build/html/book/ledger.html").read_text()
    assert all(f'id="{claim.id.lower()}"' in page for claim in claims)


PART = {
    "says": "Tuned, it is better.",
    "rival": "It had more seeds.",
    "contest": "tuned-sigmoid-5",
    "against": "plain",
    "measure": "accuracy",
    "margin": 0.01,
}


def test_a_verdict_of_a_part_follows_from_the_stored_rows(book, monkeypatch):
    (claim,) = book(ROW | {"parts": [PART, PART | {"measure": "search"}]})
    tuned, searched = claim.parts
    result = experiments.load("tuned-sigmoid-5")
    for condition, effect in tuned.effects.items():
        stored = result["summary"]["effects"]["plain"][condition]
        assert effect.mean == pytest.approx(stored["mean"], rel=0.01)
    assert (tuned.verdict, searched.verdict) == ("holds when", "holds")
    # other data, another verdict
    turned = json.loads(json.dumps(result))
    for row in turned["rows"]:
        row["contender"] = {"bn": "plain", "plain": "bn"}[row["contender"]]
    monkeypatch.setattr(experiments, "load", lambda name: turned)
    (claim,) = book(ROW | {"parts": [PART, PART | {"measure": "search"}]})
    assert [part.verdict for part in claim.parts] == ["not supported here"] * 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"contest": "convergence"}, "is no contest"),
        ({"against": "nobody"}, r"there are \['plain'\]"),
        ({"measure": "beauty"}, "cannot measure 'beauty'"),
        ({"verdict": "holds"}, "and nothing else"),
    ],
)
def test_a_part_that_cannot_be_judged_is_refused_by_name(book, change, complaint):
    with pytest.raises(ValueError, match=f"C01.*{complaint}"):
        book(ROW | {"parts": [PART | change]})
