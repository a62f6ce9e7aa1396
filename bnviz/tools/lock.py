"""Write `constraints.txt`: the version of every package, also of those that packages need.

`python -m bnviz.tools.lock` installs requirements.txt into a fresh environment, with nothing to
hold back what the direct packages need, and notes what came. pip reads the file with `-c`: it
installs nothing by itself, so that a line about a package that this machine does not need does
nothing. Packages that only another Python or system needs are therefore noted as well.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["locked", "needed_elsewhere"]

_ROOT = Path(__file__).parents[2]
_HEADER = """\
# Written by `make lock` from requirements.txt: every package, also those that packages need.
"""
_NOT_OURS = {"bnviz", "pip"}
_PYTHONS = ("3.11", "3.12", "3.13")
_SYSTEMS = (("linux", "Linux"), ("darwin", "Darwin"))
_MACHINES = ("x86_64", "aarch64", "arm64")


def locked(installed: Iterable[Distribution]) -> dict[str, str]:
    """Name -> version, sorted. Builds for one kind of processor, `2.13.0+cpu`, count as one."""
    found = {canonicalize_name(d.metadata["Name"]): d.version.partition("+")[0] for d in installed}
    return {name: found[name] for name in sorted(found.keys() - _NOT_OURS)}


def needed_elsewhere(installed: Iterable[Distribution]) -> list[str]:
    """What another Python or system would install besides, such as `appnope>=0.1`."""
    installed = list(installed)
    here = locked(installed)
    needs = (Requirement(need) for d in installed for need in d.requires or [])
    return sorted(
        {
            f"{need.name}{need.specifier}"
            for need in needs
            if canonicalize_name(need.name) not in here and need.marker
            and any(need.marker.evaluate(place) for place in _places())
        }
    )  # fmt: skip


def _places() -> Iterator[dict[str, str]]:
    """What a marker sees on each Python and system that the book supports."""
    for python, (sys_platform, system), machine in product(_PYTHONS, _SYSTEMS, _MACHINES):
        yield {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": sys_platform,
            "platform_system": system,
            "platform_machine": machine,
            "os_name": "posix",
            "extra": "",
        }


def main() -> None:
    """Install into a fresh environment, and write what came."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False, symlinks=True)
        (home,) = Path(folder).glob("lib/python*/site-packages")
        pip = [sys.executable, "-m", "pip", "--python", f"{folder}/bin/python", "install"]
        pip += ["--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(_ROOT / "requirements.txt")], check=True)
        while missing := needed_elsewhere(distributions(path=[str(home)])):
            subprocess.run([*pip, "--no-deps", *missing], check=True)
        versions = locked(distributions(path=[str(home)]))
    lines = "".join(f"{name}=={version}\n" for name, version in versions.items())
    (_ROOT / "constraints.txt").write_text(_HEADER + lines, encoding="utf-8")


if __name__ == "__main__":
    main()
