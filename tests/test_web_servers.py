"""A mirror behind nginx, Apache and Caddy: Debian's own programs, started with the files in init/.

Those files are what is tested: only ports and the places of files are replaced in them, and for viewers' logins the
lines that are ready to be used get used. `sh tests/servers` fetches the programs; nothing is installed.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import START, HandClock
from pair import HASH, PASSWORD, SENDER, Mirroring, Pi, known_rows

from powerpi.errors import LoginError, PeerError, RefusedError
from powerpi.passwords import hashed
from powerpi.pulses import STEP_SECONDS
from powerpi.sync import Verdict
from powerpi.wire import API, PACKED_BYTES

trustme = pytest.importorskip("trustme")

TOP = Path(__file__).parent.parent
SERVERS = TOP / ".venv" / "servers"  # filled by tests/servers
NAME = "power.example.org"
VIEWER, VIEWERS_PASSWORD = "anna", "seh en: ü"
DAY_ROWS = 86400 // STEP_SECONDS
START_SECONDS = 10.0
AS_ROOT = os.geteuid() == 0
KINDS = ("nginx", "apache", "caddy")

NGINX = """\
daemon off;
{user}
pid {folder}/pid;
error_log {folder}/log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site;
}}
"""
APACHE = """\
ServerRoot {folder}
ServerName {name}
PidFile {folder}/pid
ErrorLog {folder}/log
DefaultRuntimeDir {folder}
{user}
{modules}
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
Include {folder}/site
"""
# what Debian's apache2 loads by itself, as far as it matters here, and what the file says to switch on
APACHE_MODULES = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "setenvif"),
    *("ssl", "proxy", "proxy_http", "headers", "reqtimeout", "alias"),
)


class Front(NamedTuple):
    """A web server that runs, and where it expects PowerPi."""

    kind: str
    http: int
    https: int
    powerpi: int
    folder: Path  # its files: certificates, log


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


# ---------------------------------------------------------------- the servers


def free_ports(count: int) -> list[int]:
    """Ports that were free just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def library_path() -> str:
    return ":".join(str(path) for path in SERVERS.glob("**/lib/*-linux-gnu*"))


def ready_lines_used(text: str) -> str:
    """Without the # of lines that have no space after it."""
    return re.sub(r"^(\s*)#(?=[^\s#])", r"\1", text, flags=re.MULTILINE)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """With other ports and places; every text to be replaced is there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def site(front: Front, with_login: bool) -> str:
    """The file in init/, for unprivileged ports and with a certificate of the test's CA."""
    source = TOP / "init" / ("mirror-Caddyfile" if front.kind == "caddy" else f"mirror-{front.kind}.conf")
    text = source.read_text(encoding="utf-8")
    text = ready_lines_used(text) if with_login else text
    certificates = f"/etc/letsencrypt/live/{NAME}"
    changes = {
        "nginx": {
            "listen 80;": f"listen 127.0.0.1:{front.http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{front.https} ssl;",
            "listen [::]:80;": "",
            "listen [::]:443 ssl;": "",
            certificates: str(front.folder),
            "/etc/nginx/powerpi.htpasswd": f"{front.folder}/htpasswd",
        },
        "apache": {
            "*:80>": f"127.0.0.1:{front.http}>",
            "*:443>": f"127.0.0.1:{front.https}>",
            certificates: str(front.folder),
            "/etc/apache2/powerpi.htpasswd": f"{front.folder}/htpasswd",
        },
        "caddy": {
            "\tservers {": f"\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port {front.http}\n"
            f"\thttps_port {front.https}\n\tservers {{",
            f"/etc/caddy/{NAME}.pem": f"{front.folder}/fullchain.pem",
            f"/etc/caddy/{NAME}.key": f"{front.folder}/privkey.pem",
            "#tls": "tls",
            "$2a$14$what.caddy.hash-password.prints": htpasswd_hash(front),
        },
    }[front.kind]
    if with_login:
        changes.pop("#tls", None)
    return replaced(text, {**changes, "127.0.0.1:8080": f"127.0.0.1:{front.powerpi}"})


def htpasswd_hash(front: Front) -> str:
    return (front.folder / "htpasswd").read_text(encoding="utf-8").strip().partition(":")[2]


def write_htpasswd(path: Path) -> None:
    """As the files say, but for the password, which comes from stdin."""
    command = [SERVERS / "usr/bin/htpasswd", "-c", "-B", "-i", path, VIEWER]
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path()}
    subprocess.run(command, input=VIEWERS_PASSWORD.encode(), env=environment, check=True, capture_output=True)


