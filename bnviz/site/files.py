"""What the pages load, written below `_static/bnviz/`: libraries, scripts, and figures."""

import gzip
import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bnviz.compile import artifacts
from bnviz.compile.module import Module
from bnviz.figure import theme
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.poster.draw import picture, poster
from bnviz.site.listing import listing
from bnviz.site.spec import checked

__all__ = [
    "imported",
    "write_figures",
    "write_mathjax",
    "write_modules",
    "write_plotly",
    "write_scripts",
]

_PAGE = Path(__file__).parent.parent / "page"
_IMPORT = re.compile(r'^import .*from "\./([\w.]+)";', re.MULTILINE)
# Its menu, which MathJax's ready-made bundle holds, is two fifths of it.
_MATHJAX = ("startup.js", "core.js", "input/tex.js", "input/tex", "output/chtml.js")
_MATHJAX += ("output/chtml/fonts", "a11y/assistive-mml.js")


def write_plotly(home: Path, modules: Path) -> dict[str, str]:
    """Copy plotly.js; its address relative to a folder of `home`, which is `_static/bnviz/`."""
    plotly = modules / "plotly.js-cartesian-dist-min"
    name = f"plotly-{_version(plotly)}.min.js"
    _write(home / name, (plotly / "plotly-cartesian.min.js").read_bytes)
    return {"plotly": f"../{name}"}


def write_mathjax(outdir: str | Path, modules: Path) -> None:
    """Copy the parts of MathJax that a page loads."""
    home = Path(outdir) / "_static" / "bnviz" / "mathjax"
    for part in _MATHJAX:
        source, wanted = modules / "mathjax" / "es5" / part, home / part
        if source.is_dir():
            shutil.copytree(source, wanted, dirs_exist_ok=True)
        else:
            _write(wanted, source.read_bytes)


def write_scripts(home: Path) -> str:
    """Copy the page's own modules into a folder named by their content; returns its name."""
    sources = sorted(p for p in _PAGE.iterdir() if p.suffix in (".js", ".css"))
    folder = f"page-{_digest(*(p.read_bytes() for p in sources))}"
    for source in sources:
        _write(home / folder / source.name, source.read_bytes)
    return f"bnviz/{folder}"


def imported(script: str) -> list[str]:
    """The page's modules that one of them imports, and what these import; in no particular order.

    >>> imported("plotly.js")
    ['fetching.js']
    """
    found: dict[str, None] = {}
    waiting = [script]
    while waiting:
        text = (_PAGE / waiting.pop()).read_text(encoding="utf-8")
        new = [name for name in _IMPORT.findall(text) if name not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def write_figures(
    folder: Path, explorers: Iterable[Explorer], urls: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Module, description and posters of each figure.

    Returns:
        figure -> the names of its files.
    """
    explorers = list(explorers)
    described = write_modules(folder, artifacts.modules(explorers))
    return {e.name: _write_figure(folder, e, described[e.name], urls) for e in explorers}


def write_modules(folder: Path, modules: Mapping[str, Module]) -> dict[str, dict]:
    """Some figures' modules, and the data that they stand on.

    What several figures use lies in one file, such as the data set; what one uses in a file of its
    own. All are packed here, because not every server would.

    Returns:
        figure -> what a page must know of its module, a `ModuleSpec`.
    """
    users = Counter(part for m in modules.values() for part in {p for _, p in m.data})
    shared = _Numbers(part for part, count in users.items() if count > 1)
    common = shared.write(folder, "numbers")
    found = {}
    for figure, module in modules.items():
        name = f"{figure}.{_digest(module.binary)}.wasm.gz"
        _write(folder / name, lambda m=module: gzip.compress(m.binary, mtime=0))
        own = _Numbers(part for _, part in module.data if part not in shared.places)
        mine = own.write(folder, f"{figure}.numbers") if own.places else ""
        data = []
        for at, part in module.data:
            url, numbers = (common, shared) if part in shared.places else (mine, own)
            data.append({"url": url, "from": numbers.places[part], "at": at, "bytes": len(part)})
        found[figure] = {**module.about, "url": name, "data": data}
    return found


class _Numbers:
    """Arrays one after the other, each once; `places` tells where each begins."""

    def __init__(self, parts: Iterable[bytes]):
        self.places: dict[bytes, int] = {}
        self.content = b""
        for part in parts:
            if part not in self.places:
                self.places[part] = len(self.content)
                self.content += part + bytes(-len(part) % 8)

    def write(self, folder: Path, name: str) -> str:
        """Returns the name of the file."""
        file = f"{name}.{_digest(self.content)}.bin.gz"
        _write(folder / file, lambda: gzip.compress(self.content, mtime=0))
        return file


def _write_figure(
    folder: Path, explorer: Explorer, about: dict, urls: dict[str, str]
) -> dict[str, str]:
    """Description and posters of one figure; returns their file names."""
    first = artifacts.first_drawing(explorer)
    described = explorer.to_dict() | {
        "figure": _rounded(first.figure),
        "readout_first": first.readout,
        "module": about,
        "urls": urls,
        "templates": {mode: theme.template(mode) for mode in ("light", "dark")},
    }
    path, code = listing(explorer)
    listed = f"{explorer.name}.{_digest(code.encode())}.code.html"
    _write(folder / listed, lambda: code.encode())
    described["code"] = {"path": path, "url": listed}
    if isinstance(explorer, Simulation):
        described["observed"] = first.observed
    spec = checked(described)
    text = json.dumps(spec, separators=(",", ":"), sort_keys=True).encode()
    names = {"spec": f"{explorer.name}.{_digest(text)}.json"}
    _write(folder / names["spec"], lambda: text)
    for mode in ("light", "dark"):
        names[mode] = f"{explorer.name}.{_digest(text)}.{mode}.svg"
        _write(folder / names[mode], lambda m=mode: poster(first.figure, m).encode())
    card = f"{explorer.name}.{_digest(text)}.png"
    _write(folder / card, lambda: picture(first.figure))
    names["picture"] = f"_static/bnviz/figures/{card}"
    return names


def _rounded(value, digits: int = 4):
    """Drawn numbers to four digits: enough for a screen, and half the bytes.

    Those that are written in cells keep more, or rounding them again would give other decimals.
    """
    if isinstance(value, dict):
        digits = 8 if "texttemplate" in value else digits
        return {k: _rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def _version(package: Path) -> str:
    return json.loads((package / "package.json").read_text())["version"]


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _write(path: Path, content) -> None:
    """Write unless it is there: names change with content, so what is there is right."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content())
