"""The server of the page, asked by a raw client: what no browser sends is sent here."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from depthai_ros import extras
from depthai_ros.errors import ConfigError, DepthaiError

pytest.importorskip("viser", reason=f"the page is NOT TESTED: {extras.missing('view')}")
import msgspec
import viser
import websockets.asyncio.server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from depthai_ros.view import server as view
from depthai_ros.view.server import PageServer

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "right-token"
#: A browser's first message; viser takes it as connected from then on.
CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": [1, 0, 0, 0], "position": [3, 3, 3], "fov": 1.3,
    "near": 0.01, "far": 1000, "look_at": [0, 0, 0], "up_direction": [0, 0, 1],
    "image_height": 480, "image_width": 640,
}  # fmt: skip
DEADLINE_S = 5.0


@pytest.fixture(scope="module")
def page() -> Iterator[PageServer]:
    started = view.start("127.0.0.1", 0, token=TOKEN, names=("Robot_1.LAN",))
    yield started
    started.stop()


def cookie(page: PageServer, token: str = TOKEN) -> str:
    return f"{page.guard.cookie}={token}"


def get(
    page: PageServer, path: str, *lines: str, host: str = "", called: str = "127.0.0.1"
) -> tuple[int, dict[str, str], bytes]:
    """One request, byte for byte as given; status 0 = the server hung up."""
    with socket.create_connection((called, page.port), timeout=DEADLINE_S) as raw:
        fields = [f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{page.port}'}", *lines]
        raw.sendall("\r\n".join([*fields, "", ""]).encode("utf-8", "surrogateescape"))
        data = b""
        while chunk := raw.recv(1 << 16):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
    return int(status.split()[1]) if status else 0, headers, body


def websocket(
    page: PageServer, *, cookies: str = "", origin: str | None = "own", path: str = "/"
) -> ClientConnection:
    address = f"127.0.0.1:{page.port}"
    options: dict[str, Any] = {
        "origin": f"http://{address}" if origin == "own" else origin,
        "additional_headers": {"Cookie": cookies} if cookies else {},
        "subprotocols": [f"viser-v{viser.__version__}"],
    }
    return connect(
        f"ws://{address}{path}", compression=None, open_timeout=DEADLINE_S, max_size=None, **options
    )


def refused(page: PageServer, **how: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        websocket(page, **how).close()
    return caught.value.response.status_code


def send(connection: Connection, **message: Any) -> None:
    connection.send(msgspec.msgpack.encode(message))


def receive_all(connection: Connection) -> None:
    """Until the server closes the connection, or sends nothing more."""
    while True:
        connection.recv(timeout=DEADLINE_S)


def wait_until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


# ------------------------------------------------------------------------------------ the token


def test_requests_without_the_token_are_refused(page: PageServer) -> None:
    for path, *lines in (
        ("/",),
        ("/index.html",),
        ("/?token=",),
        ("/?token=wrong",),
        (f"/?token={TOKEN}&token=wrong",),
        (f"/index.html?token={TOKEN}",),
        ("/?token=%ff%00",),
        ("/?token=\udcff",),
        ("/", f"Cookie: {cookie(page, 'wrong')}"),
        ("/", f"Cookie: {cookie(page, '')}"),
        ("/", f"Cookie: {page.guard.cookie}"),
        ("/", f"Cookie: other={TOKEN}"),
    ):
        status, headers, body = get(page, path, *lines)
        assert (status, "set-cookie" in headers) == (403, False), path
        assert b"token" in body
    for cookies in ("", cookie(page, "wrong"), cookie(page, ""), f"other={TOKEN}"):
        assert refused(page, cookies=cookies) == 403
    assert refused(page, path=f"/?token={TOKEN}") == 403  # a page logs in, a websocket does not


def test_token_becomes_a_cookie_and_leaves_the_address(page: PageServer) -> None:
    assert page.address == f"http://127.0.0.1:{page.port}/?token={TOKEN}"
    status, headers, _ = get(page, f"/?token={TOKEN}&darkMode=1")
    assert (status, headers["location"]) == (303, "/?darkMode=1")
    assert headers["set-cookie"] == f"{cookie(page)}; Path=/; HttpOnly; SameSite=Lax"
    status, headers, body = get(page, "/", f"Cookie: a=b; {cookie(page)}; c=d")
    assert status == 200
    assert body
    assert "default-src 'none'" in headers["content-security-policy"]
    with websocket(page, cookies=cookie(page)) as connection:
        assert connection.recv(timeout=DEADLINE_S)


def test_redirect_leads_to_this_server_only(page: PageServer) -> None:
    for path in ("//evil.example/", "http://evil.example/", "/%0d%0aX: y", "/\\evil.example/"):
        status, headers, _ = get(page, f"{path}?token={TOKEN}")
        assert (status, headers.get("location", "/")) in ((403, "/"), (0, "/"), (400, "/")), path
        assert "x" not in headers


@pytest.mark.parametrize("token", ["short", "a b c d e f", "semi;colon", "new\r\nline", "x" * 129])
def test_token_that_cannot_be_in_a_cookie_is_an_error(token: str) -> None:
    with pytest.raises(ConfigError, match="8 to 128"):
        view.start("127.0.0.1", 0, token=token)


def test_without_a_token_there_is_a_random_one() -> None:
    servers = [view.start("127.0.0.1", 0) for _ in range(2)]
    tokens = {server.guard.token for server in servers}
    cookies = {server.guard.cookie for server in servers}
    for server in servers:
        server.stop()
    assert len(cookies) == len(tokens) == 2
    assert min(map(len, tokens)) >= 32


# ------------------------------------------------------------------------------ origin and host


@pytest.mark.parametrize(
    "origin",
    [
        None, "", "null", "file://", "http://evil.example", "http://evil.example:{port}",
        "http://127.0.0.1", "http://127.0.0.1:1", "http://localhost:3000",
        "http://127.0.0.1:{port}.evil.example", "ftp://127.0.0.1:{port}",
    ],
)  # fmt: skip
def test_another_origin_is_refused(page: PageServer, origin: str | None) -> None:
    origin = origin and origin.replace("{port}", str(page.port))
    assert refused(page, origin=origin, cookies=cookie(page)) == 403
    if origin:
        assert get(page, "/", f"Origin: {origin}", f"Cookie: {cookie(page)}")[0] == 403


def test_own_names_may_pass_also_through_a_proxy_with_https(page: PageServer) -> None:
    websocket(page, cookies=cookie(page), origin=f"https://127.0.0.1:{page.port}").close()
    # Through `ssh -L 9000:localhost:PORT` the browser names another port, in both lines.
    for host in ("localhost:9000", "LOCALHOST", "robot_1.lan:80", f"{socket.gethostname()}.local"):
        lines = (f"Origin: http://{host}", f"Cookie: {cookie(page)}")
        assert get(page, "/", *lines, host=host)[0] == 200


def test_another_host_name_is_refused(page: PageServer) -> None:
    """DNS rebinding: evil.example leads to 127.0.0.1, and Origin and Host agree."""
    names = ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example")
    for host in (*names, "a@localhost:x", "localhost:123456", "localhost/", "[", " "):
        lines = (f"Origin: http://{host}", f"Cookie: {cookie(page)}")
        assert get(page, "/", *lines, host=host)[0] == 403, host
    # Two lines.
    assert get(page, "/", "Host: evil.example", f"Cookie: {cookie(page)}")[0] == 403


def test_two_lines_of_one_header_do_not_confuse(page: PageServer) -> None:
    own = f"Origin: http://127.0.0.1:{page.port}"
    assert get(page, "/", own, "Origin: http://evil.example", f"Cookie: {cookie(page)}")[0] == 403
    assert get(page, "/", "Upgrade: x", "Upgrade: websocket", own)[0] == 403
    for line in ("Upgrade: websocket", "Connection: keep-alive\r\nConnection: Upgrade"):
        assert (
            get(page, "/", line, f"Cookie: {cookie(page)}")[0] == 403
        )  # a websocket has an Origin
    assert get(page, "/", "Cookie: a=b", f"Cookie: {cookie(page)}")[0] == 200


def test_connections_that_are_no_requests_leave_no_traceback(
    page: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Browsers open connections in advance and close them unused; others scan ports."""
    half = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    for sent in (b"", b"\x16\x03\x01\0\0", half, half.replace(b"GET", b"POST") + b"\r\n"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=DEADLINE_S) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(1 << 16):
                pass
    assert get(page, "/", f"Cookie: {cookie(page)}")[0] == 200
    assert caplog.records == []