def command(front: Front) -> list[str]:
    """Writes the main configuration, which belongs to the system and not to PowerPi; how to start in the foreground."""
    user = {"nginx": "user www-data;", "apache": "User www-data\nGroup www-data"}.get(front.kind, "")
    modules = "\n".join(
        f"LoadModule {name}_module {SERVERS}/usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES
    )
    main = {"nginx": NGINX, "apache": APACHE}.get(front.kind, "")
    text = main.format(**front._asdict(), name=NAME, user=user if AS_ROOT else "", modules=modules)
    (front.folder / "main").write_text(text, encoding="utf-8")
    folder = str(front.folder)
    return {
        "nginx": [f"{SERVERS}/usr/sbin/nginx", "-e", f"{folder}/log", "-p", folder, "-c", f"{folder}/main"],
        "apache": [f"{SERVERS}/usr/sbin/apache2", "-DFOREGROUND", "-f", f"{folder}/main"],
        "caddy": [f"{SERVERS}/usr/bin/caddy", "run", "--config", f"{folder}/site", "--adapter", "caddyfile"],
    }[front.kind]


def wait_until_it_listens(process: subprocess.Popen[bytes], front: Front) -> None:
    end = time.monotonic() + START_SECONDS
    for port in (front.http, front.https):
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            log = (front.folder / "log").read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, log
            assert time.monotonic() < end, log
            time.sleep(0.01)


@contextmanager
def started(kind: str, authority: Any, with_login: bool = False) -> Iterator[Front]:
    """A web server in the foreground, in a folder that its unprivileged workers can read."""
    if not (SERVERS / ".ready").exists():
        why = SERVERS / "why"
        pytest.skip(why.read_text(encoding="utf-8").strip() if why.exists() else "`sh tests/servers` was not run")
    folder = Path(tempfile.mkdtemp(prefix="powerpi-"))
    try:
        folder.chmod(0o755)
        front = Front(kind, *free_ports(3), folder)
        certificate = authority.issue_cert(NAME)
        certificate.private_key_pem.write_to_path(folder / "privkey.pem")
        (folder / "fullchain.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        write_htpasswd(folder / "htpasswd")
        (folder / "site").write_text(site(front, with_login), encoding="utf-8")
        with running(front):
            yield front
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(front: Front) -> Iterator[None]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(front.folder), "LD_LIBRARY_PATH": library_path()}
    with (front.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command(front), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=front.folder
        )
    try:
        wait_until_it_listens(process, front)
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


# ---------------------------------------------------------------- who asks


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="module", params=KINDS)
def front(request: pytest.FixtureRequest, authority: Any) -> Iterator[Front]:
    """As shipped: everybody may look."""
    with started(request.param, authority) as one:
        yield one


@pytest.fixture(scope="module", params=KINDS)
def asking(request: pytest.FixtureRequest, authority: Any) -> Iterator[Front]:
    """With the lines for viewers' logins in use."""
    with started(request.param, authority, with_login=True) as one:
        yield one


@pytest.fixture(autouse=True)
def name_leads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == NAME else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)


@pytest.fixture
def make_mirror(tmp_path: Path, clock: HandClock) -> Callable[..., Mirroring]:
    clock.ahead += 400 * 86400

    def make(extra: str = "") -> Mirroring:
        mirroring = Mirroring(tmp_path / "mirror", clock, extra)
        mirroring.settings = dataclasses.replace(mirroring.settings, host_names=(NAME,))
        return mirroring

    return make


@pytest.fixture
def ca_file(tmp_path: Path, authority: Any) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def make_pi(tmp_path: Path, ca_file: Path) -> Callable[..., Pi]:
    def make(front: Front, **changes: object) -> Pi:
        pi = Pi(tmp_path / "pi", "")
        pi.connect(f"https://{NAME}:{front.https}", ca_file=ca_file, **changes)
        return pi

    return make


