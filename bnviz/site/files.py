"""What the pages load, written below `_static/bnviz/`: libraries, scripts, and figures."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

from bnviz.compile import artifacts
from bnviz.figure import theme
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.poster.draw import picture, poster
from bnviz.site.listing import listing
from bnviz.site.spec import checked

__all__ = ["write_figure", "write_libraries", "write_scripts"]

_PAGE = Path(__file__).parent.parent / "page"
# Its menu, which MathJax's ready-made bundle holds, is two fifths of it.
_MATHJAX = ("startup.js", "core.js", "input/tex.js", "input/tex", "output/chtml.js")
_MATHJAX += ("output/chtml/fonts", "a11y/assistive-mml.js")
_ORT = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def write_libraries(home: Path, modules: Path) -> dict[str, str]:
    """Copy plotly.js, onnxruntime-web and MathJax; addresses relative to `_static/bnviz/`."""
    version = _version(modules / "onnxruntime-web")
    ort = home / f"ort-{version}"
    for file in _ORT:
        source = modules / "onnxruntime-web" / "dist" / file
        if file.endswith(".wasm"):  # packed here, because not every server would
            _write(ort / f"{file}.gz", lambda s=source: gzip.compress(s.read_bytes(), mtime=0))
        else:
            _write(ort / file, source.read_bytes)
    plotly = modules / "plotly.js-cartesian-dist-min"
    name = f"plotly-{_version(plotly)}.min.js"
    _write(home / name, (plotly / "plotly-cartesian.min.js").read_bytes)
    for part in _MATHJAX:
        source, wanted = modules / "mathjax" / "es5" / part, home / "mathjax" / part
        if source.is_dir():
            shutil.copytree(source, wanted, dirs_exist_ok=True)
        else:
            _write(wanted, source.read_bytes)
    return {
        "plotly": f"../{name}",
        "ort": f"../{ort.name}/{_ORT[0]}",
        "loader": f"../{ort.name}/{_ORT[1]}",
        "wasm": f"../{ort.name}/{_ORT[2]}.gz",
    }


def write_scripts(home: Path) -> str:
    """Copy the page's own modules into a folder named by their content; returns its name."""
    sources = sorted(p for p in _PAGE.iterdir() if p.suffix in (".js", ".css"))
    folder = f"page-{_digest(*(p.read_bytes() for p in sources))}"
    for source in sources:
        _write(home / folder / source.name, source.read_bytes)
    return f"bnviz/{folder}"


def write_figure(folder: Path, explorer: Explorer, urls: dict[str, str]) -> dict[str, str]:
    """Graphs, description and posters of one figure; returns their file names."""
    graphs = {}
    for name, graph in artifacts.graphs(explorer).items():
        graphs[name] = f"{explorer.name}.{name}.{_digest(graph)}.onnx.gz"
        _write(folder / graphs[name], lambda g=graph: gzip.compress(g, mtime=0))
    first = artifacts.first_drawing(explorer)
    described = explorer.to_dict() | {
        "figure": _rounded(first.figure),
        "readout_first": first.readout,
        "graphs": graphs,
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
