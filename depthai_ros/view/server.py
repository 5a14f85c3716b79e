"""The HTTP and websocket server of the page: viser's server behind a guard.

viser's own server answers everybody, takes the next port if one is busy, and opens a public tunnel
for any client that asks. The guard replaces the one call of `websockets.serve` in viser:

- the socket is ours and bound before viser starts: a busy port is an error;
- every request needs a Host name of this machine, no Origin but its own, and the token: once in the
  address, then as a cookie;
- only the kinds of message in ACCEPTED reach viser;
- the Content-Security-Policy forbids the page to load anything from another host.

It does not check values: ranges, choices and `disabled` exist in the browser only.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import ipaddress
import logging
import os
import re
import secrets
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import rich
import viser
import websockets.asyncio.server as library
from viser import _messages
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from .. import extras
from ..bounded import shown
from ..errors import ConfigError, DepthaiError

#: Kinds of message that a browser may send.
ACCEPTED = frozenset(
    {
        "GuiUpdateMessage",
        "LocalStorageGetItemResponseMessage",
        "ViewerCameraMessage",
    }
)
#: Bytes of a message from a browser; those in ACCEPTED are small.
MAX_MESSAGE = 1 << 20
#: Seconds. A browser that vanished without a word is gone after 22 s; less would cut slow links.
_KEEPALIVE = {"ping_interval": 5, "ping_timeout": 15, "close_timeout": 2}
#: Bytes that the kernel holds for a slow browser; more only adds latency.
_SEND_BUFFER = 256 << 10
#: `unsafe-inline`: viser's client is one file; `unsafe-eval`: a part of it compiles WebAssembly.
_CONTENT_POLICY = (
    "default-src 'none'",
    "script-src 'unsafe-inline' 'unsafe-eval'",
    "style-src 'unsafe-inline'",
    "img-src data: blob:",
    "font-src data:",
    "connect-src 'self' data: blob:",
    "worker-src blob:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
)
_HEADERS = {
    "Content-Security-Policy": "; ".join(_CONTENT_POLICY),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Browsers open connections in advance and close them unused: no traceback for each.
_LOG = logging.getLogger(__name__)
_LOG.addFilter(lambda record: record.msg != "opening handshake failed")
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII)
#: What cookies and addresses hold without quoting.
_TOKEN = re.compile(r"[\w.~-]{8,128}", re.ASCII)
_NO_TOKEN = "Open the address that depthai-view printed: it contains the token.\n"
_NOT_OUR_HOST = "This host name is not known: start depthai-view with --allow-host NAME.\n"
_NOT_OUR_ORIGIN = "Requests from other web pages are refused.\n"


@dataclass(frozen=True, slots=True)
class PageServer:
    """A running server."""

    viser: viser.ViserServer
    guard: Guard
    port: int
    address: str  # what a browser opens; contains the token

    def stop(self) -> None:
        """Close all connections and the port."""
        self.viser.stop()


def start(
    host: str,
    port: int,
    *,
    token: str = "",
    names: Collection[str] = (),
) -> PageServer:
    """Start the server; port 0 = a free one.

    token    8 to 128 letters, digits or -._~; "" = a random one
    names    further names by which browsers may call this machine

    Raises  ConfigError for a host, port or token that cannot be used;
            DepthaiError for a version of viser that was not tested
    """
    if problem := extras.missing("view"):
        raise DepthaiError(problem)
    if token and not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"token: {shown(token)} is not 8 to 128 letters, digits or -._~; "
            "without a token depthai-view makes a random one"
        )
    machine = socket.gethostname()
    called = _network_address() if _is_wildcard(host) else host
    own = {"localhost", "127.0.0.1", "::1", machine, f"{machine}.local", called, *names}
    guard = Guard(
        token or secrets.token_urlsafe(24),
        frozenset(name.lower() for name in own),
    )
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    place = f"[{called}]" if ":" in called else called
    address = f"http://{place}:{port}/?token={guard.token}"
    return PageServer(_start_viser(guard, listener, host, port), guard, port, address)


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host


def _network_address() -> str:
    """The address by which other machines most likely reach this one, else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the kernel for a route
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _listen(host: str, port: int) -> socket.socket:
    """The one socket of the page.

    Raises  ConfigError
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        both = family == socket.AF_INET6 and _is_wildcard(host) and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, dualstack_ipv6=both)
    except OSError as error:
        raise ConfigError(_why_not(error, host, port)) from None
    # Each connection inherits it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    """Why this machine does not listen there, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, perhaps by another depthai-view "
            f"(`ss -ltnp sport = :{port}` names the program): choose another with --port, 0 = any"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs root: choose one from 1024 up with --port"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"host: {shown(host)} is no address of this machine; "
            "127.0.0.1 = this machine only, 0.0.0.0 = all networks"
        )
    return f"cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}"


