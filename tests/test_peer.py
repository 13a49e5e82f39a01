"""The other end over HTTP(S): what is asked how, and each failure as a sentence that its user can read on the page."""

from __future__ import annotations

import json
import os
import re
import socket
import zlib
from array import array
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import START
from pair import PASSWORD, SENDER, push_settings
from tls import EXPIRED, HOST, RESET, Answering, Authority, Listener, Request, Silent, always, http

from powerpi import wire
from powerpi.digests import Unit
from powerpi.errors import (
    CertificateError,
    LoginError,
    OutOfStepError,
    PeerError,
    RefusedError,
    SlowPeerError,
    TooLargeError,
)
from powerpi.keys import GET_PHP
from powerpi.messages import Push, Rows, Standing, rows_message, standing_message
from powerpi.peer import SAID_CHARACTERS, Peer
from powerpi.wire import PLAIN_BYTES

STANDING = Standing(newest=START, newest_pulses=7.5, pulses=8, pulses_time=START, spans={10: (0, START)})
JSON = "application/json"
GOOD = http(200, json.dumps(standing_message(STANDING)).encode(), JSON)
INSIDES = re.compile(r"\w(Error|Exception)\b|object at|0x[0-9a-f]{4}|urllib3|_ssl|errno|\n", re.IGNORECASE)
ROWS = Push(Rows(10, START, array("d", [0.25] * 6)), 9.0, None)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def peer(url: str, answer_seconds: float = 5.0, **changes: object) -> Peer:
    return Peer(push_settings(url, **changes), answer_seconds)


def fails(url: str, kind: type[PeerError], **changes: object) -> str:
    """What a request says that fails; it is of that kind and no finer one, and tells nobody the password."""
    with pytest.raises(PeerError) as failure:
        peer(url, **changes).standing("house")
    said = str(failure.value)
    assert type(failure.value) is kind, said
    assert PASSWORD not in said
    assert not INSIDES.search(said), said
    return said


def unused_port() -> int:
    with socket.create_server((HOST, 0)) as listening:
        return int(listening.getsockname()[1])


# ---------------------------------------------------------------- what is asked


def test_it_asks_with_user_and_password_in_utf_8_and_follows_the_path_of_the_address() -> None:
    with Answering(always(GOOD)) as server:
        assert peer(f"{server.url}/power/").standing("house") == STANDING
    [request] = server.requests
    assert request.line == "GET /power/api/v1/mirror/house HTTP/1.1"
    assert b64decode(request.headers["authorization"].partition(" ")[2]).decode() == f"{SENDER}:{PASSWORD}"


def test_rows_are_sent_gzipped() -> None:
    with Answering(always(GOOD)) as server:
        assert peer(server.url).push("house", ROWS) == STANDING
    [request] = server.requests
    assert request.headers["content-encoding"] == "gzip"
    assert wire.unpack(request.body, packed=True)["rates"] == [0.25] * 6


def test_an_answer_may_be_gzipped_and_in_chunks() -> None:
    body = wire.pack(standing_message(STANDING))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [head.encode(), *(b"1\r\n%c\r\n" % byte for byte in body), b"0\r\n\r\n"]
    with Answering(lambda _: pieces) as server:
        assert peer(server.url).standing("house") == STANDING


