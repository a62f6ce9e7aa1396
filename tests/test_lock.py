"""The lock: every package that is installed, with its version; Binder agrees with it."""

import re
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace

from bnviz.tools.lock import locked, needed_elsewhere
from tests.test_repository import pins

ROOT = Path(__file__).parent.parent
LOCK = pins("constraints.txt")


def test_every_installed_package_is_locked_at_its_version():
    missing = locked(distributions()).items() - LOCK.items()
    assert missing == set(), "`make lock` writes constraints.txt anew"


def test_so_is_what_another_python_or_system_needs_besides():
    missing = [re.match(r"[\w.-]+", need)[0] for need in needed_elsewhere(distributions())]
    assert set(missing) <= LOCK.keys()


def test_direct_requirements_and_binder_have_the_versions_of_the_lock():
    for file in ("requirements.txt", ".binder/environment.yml"):
        direct = pins(file)
        assert direct
        assert direct.items() <= LOCK.items(), file


def test_the_lock_names_packages_and_versions_and_no_place():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 150
    wrong = [n for n in lines if not re.fullmatch(r"#[^/@]*|[a-z0-9-]+==[\w.!]+", n)]
    assert wrong == []


def test_what_only_another_system_needs_is_found():
    """A check that cannot fail is a bug."""
    needs = ['appnope>=0.1; platform_system == "Darwin"', 'b; python_version < "3.9"', "c"]
    here = [
        SimpleNamespace(metadata={"Name": name}, version=version, requires=needs[k:])
        for k, (name, version) in enumerate([("A_b", "1.0+cpu"), ("c", "2"), ("pip", "3")])
    ]
    assert locked(here) == {"a-b": "1.0", "c": "2"}
    assert needed_elsewhere(here) == ["appnope>=0.1"]
