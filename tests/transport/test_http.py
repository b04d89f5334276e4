"""One request, one answer, against servers that answer anything."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback

import pytest

from exconnect.environment import Environment
from exconnect.errors import ClientClosed, ConfigurationError, InvalidArgument
from exconnect.protocol.call import Lane, Request
from exconnect.transport import connections
from exconnect.transport.http import Http, Lost, NotSent

KEY, SIGNATURE = "CANARYKEY1234", "CANARYSIGNATURE5678"
SIGNED = Request(
    "POST", "/api/v3/order", (("symbol", "BTCUSDT"),), (("X-MBX-APIKEY", KEY),), f"a=%2F%2f&signature={SIGNATURE}"
)
GET = Request("GET", "/x")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Used: 7\r\n\r\n{}"


def reply(data, *, goes_on=True):
    def answer(sock, _request):
        sock.sendall(data)
        return goes_on

    return answer


def body(data, *headers):
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(data), *headers, b"", data]
    return b"\r\n".join(lines)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def send(http, request=GET, timeout=30.0, **options):
    return http.send(request, timeout=timeout, **options)


# ------------------------------------------------------------ what travels


def test_a_request_leaves_as_it_is(serve, http):
    server = serve(reply(OK))
    response = send(http(server.url), SIGNED)
    assert (response.status, response.body, response.headers["x-used"]) == (200, b"{}", "7")
    head, _, sent_body = server.requests[0].partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == f"POST /api/v3/order?a=%2F%2f&signature={SIGNATURE} HTTP/1.1"
    assert sent_body == ""
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers.pop("user-agent").startswith("exconnect/")
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "x-mbx-apikey": KEY.lower(),
        "content-length": "0",
    }


def test_a_body_and_a_base_path(serve, http):
    server = serve(reply(OK))
    send(http(server.url + "/base/"), Request("POST", "/x", body=b"a=1"))
    assert server.requests[0].startswith("POST /base/x HTTP/1.1\r\n")
    assert server.requests[0].endswith("\r\n\r\na=1")


def test_no_cookie_no_netrc_no_environment(serve, http, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server = serve(reply(OK.replace(b"X-Used: 7", b"Set-Cookie: a=b")))
    one = http(server.url)
    send(one)
    send(one)
    assert "cookie" not in server.requests[1].lower()
    assert "authorization" not in server.requests[1].lower()


@pytest.mark.parametrize("request_", [Request("GET", "/a b"), Request("GET", "/ä"), Request("GET", "/\r\nX: y")])
def test_what_cannot_be_sent_is_an_argument_error(serve, http, request_):
    server = serve(reply(OK))
    with pytest.raises(InvalidArgument, match="cannot be sent"):
        send(http(server.url), request_)
    assert server.requests == []


def test_a_header_that_would_split_the_request_is_not_sent(serve, http):
    server = serve(reply(OK))
    one = http(server.url)
    with pytest.raises(InvalidArgument) as caught:
        send(one, Request("GET", "/x", headers=(("X-MBX-APIKEY", f"{KEY}\r\nEvil: 1"),)))
    assert KEY not in "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert send(one).status == 200
    assert len(server.requests) == 1


# ------------------------------------------------------------ connections


def test_what_was_written_and_never_sent_does_not_precede_the_next_request(serve, http, monkeypatch):
    server = serve(reply(OK))
    ours = http(server.url)
    send(ours)
    with pytest.raises(InvalidArgument):
        send(ours, Request("GET", "/split", (), (("X-Key", "a\r\nb"),)))
    written = connections.Connection._is_written

    def slow(self, *arguments):
        try:
            return written(self, *arguments)
        finally:
            self.deadline = 0.0  # it passes before the first byte has left

    with monkeypatch.context() as patched:
        patched.setattr(connections.Connection, "_is_written", slow)
        with pytest.raises(NotSent, match="deadline"):
            send(ours, SIGNED)
    send(ours, Request("GET", "/next"))
    assert [request.split(" ")[1] for request in server.requests] == ["/x", "/next"]
    assert KEY not in server.requests[-1]


def test_connections_are_kept(serve, http):
    server = serve(reply(OK))
    one = http(server.url)
    for _ in range(5):
        send(one)
    assert server.connections == 1


def test_orders_reads_and_market_data_do_not_share_connections(serve, http):
    server = serve(reply(OK))
    one = http(server.url)
    for lane in Lane:
        send(one, lane=lane)
    assert server.connections == 3


def test_a_stuck_download_does_not_hold_up_a_cancel(serve, http):
    stuck, go_on = threading.Barrier(5), threading.Event()

    def answer(sock, request):
        if "/stuck" in request:
            stuck.wait(30)
            go_on.wait(30)
        sock.sendall(OK)
        return True

    one = http(serve(answer).url)
    threads = [
        threading.Thread(target=send, args=(one, Request("GET", "/stuck")), kwargs={"lane": Lane.HISTORY})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    stuck.wait(30)
    with pytest.raises(NotSent, match="all connections are in use"):
        send(one, timeout=0.05, lane=Lane.MARKET)
    assert send(one, lane=Lane.CANCEL).status == 200
    go_on.set()
    for thread in threads:
        thread.join(30)


def test_a_connection_that_the_server_closed_is_not_used_again(serve, http):
    server = serve(reply(OK, goes_on=False))
    one = http(server.url)
    for number in range(1, 4):
        assert send(one, lane=Lane.PLACE).status == 200
        assert server.connections == number
        server.ended.acquire(timeout=30)


def test_a_connection_is_closed_when_it_was_idle_for_too_long(serve, http):
    class Late(Environment):
        ahead = 0.0

        def now(self):
            return super().now() + self.ahead

    env, server = Late(), serve(reply(OK))
    one = http(server.url, env=env)
    send(one)
    env.ahead = 49.0
    send(one)
    assert server.connections == 1
    env.ahead = 49.0 + 51.0
    send(one)
    assert server.connections == 2


def test_connection_close_is_heeded(serve, http):
    server = serve(reply(OK.replace(b"X-Used: 7", b"Connection: close"), goes_on=False))
    one = http(server.url)
    assert send(one).body == b"{}"
    assert send(one).body == b"{}"
    assert server.connections == 2


def test_a_body_until_the_connection_ends(serve, http):
    one = http(serve(reply(b"HTTP/1.0 200 OK\r\n\r\n[1,2]", goes_on=False)).url)
    assert send(one).body == b"[1,2]"


def test_chunks(serve, http):
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    server = serve(reply(data))
    one = http(server.url)
    assert [send(one).body for _ in range(2)] == [b"[1,2]"] * 2
    assert server.connections == 1


# ------------------------------------------------------------ not sent


def test_nobody_listens(http):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotSent, match="refused"):
        send(http(f"http://127.0.0.1:{port}"), SIGNED)


def test_no_such_name(http):
    with pytest.raises(NotSent, match="not known"):
        send(http("https://exchange.invalid"))


def test_all_addresses_share_one_deadline(serve, http, monkeypatch):
    server = serve(reply(OK))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    live = ("127.0.0.1", server.port)
    monkeypatch.setattr(
        connections.socket,
        "getaddrinfo",
        lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, live)],
    )
    assert send(http(server.url)).status == 200
    monkeypatch.setattr(connections.socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(NotSent, match="no address"):
        send(http(server.url))


def test_a_deadline_that_has_passed_sends_nothing(serve, http):
    server = serve(reply(OK))
    with pytest.raises(NotSent, match="deadline"):
        send(http(server.url), timeout=0.0)
    assert server.requests == []


def test_a_deadline_that_has_passed_sends_nothing_on_a_kept_connection_either(serve, http):
    server = serve(reply(OK))
    one = http(server.url)
    send(one)
    with pytest.raises(NotSent, match="deadline"):
        send(one, SIGNED, timeout=0.0)
    assert send(one).status == 200
    assert [request.split()[0] for request in server.requests] == ["GET", "GET"]


def test_after_close_nothing_is_sent(serve, http):
    server = serve(reply(OK))
    one, unused = http(server.url), http(server.url)
    send(one)
    for closed in (one, unused):
        closed.close()
        closed.close()
        with pytest.raises(ClientClosed, match="closed"):
            send(closed)
    assert len(server.requests) == 1


def test_what_is_closed_while_it_opens_sends_nothing(serve, http, monkeypatch):
    server = serve(reply(OK))
    one, pool = http(server.url), connections.pool

    def closing(*arguments, **options):
        one.close()
        return pool(*arguments, **options)

    monkeypatch.setattr(connections, "pool", closing)
    with pytest.raises(ClientClosed):
        send(one)
    assert server.requests == []


# ------------------------------------------------------------ lost


def cut(data):
    return reply(data, goes_on=False)


def resetting(data):
    def answer(sock, _):
        sock.sendall(data)
        reset(sock)
        return False

    return answer


def endless(head):
    def answer(sock, _):
        sock.sendall(head)
        while True:  # until whoever reads has had enough
            sock.sendall(b"x" * 65_536)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
BOMB = gzip.compress(b"0" * 30_000_000, 9)

LOST = {
    "reset before an answer": (resetting(b""), "reset"),
    "closed before an answer": (cut(b""), "closed connection"),
    "no HTTP": (cut(b"hello\r\n\r\n"), "hello"),
    "cut in the head": (cut(b"HTTP/1.1 200 OK\r\nContent-Le"), "head is cut off"),
    "cut in the body": (cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), "8 bytes are missing"),
    "cut in a chunk": (cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"), "IncompleteRead"),
    "cut between chunks": (cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "IncompleteRead"),
    "said to be too large": (reply(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), "99999999999 bytes"),
    "too large": (cut(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 9_000_000), "more than 8388608 bytes"),
    "bomb": (reply(body(BOMB, b"Content-Encoding: gzip")), "unpacks to more"),
    "cut gzip": (reply(body(gzip.compress(b"[1,2]")[:-9], b"Content-Encoding: gzip")), "packed body is cut off"),
    "no gzip": (reply(body(b"[1,2]", b"Content-Encoding: gzip")), "decompressing"),
    "foreign packing": (reply(body(b"[1,2]", b"Content-Encoding: br")), "'br'"),
    "a chunk of less than nothing": (endless(CHUNKED + b"-5\r\n"), "chunk of -5 bytes"),
    "a chunk without an end": (endless(CHUNKED + b"-1\r\n"), "chunk of -1 bytes"),
    "endless behind what was packed": (endless(PACKED + gzip.compress(b"{}")), "packed body has more"),
    "another protocol": (reply(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "HTTP 101"),
    "endless head": (reply(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000), "header line"),
}


@pytest.mark.parametrize("case", LOST)
def test_no_usable_answer(serve, http, case):
    answer, words = LOST[case]
    server = serve(answer)
    one = http(server.url)
    with pytest.raises(Lost) as caught:
        send(one, SIGNED)
    assert words in str(caught.value)
    assert len(server.requests) == 1
    server.answer = reply(OK)
    assert send(one).status == 200
    assert server.connections == 2


@pytest.mark.parametrize("hint", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a>"])
def test_what_is_said_on_the_way_to_an_answer_is_not_the_answer(serve, http, hint):
    go_on = threading.Event()

    def answer(sock, request):
        sock.sendall(b"HTTP/1.1 " + hint + b"\r\n\r\n")
        assert go_on.wait(30)
        sock.sendall(body(request.split()[1].encode()))
        return True

    one = http(serve(answer).url)
    threading.Timer(0.05, go_on.set).start()
    for path in ("/first", "/second"):
        assert send(one, Request("GET", path)).body == path.encode()


def test_packed_and_small_is_read(serve, http):
    packed = gzip.compress(b"[" + b"1," * 100_000 + b"1]")
    assert send(http(serve(reply(body(packed, b"Content-Encoding: GZIP"))).url)).body.startswith(b"[1,1")


def test_a_large_body_where_it_is_expected(serve, http):
    one = http(serve(reply(body(b"x" * 9_000_000))).url)
    assert len(send(one, max_body=10_000_000).body) == 9_000_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(serve, http, status, caplog):
    elsewhere = serve(reply(OK))
    here = serve(
        reply(b"HTTP/1.1 %d Go\r\nLocation: %s/x\r\nContent-Length: 0\r\n\r\n" % (status, elsewhere.url.encode()))
    )
    with pytest.raises(Lost, match="redirect"):
        send(http(here.url), SIGNED)
    assert elsewhere.connections == 0
    assert elsewhere.requests == []
    assert "CRITICAL" in caplog.text


@pytest.mark.parametrize("status", [400, 403, 418, 429, 500, 503])
def test_other_answers_are_answers(serve, http, status):
    html = b"<html>no</html>"
    one = http(serve(reply(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(html)) + html)).url)
    response = send(one)
    assert (response.status, response.body) == (status, html)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_who_drips_is_cut_off_at_the_deadline(serve, http, head):
    done = threading.Event()

    def answer(sock, _):
        sock.sendall(head)
        while not done.wait(0.02):
            sock.sendall(b"a")
        return False

    started = time.monotonic()
    try:
        with pytest.raises(Lost, match=r"timed out|deadline"):
            send(http(serve(answer).url), timeout=2.0)
    finally:
        done.set()
    assert time.monotonic() - started < 20.0


# ------------------------------------------------------------ TLS, proxies


def tls_for(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_tls_with_the_authority(serve, http, authority, ca_file):
    server = serve(reply(OK), tls_for(authority, "127.0.0.1"))
    one = http(server.url, ca_file=ca_file)
    assert [send(one, SIGNED).status for _ in range(2)] == [200, 200]
    assert server.connections == 1


def test_tls_without_the_authority_sends_nothing(serve, http, authority, monkeypatch, ca_file):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    server = serve(reply(OK), tls_for(authority, "127.0.0.1"))
    with pytest.raises(NotSent, match="certificate verify failed"):
        send(http(server.url), SIGNED)
    assert server.requests == []


def test_tls_with_the_name_of_another(serve, http, authority, ca_file):
    server = serve(reply(OK), tls_for(authority, "other.example"))
    with pytest.raises(NotSent, match="certificate verify failed"):
        send(http(server.url, ca_file=ca_file), SIGNED)
    assert server.requests == []


def test_no_tls_there(serve, http, ca_file):
    server = serve(reply(OK))
    with pytest.raises(NotSent, match=r"SSL|ssl"):
        send(http(server.url.replace("http:", "https:"), ca_file=ca_file), SIGNED, timeout=5.0)


def test_a_ca_file_without_certificates(http, tmp_path):
    path = tmp_path / "empty.pem"
    path.write_text("nothing")
    with pytest.raises(ConfigurationError, match="holds no certificates"):
        send(http("https://127.0.0.1:1", ca_file=str(path)))


@pytest.fixture
def tunnel(serve, authority):
    """An HTTP proxy; whatever host one asks for, the tunnel ends at one TLS server."""
    target = serve(reply(OK), tls_for(authority, "exchange.example"))

    def copy(source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def answer(sock, request):
        if proxy.refusal:
            sock.sendall(proxy.refusal)
            return False
        with socket.create_connection(("127.0.0.1", target.port)) as far:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=copy, args=(far, sock))
            back.start()
            copy(sock, far)
            back.join()
        return False

    proxy = serve(answer)
    proxy.refusal = None
    proxy.target = target
    return proxy


def test_through_a_proxy(http, tunnel, ca_file):
    one = http("https://exchange.example", ca_file=ca_file, proxy=f"http://me:pw@127.0.0.1:{tunnel.port}")
    assert [send(one, SIGNED).status for _ in range(2)] == [200, 200]
    head = tunnel.requests[0]
    assert head.startswith("CONNECT exchange.example:443 HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6cHc=" in head
    assert KEY not in head
    assert len(tunnel.requests) == 1
    assert "Host: exchange.example\r\n" in tunnel.target.requests[0]


def test_a_proxy_password_may_have_any_letters(http, tunnel, ca_file):
    proxy = f"http://me:p%E2%82%AC@127.0.0.1:{tunnel.port}"
    assert send(http("https://exchange.example", ca_file=ca_file, proxy=proxy), SIGNED).status == 200
    assert "Proxy-Authorization: Basic bWU6cOKCrA==" in tunnel.requests[0]


@pytest.mark.parametrize("url", ["ftp://me:CANARYPW@127.0.0.1:1", "//me:CANARYPW@127.0.0.1:1", "http://", "[::1"])
def test_a_proxy_of_the_environment_that_makes_no_sense(http, monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError, match="proxy must be") as caught:
        send(http("https://exchange.example", proxy="env"))
    assert "CANARYPW" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_proxy_of_the_environment(http, tunnel, ca_file, monkeypatch, scheme):
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}127.0.0.1:{tunnel.port}")
    assert send(http("https://exchange.example", ca_file=ca_file, proxy="env")).status == 200
    assert len(tunnel.requests) == 1
    monkeypatch.setenv("NO_PROXY", "exchange.invalid")
    with pytest.raises(NotSent, match="not known"):
        send(http("https://exchange.invalid", ca_file=ca_file, proxy="env"))
    assert len(tunnel.requests) == 1


def test_a_proxy_that_refuses_is_not_sent(http, tunnel, ca_file):
    tunnel.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(NotSent, match="407") as caught:
        send(http("https://exchange.example", ca_file=ca_file, proxy=f"http://me:CANARYPW@127.0.0.1:{tunnel.port}"))
    assert "CANARYPW" not in str(caught.value)


def test_this_machine_is_never_reached_through_a_proxy(serve, http, tunnel):
    server = serve(reply(OK))
    assert send(http(server.url, proxy=f"http://127.0.0.1:{tunnel.port}")).status == 200
    assert tunnel.connections == 0


def test_socks_needs_the_extra(http, monkeypatch):
    def missing(*_, **__):
        raise connections.requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr(connections.requests.adapters, "SOCKSProxyManager", missing)
    with pytest.raises(ConfigurationError, match=r"pip install .exconnect\[socks\]"):
        send(http("https://exchange.example", proxy="socks5h://127.0.0.1:1"))


def test_through_socks(serve, http, authority, ca_file):
    target = serve(reply(OK), tls_for(authority, "exchange.example"))
    asked = []

    def relay(listener):
        sock, _ = listener.accept()
        with sock, socket.create_connection(("127.0.0.1", target.port)) as far:
            sock.recv(16)
            sock.sendall(b"\x05\x00")
            asked.append(sock.recv(64))
            sock.sendall(b"\x05\x00\x00\x01\x7f\0\0\x01\0\0")
            pumps = [threading.Thread(target=pump, args=pair) for pair in ((sock, far), (far, sock))]
            for pump_ in pumps:
                pump_.start()
            for pump_ in pumps:
                pump_.join()

    def pump(source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=relay, args=(listener,))
        thread.start()
        one = http(
            "https://exchange.example", ca_file=ca_file, proxy=f"socks5h://127.0.0.1:{listener.getsockname()[1]}"
        )
        assert send(one, SIGNED).status == 200
        one.close()
        thread.join(30)
    assert b"exchange.example" in asked[0]


# ------------------------------------------------------------ the process


def test_a_late_patch_of_ssl_is_told(http, monkeypatch):
    monkeypatch.setattr(ssl, "SSLContext", type("Patched", (ssl.SSLContext,), {}))
    with pytest.raises(ConfigurationError, match="monkey-patch before"):
        send(http("https://127.0.0.1:1"))


def test_making_one_imports_and_opens_nothing():
    code = (
        "import sys, exconnect.environment, exconnect.transport.http as h\n"
        "h.Http('https://exchange.example', env=exconnect.environment.Environment())\n"
        "print(sorted({'requests', 'urllib3', 'websocket'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("case", ["reset before an answer", "no HTTP", "cut in the body"])
def test_no_secret_in_a_traceback_with_locals(serve, http, case):
    one = http(serve(LOST[case][0]).url)
    with pytest.raises(Lost) as caught:
        send(one, SIGNED)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "api/v3/order" in text
    assert KEY not in text
    assert SIGNATURE not in text


def test_an_interruption_passes_through_without_the_secret(serve, http, monkeypatch):
    class SoftTimeLimit(Exception):
        pass

    limit = SoftTimeLimit("time is up")

    def interrupted(self):
        raise limit

    server = serve(reply(OK))
    one = http(server.url)
    with monkeypatch.context() as patch:
        patch.setattr(connections.http.client.HTTPConnection, "getresponse", interrupted)
        with pytest.raises(SoftTimeLimit) as caught:
            send(one, SIGNED)
    assert caught.value is limit
    text = "".join(traceback.TracebackException.from_exception(limit, capture_locals=True).format())
    assert KEY not in text
    assert SIGNATURE not in text
    assert send(one).status == 200
    assert server.connections == 2


def test_no_secret_in_any_log(serve, http, caplog, monkeypatch, capsys):
    caplog.set_level(0)
    monkeypatch.setattr(connections.http.client.HTTPConnection, "debuglevel", 1)
    one = http(serve(reply(OK)).url)
    send(one, SIGNED)
    one = http(serve(reply(OK.replace(b"X-Used: 7", b"\xffX: : :\r\n: y"))).url)
    send(one, SIGNED)
    text = caplog.text + capsys.readouterr().out + repr(one.__dict__)
    assert KEY not in text
    assert SIGNATURE not in text


def test_threads_get_their_own_answers(serve, http):
    def answer(sock, request):
        number = request.split("/")[1].split(" ")[0].encode()
        sock.sendall(body(number))
        return True

    one, wrong = http(serve(answer).url), []

    def work(start):
        for number in range(start, start + 100):
            answered = send(one, Request("GET", f"/{number}"), lane=Lane.QUERY).body
            wrong.extend([number] if answered != str(number).encode() else [])

    threads = [threading.Thread(target=work, args=(n * 1_000,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_it_is_what_the_house_says():
    assert Http("https://exchange.example:8443/x", env=Environment()).host == "exchange.example:8443"
