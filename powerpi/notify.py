"""What the service manager hears: READY, WATCHDOG, STOPPING; silent where no service manager listens.

The protocol of sd_notify(3): a datagram to the socket named in $NOTIFY_SOCKET. And how a person tells it what to do.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

SYSTEMD = Path("/run/systemd/system")  # there while systemd runs, sd_booted(3)


def service_command(verb: str, systemd: Path = SYSTEMD) -> str:
    """The command that starts, stops or restarts PowerPi on this machine."""
    return f"sudo systemctl {verb} powerpi" if systemd.is_dir() else f"sudo /etc/init.d/powerpi {verb}"


def notifier(environment: Mapping[str, str] = os.environ) -> Callable[[str], None]:
    """A function that sends a state such as `READY=1`; a service manager that is gone is no reason to stop counting."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return lambda _: None
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def notify(state: str) -> None:
        try:
            datagrams.sendto(state.encode(), address)
        except OSError:
            return

    return notify