@pytest.fixture
def ask(ca_file: Path) -> Callable[..., Answer]:
    """A browser, by hand: no redirect is followed."""

    def answer(
        front: Front, path: str, method: str = "GET", body: bytes | None = None, tls: bool = True, **headers: str
    ) -> Answer:
        if tls:
            context = ssl.create_default_context(cafile=str(ca_file))
            connection: Any = http.client.HTTPSConnection(NAME, front.https, context=context, timeout=10)
        else:
            connection = http.client.HTTPConnection(NAME, front.http, timeout=10)
        try:
            connection.request(method, path, body, {"Host": NAME, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    return answer


def login(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


ANNA = login(VIEWER, VIEWERS_PASSWORD)
PI = login(SENDER, PASSWORD)
WRONG = {"password": "falsch"}
FACTS = ("house", "Haus", 1000.0, 12.5)  # what the mirror knows of a meter as soon as its Pi has come through


# ---------------------------------------------------------------- a Pi


def test_a_day_of_rows_passes_as_one_body_and_both_ends_agree(
    front: Front, make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring]
) -> None:
    pi = make_pi(front)
    pi.write(DAY_ROWS, watts=20000, seed=1)
    with make_mirror().serving(front.powerpi) as mirroring:
        assert [progress.behind_rows for progress in pi.push()] == [0]
        first, newest = START - STEP_SECONDS, START - STEP_SECONDS + 86400
        sent = known_rows(pi.ledger, first, newest)
        assert len(sent) == DAY_ROWS - 1  # the first one is where counting begins
        assert known_rows(mirroring.meter().ledger, first, newest) == sent
        assert pi.twin.verify(fresh=False) == Verdict(newest, 0, 0, 0, 0)


def test_wrong_password_reaches_the_pi_as_a_login_that_fails(
    front: Front, make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring]
) -> None:
    pi = make_pi(front, **WRONG)
    with make_mirror().serving(front.powerpi) as mirroring:
        with pytest.raises(LoginError, match=f"{NAME} does not take this user and password"):
            pi.push()
        assert mirroring.meter().facts is None


def test_pi_waits_while_powerpi_is_down_and_goes_on_at_once_when_it_is_back(
    front: Front, make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring]
) -> None:
    pi = make_pi(front)
    with pytest.raises(PeerError, match=f"{NAME} answered 50[23]") as caught:
        pi.push()
    assert caught.type is PeerError  # not one that is tried rarely
    with make_mirror().serving(front.powerpi) as mirroring:
        pi.push()
        assert mirroring.meter().facts == FACTS


def test_bodies_are_bounded_where_powerpi_bounds_them(
    front: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    with make_mirror().serving(front.powerpi):
        assert ask(front, f"{API}house", "POST", bytes(PACKED_BYTES + 1), **PI).status == 413
        assert ask(front, f"{API}house", "POST", bytes(2 * 2**20), **PI).status == 413
        assert ask(front, f"{API}house", "POST", bytes(PACKED_BYTES), **PI).status == 400  # read, and no message


def test_old_pi_may_stay_as_it_is(
    front: Front, make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring], clock: HandClock
) -> None:
    pi = make_pi(front, user="old")
    old = f"[mirror old]\npassword_hash = {HASH}\nprotocol = get.php\nmeters = shed\n"
    with make_mirror(old).serving(front.powerpi):
        assert pi.peer.sample(f"{int(clock.wall())};230") is True
        with pytest.raises(LoginError):
            make_pi(front, user="old", **WRONG).peer.sample(f"{int(clock.wall())};230")
    pi.peer.close()


# ---------------------------------------------------------------- browsers


