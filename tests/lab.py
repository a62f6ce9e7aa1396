"""A real JupyterLab on this machine, one per test process, and a notebook that is open in it."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page

REPOSITORY = Path(__file__).parent.parent
TOKEN = secrets.token_hex()
SECONDS = 60  # for anything to happen on a busy machine


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on this machine, with settings and notebooks of its own: address and folder."""
    home = tmp_path_factory.mktemp("lab")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(home / name.lower()) for name in folders}
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    notebooks = home / "notebooks"
    notebooks.mkdir()
    options = (
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--ServerApp.root_dir={notebooks}",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    )
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=os.environ | own | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _address(server, home), notebooks
        finally:
            server.terminate()
            server.wait(SECONDS)


def _address(server: subprocess.Popen, home: Path) -> str:
    """Where the server listens, as soon as it does."""
    files = home / "jupyter_runtime_dir"
    began = time.monotonic()
    while time.monotonic() - began < SECONDS and server.poll() is None:
        for file in files.glob("jpserver-*.json"):
            with suppress(ValueError):  # it is still being written
                return json.loads(file.read_text())["url"]
        time.sleep(0.05)
    raise AssertionError((home / "log").read_text())


READY = """(path) => {
  const open = globalThis.jupyterapp?.shell.currentWidget;
  return open?.context?.path === path && open.sessionContext?.isReady;
}"""


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Page, address: str):
        self.page, self.errors = page, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.goto(address)
        # JupyterLab may restore what a test before had open, and that is ready first
        path = address.split("/tree/")[1].split("?")[0]
        page.wait_for_function(READY, arg=path, timeout=SECONDS * 1e3)

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def command(self, name: str) -> None:
        """Run a command of JupyterLab, and wait until it has ended."""
        self.page.evaluate("(name) => jupyterapp.commands.execute(name)", name)


def until(condition: Callable[[], object], what: str) -> None:
    """Poll until a condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < SECONDS, f"waited in vain for {what}"
        time.sleep(0.02)
