"""The web server: a socket, waitress on it, and the address to type into a browser; the only importer of waitress."""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import waitress

from powerpi.errors import ServerError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

WEB_SETTINGS = {
    "threads": 4,
    "ident": None,
    "channel_timeout": 10,  # half-open connections would block the server for good at its defaults
    "cleanup_interval": 5,
    "max_request_body_size": 4096,  # nothing is ever posted
    "max_request_header_size": 16384,
    "connection_limit": 200,
    "clear_untrusted_proxy_headers": True,
}


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket for the page. Raises ServerError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        said = f"the page cannot be served at {host} port {port}: {why}"
        hint = "; choose another port, or stop the program that has it" if error.errno == errno.EADDRINUSE else ""
        raise ServerError(said + hint) from error


def open_server(pages: WSGIApplication, listening: socket.socket) -> Any:
    """The web server on a bound socket."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return waitress.create_server(pages, sockets=[listening], **WEB_SETTINGS)


def page_address(listening: socket.socket) -> str:
    """What to type into a browser: the machine's name where every address of it is listened to."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
