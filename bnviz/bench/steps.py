"""Training steps a second: the page against its peers, and against what no side can beat."""

import gzip
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy

import torch
from playwright.sync_api import Page, sync_playwright

from bnviz.bench import network
from bnviz.bench.rows import Row, in_turns
from bnviz.compile.build import compiled
from bnviz.maths.data import digits
from bnviz.site.files import write_modules, write_scripts
from bnviz.tools import assets
from bnviz.tools.browser import launch
from bnviz.tools.serve import serving

__all__ = ["growth_rows", "step_rows"]

DEPTH, WIDTH = 5, 64
BATCHES = (4, 32, 256)
LIMIT = "peak of multiply-adds"
# ratios of rates that the page shall reach, at least
_TARGETS = {
    4: {"onnxruntime-web": 8},
    32: {"onnxruntime-web": 3, "TensorFlow.js (wasm)": 25, "PyTorch, eager": 4},
    256: {"onnxruntime-web": 2, "PyTorch, eager": 1, LIMIT: 0.6},
}
GROWTH = {"width": (16, 64, 256), "depth": (2, 5, 10, 20), "batch": (4, 16, 64, 256)}
_SECONDS = 0.4  # of one measurement
_HERE = Path(__file__).parent
_TENSORFLOW = {
    "tfjs-core": "tf-core.min.js",
    "tfjs-backend-cpu": "tf-backend-cpu.min.js",  # which the wasm one falls back to
    "tfjs-backend-wasm": "tf-backend-wasm.min.js",
    "tfjs-layers": "tf-layers.min.js",
}
_ONNXRUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_SCRIPTS = "".join(f'<script src="{name}"></script>' for name in _TENSORFLOW.values())
_RACE = ("race.js", "jax.js", "limit.js", "timed.js")
_PAGE = f"""<!doctype html><meta charset="utf-8"><title>race</title>{_SCRIPTS}
<script type="module">import * as race from "./race.js"; window.race = race;</script>"""


class _Track:
    """A browser page in which the networks race."""

    def __init__(self, page: Page, folder: Path):
        self.page, self.folder = page, folder

    def ours(self, depth: int, width: int, batch: int) -> "Side":
        """The network as the book's pages train it."""
        name = network.mlp(depth, width).name
        described = write_modules(self.folder, {name: network.module(depth, width)})[name]
        own = {"figure": name, "module": described, "base": self.page.url}
        about = own | {"rows": len(digits().x_train)}
        return self._side("Page", f"page {name} {batch}", about | self._common(batch))

    def tensorflow(self, depth: int, width: int, batch: int) -> "Side":
        """The same network in TensorFlow.js."""
        name = f"tensorflow {depth} {width} {batch}"
        return self._side("TensorFlow", name, _written(depth, width) | self._common(batch))

    def jax(self, depth: int, width: int, batch: int) -> "Side":
        """The same network in jax-js, on one thread: the page is not isolated from others."""
        about = _written(depth, width) | {"home": f"{self.page.url}jax/"}
        return self._side("Jax", f"jax {depth} {width} {batch}", about | self._common(batch))

    def onnxruntime(self, batch: int) -> "Side":
        """The same network in onnxruntime-web; its graphs are there for one size only."""
        about: dict = {"rows": len(digits().x_train), "home": f"{self.page.url}onnxruntime/"}
        for graph in ("initial", "step"):
            packed = _HERE / "peer" / f"mlp-{DEPTH}-x-{WIDTH}.{graph}.onnx.gz"
            (self.folder / f"{graph}.onnx").write_bytes(gzip.decompress(packed.read_bytes()))
            about[graph] = f"{self.page.url}{graph}.onnx"
        return self._side("Onnx", f"onnxruntime {batch}", about | self._common(batch))

    def limit(self, depth: int, width: int, batch: int) -> "Side":
        """What no side can beat: a step's products alone, as fast as registers multiply and add."""
        (self.folder / "peak.wasm").write_bytes(compiled((_HERE / "peak.c").read_text()))
        flops = network.flops(depth, width, batch)
        about = {"wasm": f"{self.page.url}peak.wasm", "flops": flops}
        return self._side("Limit", f"limit {depth} {width} {batch}", about)

    def _common(self, batch: int) -> dict:
        return {"lr": network.LR, "seed": network.SEED, "batch": batch}

    def _side(self, kind: str, name: str, about: dict) -> "Side":
        self.page.evaluate(
            """async ([kind, name, about]) => {
                const side = new race[kind](about);
                await side.start?.();
                race.sides[name] = side;
            }""",
            [kind, name, about],
        )
        run = "([name, steps]) => race.sides[name].run(steps)"
        return Side(lambda steps: self.page.evaluate(run, [name, steps]))


