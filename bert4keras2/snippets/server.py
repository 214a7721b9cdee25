"""The server of `WebServing`: the standard library's, with a thread for each client."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import socketserver
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

__all__ = ["serve"]

logger = logging.getLogger(__name__)


class Handler(WSGIRequestHandler):
    """One connection; what is worth a note goes to the log, which shows nothing unless it is asked to."""

    timeout = 60  # seconds that a client may keep silent; its thread would wait for ever

    def parse_request(self) -> bool:
        """Read the first line, in which clients such as curl leave bytes beyond ASCII as they are.

        The standard library parts the line at all that is a blank in Latin-1, and the bytes of a character may be.
        """
        self.raw_requestline = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % ord(byte[0]), self.raw_requestline)
        return super().parse_request()

    def address_string(self) -> str:
        """Return the client's address, without asking the network for its name."""
        return self.client_address[0]

    def log_message(self, format: str, *args: Any) -> None:
        """Note a request."""
        logger.info("%s " + format, self.address_string(), *args)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A slow client keeps nobody else waiting."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note that a client went away."""
        logger.info("%s: %r", client_address, sys.exc_info()[1])


class Server6(Server):
    """The same for addresses such as "::1"."""

    address_family = socket.AF_INET6


def serve(app: Any, host: str, port: int) -> None:
    """Print the address and serve a WSGI application until interrupted.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port; 0 for one that is free.

    Raises:
        OSError: if the port is taken, or the address is none of this computer's.
    """
    six = ":" in host
    try:
        server = make_server(host, port, app, Server6 if six else Server, Handler)
    except OSError as error:
        raise OSError(error.errno, f"Cannot listen on {host}, port {port}: {error.strerror}") from error
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"http://{f'[{host}]' if six else host}:{server.server_port}/", flush=True)
        server.serve_forever()
