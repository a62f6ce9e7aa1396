"""What Binder builds: the right kind of image, with all that the notebooks import."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
from repo2docker.app import Repo2Docker

from bnviz.tools import notebooks

ROOT = Path(__file__).parent.parent
CONDA = {"pytorch-cpu": "torch"}  # what conda-forge calls a package that PyPI calls otherwise

# Refuses every package that Binder lacks, then does what the notebooks do at their beginning.
CODE = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in LACKING:
            raise ModuleNotFoundError(f"Binder has no {name}", name=name)

LACKING = set(sys.argv[1].split())
sys.meta_path.insert(0, Missing())
exec(sys.argv[2])
from bnviz import explorers, show
for name in explorers.names():
    explorers.get(name)
show("scale-shift").close()
print("all there")
"""


def binders() -> set[str]:
    """The packages of Binder's environment, by their name on PyPI, and all that they need."""
    text = (ROOT / ".binder" / "environment.yml").read_text()
    named = re.findall(r"^\s+- ([\w-]+)", text.partition("dependencies:")[2], re.MULTILINE)
    waiting, found = [CONDA.get(name, name) for name in named], set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop().lower())
        if name in found:
            continue
        found.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [re.match(r"[\w.-]+", need)[0] for need in needs if "extra ==" not in need]
    return found


def lacking() -> set[str]:
    """Importable names that are installed here, and not there."""
    there = binders() | {"bnviz"}
    return {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner.lower()) for owner in owners} & there
    }


def imports_of_the_notebooks() -> str:
    """Every import statement of every notebook."""
    found = {}
    for path in notebooks.find(ROOT / "book"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code":
                continue
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    found[ast.unparse(node)] = None
    return "\n".join(found)


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, " ".join(sorted(lacking())), code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_notebooks_import_only_what_binder_has():
    code = imports_of_the_notebooks()
    assert "from bnviz import show" in code
    done = run(code)
    assert done.stdout == "all there\n", done.stderr


def test_what_binder_lacks_would_be_noticed():
    assert {"ziglang", "sphinx", "pytest"} <= lacking()
    assert "Binder has no ziglang" in run("import ziglang").stderr


def test_binder_builds_a_conda_image_and_installs_bnviz(monkeypatch):
    """By repo2docker's own judgement, without building."""
    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    packs = [kind(app.base_image) for kind in app.buildpacks]
    pack = next(pack for pack in packs if pack.detect())
    pack.platform = "linux/amd64"
    assert type(pack).__name__ == "CondaBuildPack"
    assert pack.python_version == "3.11"
    dockerfile = pack.render({})
    assert ".binder/environment.yml" in dockerfile
    assert ".binder/postBuild" in dockerfile
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)