def test_pages_come_through_with_the_headers_of_powerpi(
    front: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    with make_mirror().serving(front.powerpi):
        page = ask(front, "/?lang=de")
        script = ask(front, re.findall(rb"/static/[\w.?=-]+js[\w.?=-]+", page.body)[0].decode())
    assert page.status == script.status == 200
    assert b"PowerPi" in page.body
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Strict-Transport-Security", "Cache-Control"):
        assert len(page.headers.get_all(name, [])) == 1, name


def test_powerpi_hears_which_host_was_asked_for(
    front: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    mirroring = make_mirror()
    mirroring.settings = dataclasses.replace(mirroring.settings, host_names=())
    with mirroring.serving(front.powerpi):
        refused = ask(front, "/")
    assert refused.status == 421
    assert NAME in refused.body.decode()


def test_powerpis_own_login_for_viewers_comes_through(
    front: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    with make_mirror(f"[viewer anna]\npassword_hash = {HASH}\n").serving(front.powerpi):
        wanted = ask(front, "/")
        assert (wanted.status, wanted.headers["WWW-Authenticate"]) == (401, 'Basic realm="PowerPi", charset="UTF-8"')
        assert ask(front, "/", **login("anna", PASSWORD)).status == 200


# ---------------------------------------------------------------- browsers that log in at the web server


def test_viewers_log_in_and_the_pi_needs_no_login_of_theirs(
    asking: Front, ask: Callable[..., Answer], make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring]
) -> None:
    pi = make_pi(asking)
    with make_mirror().serving(asking.powerpi) as mirroring:
        pi.push()
        assert mirroring.meter().facts == FACTS
        for path in ("/", "/house/day", "/house/day.png", "/health", "/api/v1/meters", "/static/style.css", "/nothing"):
            assert ask(asking, path).status == 401, path
        assert ask(asking, "/", **login(VIEWER, "falsch")).status == 401
        assert ask(asking, "/", **PI).status == 401
        assert ask(asking, "/", **ANNA).status == 200
        assert ask(asking, "/api/v1/meters", **ANNA).status == 200


def test_a_viewer_cannot_send(asking: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]) -> None:
    with make_mirror().serving(asking.powerpi):
        assert ask(asking, f"{API}house", **ANNA).status == 401
        assert ask(asking, f"{API}house", **PI).status == 200


AROUND = (
    f"{API}../meters", f"{API}%2e%2e/meters", f"{API}..%2fmeters", f"/{API}../meters", f"{API}../../../",
    f"{API}x/../../../../house/day.png", f"{API}..;/meters", "/get.php/../", "/get.php/..%2f", "/get.php/%2e%2e/health",
    "/Get.php/../health", "/API/V1/MIRROR/../meters", f"{API}?/../../meters", f"/health?{API}", f"/health#{API}",
    f"/health/..{API}", f"/health;{API}", f"/%68ealth?{API}", "//health", "/./health", "/x/../health",
    "/get.php?/../health", f"/house/day.png/../../..{API}", f"/static/..{API}",
)  # fmt: skip


def test_no_address_leads_around_the_login(
    asking: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    with make_mirror().serving(asking.powerpi):
        answered = {path: ask(asking, path).status for path in AROUND}
    assert {path: status for path, status in answered.items() if not 300 <= status < 500} == {}


def test_viewers_password_stays_at_the_web_server(
    asking: Front, ask: Callable[..., Answer], make_mirror: Callable[..., Mirroring]
) -> None:
    viewer = f"[viewer {VIEWER}]\npassword_hash = {hashed(VIEWERS_PASSWORD, 10)}\n"
    with make_mirror(viewer).serving(asking.powerpi):  # one login too many: PowerPi hears of none
        refused = ask(asking, "/", **ANNA)
    assert refused.status == 401
    assert b"PowerPi" in refused.headers["WWW-Authenticate"].encode()


# ---------------------------------------------------------------- without TLS


def test_http_sends_browsers_to_https_and_asks_for_no_password(front: Front, ask: Callable[..., Answer]) -> None:
    answer = ask(front, "/house/day?lang=de&end=1700000000", tls=False)
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/house/day?lang=de&end=1700000000"
    assert "WWW-Authenticate" not in answer.headers


def test_http_never_asks_for_a_password(asking: Front, ask: Callable[..., Answer]) -> None:
    for path in ("/", f"{API}house", "/get.php"):
        assert "WWW-Authenticate" not in ask(asking, path, tls=False).headers


def test_pi_that_speaks_http_is_refused_and_not_sent_on(
    front: Front, make_pi: Callable[..., Pi], make_mirror: Callable[..., Mirroring]
) -> None:
    pi = make_pi(front)
    pi.connect(f"http://{NAME}:{front.http}", allow_http=True)
    with make_mirror().serving(front.powerpi) as mirroring:
        for send in (pi.push, lambda: pi.peer.sample("1700000000;230")):
            with pytest.raises(RefusedError, match=f"{NAME} answered 400: Send to https://") as caught:
                send()
            assert caught.type is RefusedError
        assert mirroring.meter().facts is None
    pi.peer.close()


def test_tls_is_modern(front: Front, ca_file: Path) -> None:
    def handshake(version: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=str(ca_file))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that it is the server that refuses
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", front.https), 10) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            return secure.version()

    assert handshake(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert handshake(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.warns(DeprecationWarning), pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        handshake(ssl.TLSVersion.TLSv1_1)


# ---------------------------------------------------------------- too many requests


def test_a_flood_of_one_address_is_stemmed_and_the_pi_is_served_all_the_same(
    authority: Any,
    ask: Callable[..., Answer],
    make_pi: Callable[..., Pi],
    make_mirror: Callable[..., Mirroring],
    ca_file: Path,
) -> None:
    with started("nginx", authority) as front, make_mirror().serving(front.powerpi) as mirroring:
        context = ssl.create_default_context(cafile=str(ca_file))
        connection = http.client.HTTPSConnection(NAME, front.https, context=context, timeout=10)
        statuses = []
        for _ in range(200):
            connection.request("GET", "/robots.txt", headers={"Host": NAME})
            with connection.getresponse() as response:
                response.read()
                statuses.append(response.status)
        connection.close()
        assert statuses[:100] == [200] * 100
        assert 429 in statuses
        make_pi(front).push()
        assert mirroring.meter().facts == FACTS
