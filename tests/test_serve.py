"""The local server: right types, right place, a free port, quiet."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bnviz.tools.serve import book_server, main, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("index.html", "a.js", "a.mjs", "a.wasm", "a b.json", "deep/index.html"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("", "text/html"),
        ("a.js", "text/javascript"),
        ("a.mjs", "text/javascript"),
        ("a.wasm", "application/wasm"),
        ("a%20b.json", "application/json"),
    ],
)
def test_a_browser_gets_the_type_that_it_insists_on(folder: Path, name: str, media_type: str):
    with serving(folder) as url, urlopen(url + name) as response:
        assert response.headers["Content-Type"] == media_type
        assert response.headers["Cache-Control"] == "no-cache"


def test_as_published_text_is_packed_and_kept(folder: Path):
    asked = {"Accept-Encoding": "gzip"}
    with serving(folder, published=True) as url:
        with urlopen(Request(url + "a.js?v=1", headers=asked)) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Content-Type"] == "text/javascript"
            assert response.headers["Cache-Control"] == "max-age=600"
            assert gzip.decompress(response.read()) == b"a.js"
        for path, headers in (("a.wasm", asked), ("a.js", {})):
            with urlopen(Request(url + path, headers=headers)) as response:
                assert response.headers["Content-Encoding"] is None
                assert response.read() == path.encode()
        for missing in ("b.js", "../secret.js"):
            with pytest.raises(HTTPError, match="404") as outside:
                urlopen(Request(url + missing, headers=asked))
            outside.value.close()


def test_under_a_prefix_the_book_is_there_and_nowhere_else(folder: Path):
    with serving(folder, prefix="sub/path") as url:
        assert url.endswith("/sub/path/")
        assert urlopen(url + "deep/").read() == b"deep/index.html"
        assert urlopen(url + "deep").url == url + "deep/"
        for path in ("/", "/a.js", "/sub/a.js", "/sub/pathology/"):
            with pytest.raises(HTTPError, match="404") as outside:
                urlopen(url.removesuffix("/sub/path/") + path)
            outside.value.close()


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "/../secret"])
def test_nothing_above_the_folder_is_served(folder: Path, path: str):
    (folder / "secret").write_text("secret")
    with serving(folder / "deep", prefix="/sub/") as url:
        with pytest.raises(HTTPError, match="404") as outside:
            urlopen(url + path)
        outside.value.close()


def test_a_busy_port_gives_way_to_the_next_free_one(folder: Path):
    with book_server(folder) as first, book_server(folder, first.server_port) as second:
        assert first.server_port < second.server_port < first.server_port + 50


def test_a_folder_without_a_book_says_what_to_do(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="make book"):
        book_server(tmp_path)
    with pytest.raises(SystemExit, match="make book"):
        main([str(tmp_path)])


def test_a_port_that_cannot_be_is_named(folder: Path):
    with pytest.raises(SystemExit, match="65536"):
        main([str(folder), "--port", "65536"])


def heed_ctrl_c() -> None:
    """What a terminal grants; a process in the background of a script ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_stops_quietly(folder: Path):
    command = [sys.executable, "-m", "bnviz.tools.serve", str(folder), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, preexec_fn=heed_ctrl_c) as server:
        try:
            assert b"http://127.0.0.1:" in server.stdout.readline()
            os.kill(server.pid, signal.SIGINT)
            _, errors = server.communicate(timeout=20)
        finally:
            server.kill()  # or leaving the context would wait for ever
    assert server.returncode == 0
    assert errors == b""
