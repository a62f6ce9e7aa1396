"""Public questions and bug reports, each tried. One: `pytest tests/reports -k pytorch-4741`."""

import pytest

from tests.reports import layers, tools  # noqa: F401  they fill the list
from tests.reports.cases import CASES


@pytest.mark.parametrize("report", CASES)
def test_what_people_reported_is_right_here(report):
    CASES[report].run()


def test_every_report_has_its_story():
    assert all(case.story for case in CASES.values())
    assert len(CASES) >= 40