def test_files_outside_the_page_are_not_served(page: PageServer) -> None:
    for path in (
        "/../_viser.py", "/%2e%2e/%2e%2e/_viser.py", "/..%2f..%2f_viser.py", "/..\\..\\_viser.py",
        "/%5c..%5c..%5c_viser.py", "//etc/passwd", "/....//etc/passwd", "/./../index.html",
        "/%00", "/index.html/../../_viser.py", "/build", "/" + "a" * 4000, "/" + "a" * 9000,
    ):  # fmt: skip
        status, _, body = get(page, path, f"Cookie: {cookie(page)}")
        assert status in (0, 400, 404, 414, 431, 500), path
        assert b"import" not in body
        assert b"root:" not in body
        assert get(page, path)[0] in (0, 400, 403, 414, 431)


# ------------------------------------------------------------------------------------- messages


def test_only_accepted_messages_reach_viser(
    page: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(viser._viser, "ViserTunnel", lambda *_: asked.append("tunnel"))
    monkeypatch.setattr(page.viser, "request_share_url", lambda: asked.append("share"))
    moved: list[float] = []
    slider = page.viser.gui.add_slider("exposure", 0, 10, 1, 5)
    slider.on_update(lambda event: moved.append(event.target.value))
    element = {"type": "GuiUpdateMessage", "uuid": slider._impl.uuid}
    with websocket(page, cookies=cookie(page)) as connection:
        send(connection, **CAMERA)
        for kind in ("ShareUrlRequest", "ShareUrlDisconnect", "Nonsense", "RunJavascriptMessage"):
            send(connection, type=kind)
        for value in ([1], {"type": 7}, {"type": {}}, {}, "GuiUpdateMessage", None):
            connection.send(msgspec.msgpack.encode(value))
        for junk in (b"", b"\xc1", b"\x91" * 10_000, b"\x81\xa4type\xa1\xff", "text"):
            connection.send(junk)
        for updates in ({"update_cb": []}, {"removed": True}, {"value": 7, "uuid": "x"}):
            send(connection, **element, updates=updates)
        send(connection, **element, updates={"value": 6})
        wait_until(lambda: moved == [6])  # the same connection lives, in its order
    assert asked == []
    assert not slider._impl.removed
    assert not page.viser._websock_server._incoming_handlers.get(viser._messages.ShareUrlRequest)


def test_without_the_guard_anybody_opens_a_tunnel() -> None:
    """The test above can fail: viser's own server asks for no token and no origin."""
    server = viser.ViserServer("127.0.0.1", 0, verbose=False)
    asked: list[str] = []
    server.request_share_url = lambda *_, **__: asked.append("share")
    unguarded = PageServer(server, view.Guard(TOKEN, frozenset()), server.get_port(), "")
    with websocket(unguarded, origin="http://evil.example") as connection:
        send(connection, type="ShareUrlRequest")
        wait_until(lambda: asked == ["share"])
    server.stop()


def test_large_message_ends_its_own_connection_only(page: PageServer) -> None:
    cookies = cookie(page)
    with websocket(page, cookies=cookies) as large, websocket(page, cookies=cookies) as other:
        large.send(b"\0" * (view.MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosed, match="too big"):
            receive_all(large)
        assert other.ping().wait(DEADLINE_S)


def test_values_are_not_checked_here(page: PageServer) -> None:
    """Why the model checks each value: `disabled`, min and max exist in the browser only."""
    moved: list[float] = []
    locked = page.viser.gui.add_slider("locked", 0, 10, 1, 5, disabled=True)
    locked.on_update(lambda event: moved.append(event.target.value))
    with websocket(page, cookies=cookie(page)) as connection:
        send(connection, **CAMERA)
        updates = {"value": 999}
        send(connection, type="GuiUpdateMessage", uuid=locked._impl.uuid, updates=updates)
        wait_until(lambda: moved == [999])


# ------------------------------------------------------------------------------- host and port


def test_busy_port_is_an_error(page: PageServer) -> None:
    serve = websockets.asyncio.server.serve
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(ConfigError, match=f"port {page.port} of .* is in use.*--port"):
            view.start(host, page.port)
    assert websockets.asyncio.server.serve is serve


def test_host_of_another_machine_is_an_error() -> None:
    for host in ("192.0.2.1", "no such name"):
        with pytest.raises(ConfigError, match="no address of this machine"):
            view.start(host, 0)


def test_only_the_given_address_listens(page: PageServer) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", page.port), timeout=DEADLINE_S)


@pytest.mark.parametrize("every", ["0.0.0.0", "::"])
def test_server_for_all_networks_answers_by_the_address_that_was_called(every: str) -> None:
    if every == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    server = view.start(every, 0, token=TOKEN)
    port = server.port
    cookies = f"Cookie: {cookie(server)}"
    asked = [
        get(server, "/", cookies, host=f"127.0.0.5:{port}", called="127.0.0.5"),
        get(server, "/", cookies, host=f"127.0.0.5:{port}"),
        get(server, "/", cookies, host=f"0.0.0.0:{port}"),
        get(server, "/"),
    ]
    host, path = server.address.removeprefix("http://").split("/")
    called = host.removesuffix(f":{port}")
    login = get(server, f"/{path}", host=host, called=called)[0]
    server.stop()
    assert [status for status, *_ in asked] == [200, 403, 403, 403]
    assert (login, path) == (303, f"?token={TOKEN}")
    assert called != "0.0.0.0"


def test_stopped_server_leaves_its_port() -> None:
    server = view.start("127.0.0.1", 0)
    server.stop()
    view.start("127.0.0.1", server.port).stop()


# ------------------------------------------------------------------------------------- versions


def test_version_that_was_not_tested_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "version", {"viser": "1.2.0", "websockets": "17.0"}.get)
    monkeypatch.setitem(extras.EXTRAS, "view", extras.EXTRAS["view"][:2])
    with pytest.raises(DepthaiError) as caught:
        view.start("127.0.0.1", 0)
    said = str(caught.value)
    assert "has viser 1.2.0, tested is viser==1.1.1" in said
    assert "has websockets 17.0, tested is websockets>=14.2,<17" in said
    assert "-m pip install viser==1.1.1 'websockets>=14.2,<17'" in said


def test_viser_that_starts_in_another_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherServer:
        def __init__(self, *, port: int, **_: object) -> None:
            ports.append(port)

        def stop(self) -> None:
            ports.append(0)

    ports: list[int] = []
    monkeypatch.setattr(viser, "ViserServer", OtherServer)
    with pytest.raises(DepthaiError, match="through its websockets"):
        view.start("127.0.0.1", 0)
    port, stopped = ports
    assert stopped == 0
    socket.create_server(("127.0.0.1", port)).close()  # it is free again


def test_tests_run_with_the_versions_of_the_extra() -> None:
    listed = (ROOT / "tools/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(extras.EXTRAS["view"]) <= set(listed)