def test_environment_and_netrc_change_nothing(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {HOST} login somebody password else\n")
    other = Authority().pem(tmp_path, "other.pem")
    nobody = f"http://{HOST}:{unused_port()}"
    settings = {"HOME": tmp_path, "NETRC": netrc, "REQUESTS_CA_BUNDLE": other, "CURL_CA_BUNDLE": other}
    proxies = {f"{kind}_proxy": nobody for kind in ("http", "https", "all")}
    for name, value in [*settings.items(), *proxies.items()]:
        monkeypatch.setenv(name, str(value))
        monkeypatch.setenv(name.upper(), str(value))
    with Answering(always(GOOD)) as server:
        assert peer(server.url).standing("house") == STANDING
    with Answering(always(GOOD), authority.context()) as safe:
        assert peer(safe.url, ca_file=authority.pem(tmp_path)).standing("house") == STANDING
        fails(safe.url, CertificateError)
    for request in [*server.requests, *safe.requests]:
        assert SENDER in b64decode(request.headers["authorization"].partition(" ")[2]).decode()


# ---------------------------------------------------------------- nobody answers


def test_a_refused_connection_is_named() -> None:
    url = f"http://{HOST}:{unused_port()}"
    assert fails(url, PeerError) == "127.0.0.1 cannot be reached: Connection refused"


@pytest.mark.parametrize(
    ("errno", "said"),
    [
        (socket.EAI_NONAME, "mirror.lan cannot be reached: its name is not known"),
        (socket.EAI_AGAIN, "mirror.lan cannot be reached: no name server answers"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_cannot_be_found_is_told_from_name_servers_that_are_gone(
    monkeypatch: pytest.MonkeyPatch, errno: int, said: str, scheme: str
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise socket.gaierror(errno, "the words of some C library")

    monkeypatch.setattr(socket, "getaddrinfo", gone)
    assert fails(f"{scheme}://mirror.lan", PeerError) == said


class Closing(Listener):
    """Takes a connection, and hangs up at once, or resets it."""

    resets = False
    says = b""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(self.says)
        if self.resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def test_a_reset_connection_is_named() -> None:
    with Closing() as server:
        server.resets = True
        assert fails(server.url, PeerError) == "127.0.0.1 cannot be reached: Connection reset by peer"


def test_a_server_that_hangs_up_without_an_answer_is_named() -> None:
    with Closing() as server:
        assert fails(server.url, PeerError) == "127.0.0.1 cannot be reached: it hung up without an answer"


def test_a_connection_that_ends_in_the_middle_of_the_handshake_is_no_wrong_certificate() -> None:
    with Closing() as server:
        url = server.url.replace("http:", "https:")
        assert fails(url, PeerError) == "127.0.0.1 cannot be reached: it hung up without an answer"
        server.resets = True
        assert fails(url, PeerError) == "127.0.0.1 cannot be reached: Connection reset by peer"


def test_a_server_that_does_not_answer_in_time_is_slow() -> None:
    with Silent() as server, pytest.raises(SlowPeerError, match=r"^127\.0\.0\.1 does not answer in time$"):
        peer(server.url, answer_seconds=0.1).standing("house")


def test_a_server_that_stops_in_the_middle_of_an_answer_is_slow() -> None:
    def half(request: Request) -> Iterator[bytes]:
        yield GOOD[:-20]
        yield from server.hang(request)

    with Answering(half) as server:
        with pytest.raises(SlowPeerError, match=r"^127\.0\.0\.1 stopped in the middle of an answer$"):
            peer(server.url, answer_seconds=0.1).standing("house")
        server.closing.set()


def test_a_line_that_takes_no_more_of_a_message_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerpi.peer.CONNECT_SECONDS", 0.2)
    monkeypatch.setattr("powerpi.peer.pack", lambda _: bytes(32 << 20))  # more than the kernel keeps for both ends
    with Silent() as server, pytest.raises(SlowPeerError, match="does not answer in time"):
        peer(server.url, answer_seconds=0.2).push("house", ROWS)


def test_a_machine_that_is_switched_off_is_away_and_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerpi.peer.CONNECT_SECONDS", 0.05)
    with socket.socket() as full:  # whose queue of connections is full: no further one is answered
        full.bind((HOST, 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://{HOST}:{full.getsockname()[1]}"
        assert fails(url, PeerError) == "127.0.0.1 cannot be reached: it does not answer"
        for one in waiting:
            one.close()


@pytest.mark.parametrize("cut", [len(GOOD) - 1, GOOD.index(b"\r\n\r\n") + 4])
def test_an_answer_that_breaks_off_is_not_taken_for_one(cut: int) -> None:
    with Answering(always(GOOD[:cut])) as server:
        said = fails(server.url, PeerError)
    assert said == "127.0.0.1 broke off in the middle of an answer: the connection broke"


def test_an_answer_in_chunks_that_breaks_off_is_not_taken_for_one() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Answering(always(head.encode() + b"20\r\n{")) as server:
        said = fails(server.url, PeerError)
    assert said == "127.0.0.1 broke off in the middle of an answer: the connection broke"


# ---------------------------------------------------------------- certificates


def test_a_private_authority_is_trusted_where_it_is_named(authority: Authority, tmp_path: Path) -> None:
    with Answering(always(GOOD), authority.context()) as server:
        assert peer(server.url, ca_file=authority.pem(tmp_path)).standing("house") == STANDING


@pytest.mark.parametrize("own", [False, True])
def test_a_certificate_of_another_authority_will_not_do(authority: Authority, tmp_path: Path, own: bool) -> None:
    ca_file = Authority().pem(tmp_path) if own else None
    with Answering(always(GOOD), authority.context()) as server:
        said = fails(server.url, CertificateError, ca_file=ca_file)
    assert said == (
        "the certificate of 127.0.0.1 will not do: its certification authority is not known here; [push] ca_file may"
        " name it"
    )
    assert not server.requests


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_a_certificate_for_another_name_will_not_do(authority: Authority, tmp_path: Path, host: str) -> None:
    with Answering(always(GOOD), authority.context("mirror.test", "10.1.2.3")) as server:
        said = fails(server.url.replace(HOST, host), CertificateError, ca_file=authority.pem(tmp_path))
    assert said.startswith(f"the certificate of {host} will not do: it is made out to another ")
    assert not server.requests


def test_an_expired_certificate_will_not_do(authority: Authority, tmp_path: Path) -> None:
    with Answering(always(GOOD), authority.context(not_after=EXPIRED)) as server:
        said = fails(server.url, CertificateError, ca_file=authority.pem(tmp_path))
    assert said == "the certificate of 127.0.0.1 will not do: it has expired"
    assert not server.requests


def test_a_server_that_does_not_speak_tls_is_named() -> None:
    with Closing() as server:
        server.says = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        said = fails(server.url.replace("http:", "https:"), PeerError)
    assert said == "127.0.0.1 cannot be reached: what answers there does not speak TLS, as https:// wants it"


def broken_missing(path: Path) -> None:
    """Nothing is there."""


def broken_text(path: Path) -> None:
    path.write_text("this is no certificate\n")


def broken_empty(path: Path) -> None:
    path.touch()


def broken_folder(path: Path) -> None:
    path.mkdir()


def broken_half(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (broken_missing, "No such file or directory"),
        (broken_text, "it holds no certificates in PEM"),
        (broken_empty, "it holds no certificates in PEM"),
        (broken_half, "it holds no certificates in PEM"),
        (broken_folder, "Is a directory"),
    ],
)
def test_a_broken_ca_file_is_one_sentence(
    authority: Authority, tmp_path: Path, breaks: Callable[[Path], None], fault: str
) -> None:
    ca_file = tmp_path / "ca.pem"
    breaks(ca_file)
    with Answering(always(GOOD), authority.context()) as server:
        said = fails(server.url, CertificateError, ca_file=ca_file)
    assert said == f"[push] ca_file = {ca_file} cannot be used: {fault}"


def test_a_ca_file_that_may_not_be_read_is_one_sentence(authority: Authority, tmp_path: Path) -> None:
    ca_file = authority.pem(tmp_path)
    ca_file.chmod(0)
    if os.access(ca_file, os.R_OK):
        pytest.skip("root may read everything")
    with Answering(always(GOOD), authority.context()) as server:
        said = fails(server.url, CertificateError, ca_file=ca_file)
    assert said == f"[push] ca_file = {ca_file} cannot be used: Permission denied"


# ---------------------------------------------------------------- without TLS


@pytest.mark.parametrize("address", ["203.0.113.5", "2001:db8::5", "100.64.0.1"])
def test_a_name_that_leads_out_of_the_local_network_gets_no_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, 80)),
        (family, socket.SOCK_STREAM, 6, "", (address, 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    said = fails("http://mirror.lan", RefusedError)
    assert said == f"mirror.lan leads to {address}, which is not in the local network: wanted https://, or allow_http"


def test_a_local_address_with_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    zoned = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 80, 0, 2))

    def found(host: str, *rest: Any, **more: Any) -> list[Any]:
        return [*real(HOST, *rest, **more), zoned]

    with Answering(always(GOOD)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        assert peer(server.url.replace(HOST, "mirror.lan")).standing("house") == STANDING


def test_plain_http_may_be_allowed_in_as_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    with Answering(always(GOOD)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: real(HOST, *rest, **more))
        url = server.url.replace(HOST, "power.example.org")
        assert peer(url, allow_http=True).standing("house") == STANDING


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, LoginError, "127.0.0.1 does not take this user and password; it answered 401: No, and why"),
        (403, LoginError, "127.0.0.1 does not take this user and password; it answered 403: No, and why"),
        (404, RefusedError, "127.0.0.1 answered 404: No, and why"),
        (409, OutOfStepError, "127.0.0.1 answered 409: No, and why"),
        (413, TooLargeError, "127.0.0.1 answered 413: No, and why"),
        (422, RefusedError, "127.0.0.1 answered 422: No, and why"),
        (408, PeerError, "127.0.0.1 answered 408: No, and why"),
        (429, PeerError, "127.0.0.1 answered 429: No, and why"),
        (500, PeerError, "127.0.0.1 answered 500: No, and why"),
        (503, PeerError, "127.0.0.1 answered 503: No, and why"),
    ],
)
def test_a_refusal_is_told_with_the_words_of_the_other_side(status: int, kind: type[PeerError], said: str) -> None:
    with Answering(always(http(status, b"No, and\n why.\n"))) as server:
        assert fails(server.url, kind) == said


@pytest.mark.parametrize(
    ("status", "said"),
    [(502, "502 Bad Gateway"), (404, "404 Not Found"), (204, "204 No Content"), (599, "599"), (999, "999")],
)
def test_a_refusal_without_plain_words_is_told_with_what_its_status_means(status: int, said: str) -> None:
    answer = always(http(status, b"<h1>nginx</h1>", "text/html"))
    with Answering(answer) as server, pytest.raises(PeerError) as failure:
        peer(server.url).standing("house")
    assert str(failure.value) == f"127.0.0.1 answered {said}"


def test_a_refusal_may_be_gzipped_and_is_told_in_part_where_it_is_long() -> None:
    packer = zlib.compressobj(wbits=wire.GZIP)
    body = packer.compress(b"a" * 10_000_000) + packer.flush()
    with Answering(always(http(500, body, "text/plain", "Content-Encoding: gzip"))) as server:
        assert fails(server.url, PeerError) == f"127.0.0.1 answered 500: {'a' * SAID_CHARACTERS}"


@pytest.mark.parametrize("body", [b"\x1b[31mred", b"\xff\xfe\x00", b""])
def test_signs_that_cannot_be_printed_are_not_repeated(body: bytes) -> None:
    with Answering(always(http(500, body))) as server:
        assert fails(server.url, PeerError) == "127.0.0.1 answered 500 Internal Server Error"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with Answering(always(GOOD)) as elsewhere:
        answer = http(status, b"", "text/html", f"Location: {elsewhere.url}/")
        with Answering(always(answer)) as server:
            said = fails(server.url, RefusedError)
    assert said == f"127.0.0.1 sends to '{elsewhere.url}/': write the right address into [push] url"
    assert not elsewhere.taken


# ---------------------------------------------------------------- answers that are none


def endless(_: Request) -> Iterator[bytes]:
    yield f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nConnection: close\r\n\r\n".encode()
    while True:
        yield bytes(65536)


def bomb(times: int) -> bytes:
    body = bytes(50_000_000)
    for _ in range(times):
        packer = zlib.compressobj(wbits=wire.GZIP)
        body = packer.compress(body) + packer.flush()
    return http(200, body, JSON, f"Content-Encoding: {', '.join(['gzip'] * times)}")


def test_an_endless_answer_is_given_up() -> None:
    with Answering(endless) as server:
        assert fails(server.url, RefusedError) == f"127.0.0.1 answered with more than {PLAIN_BYTES} bytes"


def test_a_gzip_bomb_does_not_go_off() -> None:
    with Answering(always(bomb(1))) as server:
        said = fails(server.url, RefusedError)
    assert said == f"127.0.0.1 does not answer as a mirror would: the body unpacks to more than {PLAIN_BYTES} bytes"


def test_a_gzip_bomb_in_a_gzip_bomb_does_not_go_off() -> None:
    with Answering(always(bomb(2))) as server:
        said = fails(server.url, RefusedError)
    assert said.startswith("127.0.0.1 does not answer as a mirror would: the body is not JSON")


def test_the_login_page_of_a_router_is_named() -> None:
    with Answering(always(http(200, b"<html>Log in</html>", "text/html; charset=utf-8"))) as server:
        said = fails(server.url, RefusedError)
    assert said == "127.0.0.1 answers with 'text/html', not as a mirror would: is [push] url right?"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"newest": NaN}', b'{"newest": 5}', b"[" * 100_000, b'{"pulses": "8"}']
)
def test_what_is_no_answer_of_a_mirror_is_refused(body: bytes) -> None:
    with Answering(always(http(200, body, JSON))) as server:
        said = fails(server.url, RefusedError)
    assert said.startswith("127.0.0.1 does not answer as a mirror would: ")


