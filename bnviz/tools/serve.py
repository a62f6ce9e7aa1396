"""Serve the built book here: `python -m bnviz.tools.serve [--port N] [--prefix /sub/path]`."""

import argparse
import gzip
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["book_server", "serving"]

BOOK = Path("_build/html")
_PORTS_TRIED = 50
_PACKABLE = (".html", ".css", ".js", ".json", ".svg", ".txt", ".xml")


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Said here because what a machine believes of these endings differs, and a browser refuses a
    # module or a wasm file of the wrong type.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }

    def __init__(self, *args, prefix: str, quiet: bool, published: bool, **kwargs):
        self._prefix, self._quiet, self._published = prefix, quiet, published
        super().__init__(*args, **kwargs)

    def send_head(self):
        # Nothing outside the prefix: a book that asks for /something is broken, and must look it.
        if not self.path.startswith(self._prefix):
            self.send_error(HTTPStatus.NOT_FOUND, f"The book is at {self._prefix}")
            return None
        path = Path(self.translate_path(self.path))
        asked = "gzip" in self.headers.get("Accept-Encoding", "")
        if self._published and asked and path.suffix in _PACKABLE and path.is_file():
            return self._send_packed(path)
        return super().send_head()

    def _send_packed(self, path: Path) -> io.BytesIO:
        packed = _packed(path, path.stat().st_mtime_ns)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        return io.BytesIO(packed)

    def translate_path(self, path: str) -> str:
        return super().translate_path("/" + path[len(self._prefix) :])

    def end_headers(self):
        # The browser asks each time whether a file changed, so a rebuilt book shows at once.
        kept = "max-age=600" if self._published else "no-cache"
        self.send_header("Cache-Control", kept)
        super().end_headers()

    def log_message(self, format: str, *args):
        if not self._quiet:
            super().log_message(format, *args)

    def log_request(self, code="-", size="-"):
        """Say nothing of what went well."""

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):  # the reader left the page: no news
            self.close_connection = True


@cache
def _packed(path: Path, _changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)


class _Server(ThreadingHTTPServer):
    """`prefix`: where the book is."""

    prefix = "/"


def book_server(
    folder: str | Path = BOOK,
    port: int = 0,
    prefix: str = "/",
    *,
    quiet: bool = False,
    published: bool = False,
) -> _Server:
    """Return a server, bound to localhost, for the book in `folder`; call its `serve_forever`.

    A `port` that is taken gives way to the next free one, and 0 is any free one. With a `prefix`
    such as `/sub/path` the book is there, and nothing is anywhere else. `quiet` keeps failed
    requests off the terminal. `published`: as GitHub Pages does it, text is sent gzipped, and a
    browser keeps all for ten minutes.

    Raises:
        FileNotFoundError: no book was built in `folder`.
        OSError: none of the ports from `port` on is free.
    """
    folder = Path(folder).resolve()
    if not (folder / "index.html").is_file():
        raise FileNotFoundError(f"There is no book in {folder}: build it with `make book`.")
    prefix = f"/{prefix.strip('/')}/".replace("//", "/")
    handler = partial(
        _Handler, directory=str(folder), prefix=prefix, quiet=quiet, published=published
    )
    last = min(port + _PORTS_TRIED, 65535)
    for candidate in range(port, last + 1):
        try:
            server = _Server(("127.0.0.1", candidate), handler)
        except (OSError, OverflowError) as error:
            if candidate == last or isinstance(error, PermissionError):
                raise OSError(f"No free port from {port} to {candidate}: {error}") from error
        else:
            server.prefix = prefix
            return server
    raise ValueError(f"port is {port}, which is not in 0 .. 65535")


@contextmanager
def serving(
    folder: str | Path = BOOK, prefix: str = "/", *, published: bool = False
) -> Iterator[str]:
    """Serve `folder` from a thread as long as the context lasts; gives the address of the book.

    The arguments are those of `book_server`.

    Raises:
        FileNotFoundError: no book was built in `folder`.
    """
    server = book_server(folder, prefix=prefix, quiet=True, published=published)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield _address(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _address(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}{server.prefix}"


def main(argv: list[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bnviz.tools.serve", description=main.__doc__)
    parser.add_argument("folder", nargs="?", default=BOOK, help="the built book (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="or the next free (%(default)s)")
    parser.add_argument("--prefix", default="/", help="serve under a sub-path (%(default)s)")
    options = parser.parse_args(argv)
    try:
        server = book_server(options.folder, options.port, options.prefix)
    except (OSError, ValueError) as problem:
        sys.exit(str(problem))
    with server:
        try:
            print(f"The book is at {_address(server)} (Ctrl-C stops)", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
