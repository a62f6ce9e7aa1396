"""What several files say alike: versions, and the map of the code."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pins(file: str) -> dict[str, str]:
    """Every `name==version` of a file."""
    return dict(re.findall(r"^[-\s]*([\w-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))


def test_binder_runs_the_versions_that_the_book_was_written_with():
    binder = pins(".binder/environment.yml")
    assert binder
    assert binder.items() <= pins("requirements.txt").items()


def test_what_the_package_needs_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    needed = [*project["dependencies"], *(name for extra in extras for name in extra)]
    known = pins("requirements.txt").keys() | pins("constraints.txt").keys()
    assert {re.match(r"[\w-]+", name)[0] for name in needed} <= known


def test_the_map_names_every_room():
    rooms = {path.name for path in (ROOT / "bnviz").iterdir() if path.name[0] not in "_."}
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [room for room in rooms if room not in text] == []


def test_no_file_keeps_the_marks_of_a_merge():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    marks = re.compile(rb"^(<{7}|>{7})( |$)", re.MULTILINE)
    assert [
        name for name in filter(None, tracked) if marks.search((ROOT / name).read_bytes())
    ] == []


@pytest.mark.xdist_group("together")
def test_tests_that_belong_together_stay_in_one_process(request):
    """They share a server or a built book; a version of pytest once ignored that in silence."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@together")
