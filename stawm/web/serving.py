"""A small web server for one folder, on this machine alone."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stawm.errors import InputError

HERE = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
"""Given whatever the machine's own table says, which on some systems calls scripts plain text."""


class _Handler(SimpleHTTPRequestHandler):
    """Gives files as what they are, always the newest, and says nothing."""

    extensions_map = {"": "application/octet-stream", **TYPES}  # noqa: RUF012  (so it is in the class above)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def open_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a folder, for this machine alone, that waits to be run.

    Args:
        folder: What to serve.
        port: Where; any that is free where 0.

    Raises:
        InputError: The port is taken or not allowed.
    """
    try:
        return ThreadingHTTPServer((HERE, port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot serve on port {port}: {reason}. Choose another by --port.") from error


def address(server: ThreadingHTTPServer) -> str:
    """Return where a server's page is."""
    return f"http://{HERE}:{server.server_address[1]}/"