def _written(depth: int, width: int) -> dict:
    """What is handed to a side that writes the network down anew."""
    data = digits()
    return {
        "kernels": network.kernels(depth, width),
        "width": width,
        "x": data.x_train.tolist(),
        "y": data.y_train.tolist(),
    }


class Side:
    """Something that trains; `run(steps)` gives its rate in steps per second, and its loss."""

    def __init__(self, run):
        self.run = run
        self.count = 8

    @classmethod
    def of(cls, trainer: network.Eager) -> "Side":
        """In this process, measured by its clock."""

        def run(steps: int) -> dict[str, float]:
            began = time.perf_counter()
            loss = trainer.steps(steps)
            return {"rate": steps / (time.perf_counter() - began), "loss": loss}

        return cls(run)

    def rate(self) -> float:
        """Steps per second over about the time that a measurement shall take."""
        rate = self.run(self.count)["rate"]
        self.count = max(8, math.ceil(rate * _SECONDS))
        return rate


@contextmanager
def _track() -> Iterator[_Track]:
    """Serve and open the page of the race, with TensorFlow.js started."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        scripts = folder / Path(write_scripts(folder)).name
        scripts.rename(folder / "page")
        peers = assets.node_modules(_HERE) / "@tensorflow"
        (folder / "onnxruntime").mkdir()
        for file in _ONNXRUNTIME:
            copy(peers.parent / "onnxruntime-web" / "dist" / file, folder / "onnxruntime")
        (folder / "jax").mkdir()
        for script in (peers.parent / "@jax-js" / "jax" / "dist").glob("*.js"):
            copy(script, folder / "jax")
        for package, script in _TENSORFLOW.items():
            copy(peers / package / "dist" / script, folder)
        for binary in (peers / "tfjs-backend-wasm" / "dist").glob("*.wasm"):
            copy(binary, folder)
        for script in _RACE:
            copy(_HERE / script, folder)
        (folder / "index.html").write_text(_PAGE)
        with serving(folder) as address, launch(playwright) as browser:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_function("() => window.race")
            page.evaluate(
                """async address => {
                    tf.wasm.setWasmPaths(address);
                    if (!(await tf.setBackend("wasm"))) throw new Error("no wasm backend");
                    await tf.ready();
                }""",
                address,
            )
            yield _Track(page, folder)


def step_rows() -> Iterator[Row]:
    """5 x 64 units with BN: rates against the peers, after a look whether all learn the same."""
    torch.set_num_threads(1)
    with _track() as here:
        for batch in BATCHES:
            size = (DEPTH, WIDTH, batch)
            ours = here.ours(*size)
            peers = {
                "TensorFlow.js (wasm)": here.tensorflow(*size),
                "jax-js (wasm)": here.jax(*size),
                "PyTorch, eager": Side.of(network.Eager(*size)),
                **_torch_compile(*size),
                "onnxruntime-web": here.onnxruntime(batch),
            }
            _same_losses({"page": ours} | peers)
            for name, peer in (peers | {LIMIT: here.limit(*size)}).items():
                rates = in_turns(ours.rate, peer.rate)
                what = f"{DEPTH} x {WIDTH} units, batch size {batch}"
                target = _TARGETS[batch].get(name)
                yield Row("Training", what, name, "steps/s", *rates, "more", target)


def _torch_compile(depth: int, width: int, batch: int) -> dict[str, Side]:
    """PyTorch's own compiler, which needs one of C++; without it there is no such row."""
    side = Side.of(network.Compiled(depth, width, batch))
    try:
        side.run(1)
    except RuntimeError as problem:  # whatever torch.compile raises is one
        reason = str(problem).strip().splitlines()[0]
        print(f"torch.compile is left out, it needs g++ (or CXX): {reason}", file=sys.stderr)
        return {}
    return {"torch.compile": Side.of(network.Compiled(depth, width, batch))}


def growth_rows() -> Iterator[Row]:
    """The page's rate against eager PyTorch's, one size at a time away from 5 x 64, batch 32."""
    torch.set_num_threads(1)
    with _track() as here:
        for axis, values in GROWTH.items():
            for value in values:
                size = {"depth": DEPTH, "width": WIDTH, "batch": 32} | {axis: value}
                rates = in_turns(
                    here.ours(**size).rate, Side.of(network.Eager(**size)).rate, turns=5
                )
                what = f"{axis} {value}"
                yield Row("Growth", what, "PyTorch, eager", "steps/s", *rates, "more", more=size)


def _same_losses(sides: dict[str, Side], steps: int = 3) -> None:
    """Raise RuntimeError unless all sides have the same loss after the same steps.

    After a few only: with batches of 4, rounding errors grow tenfold with every other step.
    """
    losses = {name: side.run(steps)["loss"] for name, side in sides.items()}
    if max(losses.values()) - min(losses.values()) > 1e-3:
        raise RuntimeError(
            f"after {steps} steps the networks differ, in loss: {json.dumps(losses)}"
        )
