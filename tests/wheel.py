"""An environment in which `bnviz` is installed from its wheel, as somebody else has it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

__all__ = ["ROOT", "environment", "install"]

ROOT = Path(__file__).parent.parent
SOURCES = ("bnviz", "pyproject.toml", "README.md", "LICENSE")
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


def environment(folder: Path) -> Path:
    """A Python that has bnviz from its wheel, and everything else from this environment."""
    source, home = folder / "source", folder / "environment"
    source.mkdir()
    for name in SOURCES:  # a copy: what an earlier build left in the folder would get into a wheel
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, source / name, ignore=unwanted)
        else:
            shutil.copy2(ROOT / name, source)
    venv.create(home, with_pip=False, symlinks=True)
    executable = home / "bin" / "python"
    install(executable, source)
    (packages,) = home.glob("lib/python*/site-packages")
    # Through this file the .pth files of that folder do not count, so bnviz as edited stays away.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return executable


def install(executable: Path, source: Path, *options: str) -> None:
    """`pip install` of a folder with a pyproject.toml, without a network."""
    # with the repository on the path, pip would find bnviz there already
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    wheels = source.parent / f"{source.name}-wheels"
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels)]
    subprocess.run([*PIP, *build, str(source)], check=True, env=clean)
    (wheel,) = wheels.glob("*.whl")
    install = ["--python", str(executable), "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*PIP, *install, *options, str(wheel)], check=True, env=clean)
