"""Imports point one way: the maths knows no figure, figures know no host, hosts know no chapter."""

import ast
import importlib
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import bnviz

PACKAGE = Path(bnviz.__file__).parent
# The rule of imports, a line per folder: what it may import besides itself.
RULE = {
    "maths": set(),
    "watching": {"figure"},
    "clinic": {"maths", "watching"},
    "figure": {"maths"},
    "exercises": {"maths", "explorers", "experiments"},
    "experiments": {"maths", "compile"},
    "templates": {"figure", "experiments"},
    "plots": {"figure", "templates", "experiments"},
    "explorers": {"maths", "figure", "templates"},
    "poster": {"figure", "tools"},
    "compile": {"maths", "figure"},
    "jupyter": {"figure", "explorers", "watching"},
    "tools": set(),
    "site": {"figure", "explorers", "experiments", "compile", "poster", "tools"},
    "bench": {"maths", "figure", "explorers", "compile", "jupyter", "site", "tools", "watching"},
}
PLOTTING = {"plotly", "matplotlib"}
HOSTS = {"ipywidgets", "anywidget", "IPython", "sphinx", "docutils"}
# What a folder may not use of other people's packages, not even through another module.
WITHOUT = {
    "maths": PLOTTING | HOSTS,
    "watching": HOSTS,
    "clinic": HOSTS,
    "experiments": PLOTTING | HOSTS,
    "exercises": {"matplotlib"} | HOSTS,
    "figure": {"matplotlib"} | HOSTS,
    "templates": HOSTS,
    "explorers": HOSTS,
    "compile": {"matplotlib"} | HOSTS,
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]


@cache
def imports(name: str) -> set[str]:
    """What a module imports, at any depth of its code; a bnviz module by its full name."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import, which this test cannot follow"
            below = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= below or {node.module}
    return found


def reached(name: str) -> set[str]:
    """What a module imports, directly or through other modules of bnviz."""
    seen, waiting = set(), [name]
    while waiting:
        for other in imports(waiting.pop()) - seen:
            seen.add(other)
            if other in MODULES:
                waiting.append(other)
    return seen


def inside(names: set[str], *packages: str) -> set[str]:
    return {n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages)}


def folder_of(name: str) -> str:
    """The room of a module; "" for the package itself."""
    return [*name.split("."), ""][1]


def test_every_folder_has_its_rule():
    assert {folder_of(name) for name in MODULES} - {""} == set(RULE)


@pytest.mark.parametrize("folder", RULE)
def test_imports_point_one_way(folder):
    found = {
        other
        for name in MODULES
        if folder_of(name) == folder
        for other in map(folder_of, inside(imports(name), "bnviz"))
    }
    assert found - {folder} <= RULE[folder]


def test_the_rule_has_no_circle():
    rest = dict(RULE)
    while leaves := [f for f, needs in rest.items() if not needs & set(rest)]:
        for leaf in leaves:
            del rest[leaf]
    assert not rest


@pytest.mark.parametrize("name", [m for m in MODULES if folder_of(m) in WITHOUT])
def test_nothing_reaches_what_its_folder_does_without(name):
    assert not inside(reached(name), *WITHOUT[folder_of(name)])


@pytest.mark.parametrize("name", [m for m in MODULES if not inside({m}, "bnviz.explorers")])
def test_only_the_registry_knows_the_chapters_by_name(name):
    chapters = {m for m in MODULES if inside({m}, "bnviz.explorers")} - {"bnviz.explorers"}
    assert not imports(name) & chapters
    text = MODULES[name].read_text(encoding="utf-8")
    assert not [c for c in chapters if c in text]


@pytest.mark.parametrize(
    "name",
    [
        "bnviz.maths.batchnorm",
        "bnviz.maths.gradcheck",
        "bnviz.figure.history",
        "bnviz.maths.numpy_net",
    ],
)
def test_batchnorm_from_scratch_needs_numpy_only(name):
    outside = {n.split(".")[0] for n in reached(name)} - set(sys.stdlib_module_names) - {"bnviz"}
    assert outside <= {"numpy"}


def test_the_walk_sees_what_it_should():
    """A check that cannot fail is a bug: these imports exist."""
    assert "plotly" in {n.split(".")[0] for n in reached("bnviz.explorers.drift")}
    assert "bnviz.jupyter.show" in imports("bnviz")
    assert "bnviz.maths.prng" in reached("bnviz.maths.train")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_exist_and_are_listed_in_order(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        assert all(isinstance(n, ast.Expr) for n in tree.body), f"{name} needs an __all__"
        return
    assert listed
    assert len(set(listed)) == len(listed)
    assert not [n for n in listed if not hasattr(module, n)]
    defined = [getattr(module, n) for n in listed]
    homes = {v.__module__ for v in defined if inspect.isclass(v) or inspect.isfunction(v)} - {name}
    assert not [home for home in homes if home in PUBLIC], "a name that belongs to another module"


def test_importing_the_package_is_cheap():
    code = "import sys, bnviz; print([m for m in ('torch', 'plotly', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