def _start_viser(guard: Guard, listener: socket.socket, host: str, port: int) -> viser.ViserServer:
    """viser's server on this socket, behind this guard.

    Raises  DepthaiError if viser does not start it as the tested version does
    """
    serve = _GuardedServe(guard, listener, library.serve)
    rich.get_console().quiet = True  # viser prints an address without the token
    library.serve = serve  # type: ignore[assignment, misc]
    try:
        server = viser.ViserServer(host=host, port=port, verbose=False)
    finally:
        library.serve = serve.original  # type: ignore[assignment, misc]
    if serve.calls != 1:
        server.stop()
        listener.close()
        raise DepthaiError("viser did not start its server through its websockets library")
    for message in (_messages.ShareUrlRequest, _messages.ShareUrlDisconnect):
        server._websock_server.unregister_handler(message)
    return server


# -- requests


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which requests may pass."""

    token: str
    names: frozenset[str]  # by which browsers may call this machine; lower case, without port

    @property
    def cookie(self) -> str:
        """Name of the cookie. Cookies ignore the port: two pages on one host need two names."""
        return f"depthai_view_{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A response that ends the request here; None = the request may pass."""
        hosts = request.headers.get_all("Host")
        if len(hosts) != 1 or not self._is_own(hosts[0], connection.local_address[0]):
            return _refusal(_NOT_OUR_HOST)
        is_socket = _is_websocket(request)
        origins = request.headers.get_all("Origin")
        if (origins or is_socket) and not self._is_own_page(origins, hosts[0]):
            return _refusal(_NOT_OUR_ORIGIN)
        path, _, query = request.path.partition("?")
        words = parse_qsl(query)
        given = [value for key, value in words if key == "token"]
        if given and path == "/" and not is_socket:
            return self._log_in(given[-1], [word for word in words if word[0] != "token"])
        if not any(map(self._is_token, _cookies(request.headers, self.cookie))):
            return _refusal(_NO_TOKEN)
        return None

    def _log_in(self, given: str, words: list[tuple[str, str]]) -> Response:
        """Turn the token of an address into a cookie."""
        if not self._is_token(given):
            return _refusal(_NO_TOKEN)
        # Lax: Strict would not be sent after a click on the address in another page.
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"
        target = f"/?{urlencode(words)}" if words else "/"
        return _response(HTTPStatus.SEE_OTHER, "", {"Location": target, "Set-Cookie": cookie})

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def _is_own(self, host: str, called: str) -> bool:
        """True for a name of this machine, or the address that the connection came in on."""
        match = _HOST.fullmatch(host)
        name = match[1].strip("[]").lower() if match else ""
        return name in self.names or name == called.removeprefix("::ffff:")

    def _is_own_page(self, origins: list[str], host: str) -> bool:
        return len(origins) == 1 and origins[0] in (f"http://{host}", f"https://{host}")


def _is_websocket(request: Request) -> bool:
    connection = ",".join(request.headers.get_all("Connection"))
    return "Upgrade" in request.headers or "upgrade" in connection.lower()


def _cookies(headers: Headers, name: str) -> list[str]:
    """Values of the cookie; a browser may send several of one name."""
    parts = [part.strip() for line in headers.get_all("Cookie") for part in line.split(";")]
    return [value for key, _, value in (part.partition("=") for part in parts) if key == name]


def _refusal(text: str) -> Response:
    return _response(HTTPStatus.FORBIDDEN, text)


def _response(status: HTTPStatus, text: str, fields: dict[str, str] | None = None) -> Response:
    body = text.encode()
    headers = Headers(
        {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **_HEADERS,
            **(fields or {}),
        }
    )
    return Response(status, status.phrase, headers, body)


# -- messages


class _Head(msgspec.Struct):
    """What the guard reads of a message."""

    type: str
    updates: dict[str, Any] = {}


class GuardedConnection(ServerConnection):
    """Drops messages that the page has no use for, among them ShareUrlRequest."""

    async def recv(self, decode: bool | None = None) -> Any:
        """The next accepted message."""
        while True:
            data = await super().recv(decode)
            if isinstance(data, bytes) and _is_accepted(data):
                return data


def _is_accepted(data: bytes) -> bool:
    try:
        head = msgspec.msgpack.decode(data, type=_Head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    # viser assigns each key of `updates` to the element: also uuid, removed and its callbacks.
    return head.type in ACCEPTED and set(head.updates) <= {"value"}


class _GuardedServe:
    """Takes the place of `websockets.asyncio.server.serve` while viser starts."""

    def __init__(self, guard: Guard, listener: socket.socket, original: Callable[..., Any]) -> None:
        self._guard = guard
        self._listener = listener
        self.original = original
        self.calls = 0

    def __call__(self, handler: Any, host: str, port: int, **options: Any) -> Any:
        self.calls += 1
        serve_file: Callable[..., Response | None] = options.pop("process_request")

        def answer(connection: ServerConnection, request: Request) -> Response | None:
            if refusal := self._guard.answer(connection, request):
                return refusal
            response = serve_file(connection, request)
            if response is not None:
                response.headers.update(_HEADERS)
            return response

        options |= _KEEPALIVE
        options |= {"sock": self._listener, "max_size": MAX_MESSAGE, "server_header": None}
        options |= {
            "create_connection": GuardedConnection,
            "process_request": answer,
            "logger": _LOG,
        }
        return self.original(handler, **options)