def test_other_rows_than_those_asked_for_are_refused() -> None:
    body = json.dumps(rows_message(Rows(10, START, array("d", [1.0])))).encode()
    with Answering(always(http(200, body, JSON))) as server, pytest.raises(RefusedError, match="other rows"):
        peer(server.url).rows("house", Unit(10, START, START + 20))


def test_what_does_not_speak_http_is_named() -> None:
    with Answering(always(b"SSH-2.0-OpenSSH_9.2\r\n")) as server:
        said = fails(server.url, PeerError)
    assert said == "127.0.0.1 cannot be reached: what answers there does not speak HTTP"


# ---------------------------------------------------------------- get.php


@pytest.mark.parametrize(("body", "taken"), [(b"0", True), (b"1", False), (b" 0\n", True)])
@pytest.mark.parametrize("path", ["", "/", "/get.php", "/old/get.php"])
def test_a_sample_goes_to_get_php_as_a_form(body: bytes, taken: bool, path: str) -> None:
    with Answering(always(http(200, body, "text/html"))) as server:
        assert peer(server.url + path, protocol=GET_PHP).sample("1700000000;304.5") is taken
    [request] = server.requests
    assert request.line == f"POST {path if path.endswith('.php') else '/get.php'} HTTP/1.1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == b"val=1700000000%3B304.5"


def test_without_a_user_no_password_is_sent() -> None:
    with Answering(always(http(200, b"0"))) as server:
        peer(server.url, protocol=GET_PHP, user="", password="").sample("1700000000;1")
    assert "authorization" not in server.requests[0].headers


def test_another_answer_than_a_figure_is_quoted() -> None:
    answer = always(http(200, b"<b>Fatal error</b>: \xff", "text/html"))
    with Answering(answer) as server, pytest.raises(RefusedError) as failure:
        peer(server.url, protocol=GET_PHP).sample("1700000000;1")
    assert str(failure.value) == r"127.0.0.1 answered '<b>Fatal error</b>: \xff': wanted 0 or 1, as get.php says"
