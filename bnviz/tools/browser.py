"""Find a Chromium for tests and benchmark, or get one: `python -m bnviz.tools.browser [--install]`.

In this order: one that is installed, Playwright's own download, the system's package.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from bnviz.tools.assets import node_program

# Playwright's own Node.js asks for a system library that small systems lack; this one does not.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(node_program()))

__all__ = ["BrowserMissingError", "install", "launch"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = tuple(
    f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium")
)
# For root, for machines without a graphics card, and for closed networks.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_REMEDY = (
    "This needs Chromium or Chrome. Install one so that `chromium` or `google-chrome` is on "
    "the PATH (Debian and Ubuntu: `sudo apt install chromium`), then try again."
)


class BrowserMissingError(RuntimeError):
    """No Chromium starts on this machine; the message says what was tried and what to do."""


def launch(playwright: Playwright) -> Browser:
    """Start the first Chromium that does start.

    Raises:
        BrowserMissingError: none does.
    """
    failures = []
    for path in _candidates(playwright):
        try:
            return playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        except Error as error:
            failures.append(f"{path}: {error.message.strip().splitlines()[0]}")
    raise BrowserMissingError("\n".join([*failures, _REMEDY]))


def _candidates(playwright: Playwright) -> Iterator[str]:
    yield from filter(None, map(shutil.which, _NAMES))
    own = playwright.chromium.executable_path
    yield from (path for path in (*_MAC, own) if Path(path).exists())


def install() -> str:
    """Make sure that a Chromium starts, getting one where there is none; returns its version.

    Raises:
        BrowserMissingError: nothing that was tried brought one.
    """
    missing = BrowserMissingError(_REMEDY)
    for step in _steps():
        if step:
            print("$", *step, flush=True)
            try:
                subprocess.run(step, stdin=subprocess.DEVNULL, timeout=900, check=False)
            except subprocess.TimeoutExpired:
                print("took too long", flush=True)
        try:
            with sync_playwright() as playwright, launch(playwright) as browser:
                return browser.version
        except BrowserMissingError as error:
            missing = error
            print("No Chromium starts yet.", flush=True)
    raise missing


def _steps() -> Iterator[list[str]]:
    """Commands to try in turn until a Chromium starts; the first is to do nothing."""
    yield []
    own = [sys.executable, "-m", "playwright", "install", "chromium"]
    yield own
    if shutil.which("brew"):
        yield ["brew", "install", "--cask", "chromium"]
    root = _as_root()
    if root is None:
        return
    if shutil.which("apt-get"):
        apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        yield [*apt, "update"]
        yield [*apt, "install", "--yes", "--no-install-recommends", "chromium"]
        yield [*own, "--with-deps"]  # where there is no such package but the download did arrive
    elif shutil.which("dnf"):
        yield [*root, "dnf", "install", "--assumeyes", "chromium"]


def _as_root() -> list[str] | None:
    """What to put before a command so that root runs it; None if that would ask for a password."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    if shutil.which("sudo") and not subprocess.run([*sudo, "true"], capture_output=True).returncode:
        return sudo
    return None


def main(argv: list[str] | None = None) -> None:
    """Say which Chromium is used."""
    parser = argparse.ArgumentParser(prog="python -m bnviz.tools.browser", description=main.__doc__)
    parser.add_argument("--install", action="store_true", help="get one where there is none")
    try:
        if parser.parse_args(argv).install:
            version = install()
        else:
            with sync_playwright() as playwright, launch(playwright) as browser:
                version = browser.version
    except BrowserMissingError as error:
        sys.exit(str(error))
    print(f"Chromium {version}")


if __name__ == "__main__":
    main()
