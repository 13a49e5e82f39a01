"""Whether the page is served, and under which addresses to open it: what somebody who has just installed it wants."""

from __future__ import annotations

import fcntl
import http.client
import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 0.5
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared, not bound): every address, and its own one
ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: for documentation; nothing is sent there
SIOCGIFADDR = 0x8915  # netdevice(7): the IPv4 address of an interface
MDNS = Path("/run/avahi-daemon/socket")  # where names in .local are answered for


def answers(listen: tuple[str, int]) -> bool:
    """Whether a web server answers there, whatever it says."""
    host, port = listen
    connection = http.client.HTTPConnection(ANYWHERE.get(host, host), port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def wait(
    listen: tuple[str, int],
    seconds: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the page answers; False when it did not within that time."""
    deadline = now() + seconds
    while not answers(listen):
        if now() >= deadline:
            return False
        sleep(PAUSE_SECONDS)
    return True


def addresses(listen: tuple[str, int], name: str | None = None, mdns: Path = MDNS) -> list[str]:
    """What to type into a browser on this network: by the machine's name where that is answered for, by its address."""
    host, port = listen
    if host not in ANYWHERE:
        return [_page(host, port)]
    name = name or socket.gethostname()
    named = [_page(name if "." in name else f"{name}.local", port)] if mdns.exists() else []
    return [*named, *(_page(own, port) for own in own_addresses() or [ANYWHERE[host]])]


def own_addresses() -> list[str]:
    """The IPv4 address by which this machine speaks to others; without a way out, all that it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        try:
            datagrams.connect(ELSEWHERE)  # of a datagram socket: looks up the way, and sends nothing
            return [str(datagrams.getsockname()[0])]
        except OSError:
            found = [_address(datagrams, name) for _, name in socket.if_nameindex()]
    return [str(address) for address in found if address and not address.is_loopback]


def _address(datagrams: socket.socket, interface: str) -> ipaddress.IPv4Address | None:
    """The first IPv4 address of an interface; None: it has none."""
    try:
        answer = fcntl.ioctl(datagrams, SIOCGIFADDR, struct.pack("16s16x8x", interface.encode()))
    except OSError:
        return None
    return ipaddress.IPv4Address(answer[20:24])  # struct ifreq: name, family, port, address


def _page(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
