"""The still picture of a plotly figure: for print, and for readers without JavaScript.

plotly.js draws it, as it does in the page, but in Node.js with a document that has no browser:
`draw.cjs`. To start that takes some seconds, so one Node.js serves all figures of a Python process.
"""

import atexit
import base64
import contextlib
import json
import math
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from bnviz.figure import theme
from bnviz.tools.assets import node_modules, node_program

__all__ = ["picture", "poster"]

WIDTH = 700  # pixels
_FOLDER = Path(__file__).parent
_LAST_WORDS = 2000  # letters of what Node.js says before it ends


def poster(figure: dict, mode: str) -> str:
    """SVG text of a figure whose traces hold their data, on a transparent background.

    Args:
        figure: a plotly figure as a dict. It is not changed.
        mode: "light" or "dark"; both colour text and lines as `theme.template` does.

    Raises:
        ValueError: for what plotly.js does not know, such as a type of trace; or another mode.
        RuntimeError: plotly.js or Node.js failed; the message carries their words.
        AssetsError: the npm packages are not there, and could not be fetched.

    >>> line = {"type": "scatter", "x": [0, 1], "y": [0, 1]}
    >>> poster({"data": [line], "layout": {}}, "light").startswith("<svg")
    True
    """
    return _drawn(figure, mode)["svg"]


def picture(figure: dict) -> bytes:
    """The same as PNG, on white and twice as sharp: for the cards that other sites show.

    >>> line = {"type": "scatter", "x": [0, 1], "y": [0, 1]}
    >>> picture({"data": [line], "layout": {}})[1:4]
    b'PNG'
    """
    return base64.b64decode(_drawn(figure, "light", png=2 * WIDTH)["png"])


def _drawn(figure: dict, mode: str, **more: Any) -> dict[str, str]:
    template = theme.template(mode)
    order = {"data": figure["data"], "layout": figure["layout"], "template": template}
    line = json.dumps(_finite({**order, "width": WIDTH, **more}), allow_nan=False)
    # By process, because a fork must not talk to its parent's.
    said = _NODES.setdefault(os.getpid(), _Node()).ask(line, _name(figure))
    if "refused" in said:
        raise ValueError(f"plotly.js refuses {_name(figure)}: {said['refused']}")
    if "failed" in said:
        raise RuntimeError(f"plotly.js failed at {_name(figure)}: {said['failed']}")
    return said


def _finite(value: Any) -> Any:
    """JSON has no NaN; plotly draws nothing where it has null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(figure: dict) -> str:
    """What to call a figure in an error: its title, or else its traces."""
    title = figure["layout"].get("title") or {}
    text = title if isinstance(title, str) else title.get("text")
    traces = [str(t.get("name") or t.get("uid") or t.get("type")) for t in figure["data"]]
    return f"the figure {text!r}" if text else f"the figure of {', '.join(traces) or 'nothing'}"


class _Node:
    """Node.js with plotly.js in it; it starts with the first question."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self.words: IO[str] | None = None  # a file, because nobody empties a pipe in time

    def ask(self, line: str, name: str) -> dict[str, str]:
        """The answer to a line of JSON; the next question after an error finds a new process."""
        with self.lock:
            process = self.process = self.process or self._start()
            with contextlib.suppress(BrokenPipeError):
                _there(process.stdin).write(f"{line}\n")
                _there(process.stdin).flush()
            answer = _there(process.stdout).readline()
            if answer.endswith("\n"):
                return json.loads(answer)
            words = self.stop()
            raise RuntimeError(f"Node.js ended ({process.returncode}) at {name}.\n{words}")

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "NODE_PATH": str(node_modules(_FOLDER))}
        self.words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        atexit.register(self.stop)
        return subprocess.Popen(
            [node_program(), _FOLDER / "draw.cjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            encoding="utf-8",
            env=environment,
        )

    def stop(self) -> str:
        """End it, in the process that started it; what it said last on stderr."""
        atexit.unregister(self.stop)
        process, self.process = self.process, None
        if process is None or _NODES.get(os.getpid()) is not self:
            return ""
        with contextlib.suppress(BrokenPipeError):
            _there(process.stdin).close()  # which tells it that nothing more comes
        _there(process.stdout).close()
        process.wait()
        with _there(self.words) as words:
            words.seek(0)
            return words.read()[-_LAST_WORDS:].strip()


def _there(end: IO[str] | None) -> IO[str]:
    assert end is not None  # so it is while a process runs
    return end


_NODES: dict[int, _Node] = {}
