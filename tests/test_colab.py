"""On Google Colab: what the first cell of each notebook does there, against a stand-in for it."""

import runpy
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bnviz import show
from bnviz.tools import notebooks

CELL = Path(notebooks.__file__).with_name("_colab_cell.py")
ADDRESS = "https%3A%2F%2Fgithub.com%2Fowner%2Fmy.book%2Fblob%2Fmain%2Fbook%2Fa.ipynb"
OPENED = f'[{{"path": "fileId={ADDRESS}"}}]'


@pytest.fixture
def colab(monkeypatch):
    """A session server that says what `answers` holds, and a note of every command."""
    answers, commands = [OPENED], []

    class Sessions(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/api/sessions"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[-1].encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Sessions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    output = types.SimpleNamespace(asked=0)
    output.enable_custom_widget_manager = lambda: setattr(output, "asked", output.asked + 1)
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(output=output))
    monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
    monkeypatch.setenv("KMP_TARGET_PORT", str(server.server_port))
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    yield types.SimpleNamespace(answers=answers, commands=commands, output=output)
    server.shutdown()
    server.server_close()


def test_elsewhere_the_cell_does_nothing(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it ran something"))
    runpy.run_path(CELL)


def test_bnviz_comes_from_the_repository_that_the_notebook_was_opened_from(colab):
    runpy.run_path(CELL)
    (command,) = colab.commands
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[-1] == "bnviz[book] @ git+https://github.com/owner/my.book@main"


def test_a_notebook_from_elsewhere_is_told_what_to_do(colab):
    colab.answers.append('[{"path": "fileId=1234"}]')
    with pytest.raises(RuntimeError, match="open this notebook from its page in the book"):
        runpy.run_path(CELL)
    assert colab.commands == []


def test_figures_ask_colab_to_draw_widgets(colab):
    show("scale-shift").close()
    assert colab.output.asked == 1
