"""`powerpi check`: what is right and what is wrong with a configuration on this machine, a line for each thing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from powerpi import pin
from powerpi.clock import SystemClock
from powerpi.config import MeterSettings, PushSettings, Settings
from powerpi.errors import MissingError, PeerError, PinError, ServerError
from powerpi.folder import is_locked
from powerpi.keys import GET_PHP
from powerpi.sending import open_peer
from powerpi.server import listening_socket

RRD_BYTES = 31_000_000  # of one meter, with 20 years of quarter hours


class Finding(NamedTuple):
    """One line: what was looked at, whether it is right (None: it works, but look), and what was found or to do."""

    what: str
    right: bool | None
    said: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at everything that the configuration needs; nothing is changed but the pins, which are listened to."""
    yield check_state(settings.state, settings.names)
    yield check_clock(settings)
    yield check_port(settings)
    yield check_program()
    if settings.push:
        yield check_mirror(settings, settings.push)
    if settings.meters:
        yield from check_pins(settings)


def check_secrets(path: Path, settings: Settings) -> Finding | None:
    """Whether passwords in the configuration can be read by those alone who need them; None: there are none."""
    if not ((settings.push and settings.push.password) or settings.senders or settings.viewers):
        return None
    mode = path.stat().st_mode & 0o777
    if mode & 0o007:
        said = f"{path} holds passwords, and everybody can read it ({mode:03o}): chmod o= {path}"
        return Finding("secrets", False, f"{said}, and let its group be that of the user who runs PowerPi")
    return Finding("secrets", True, f"{path} can be read by its owner and group alone")


def check_mirror(settings: Settings, push: PushSettings) -> Finding:
    """Whether the mirror can be reached and takes this machine's meters, and what it holds of them."""
    try:
        peer = open_peer(push)
    except MissingError as error:
        return Finding("mirror", False, str(error))
    if push.protocol == GET_PHP:
        return Finding("mirror", None, f"{peer.name} is a get.php, which can only be asked by sending")
    try:
        held = {name: peer.standing(name).newest for name in push.meters}
    except PeerError as error:
        return Finding("mirror", False, str(error))
    finally:
        peer.close()
    zone = settings.timezone
    newest = (f"{name} up to {datetime.fromtimestamp(time, zone):%F %T}" for name, time in held.items() if time)
    return Finding("mirror", True, f"{peer.name} answers, it holds {', '.join(newest) or 'nothing yet'}")


def check_state(state: Path, meters: Sequence[str]) -> Finding:
    """Whether the state folder, or the one it will be made in, can be written, and has room for RRDs yet to make."""
    folder = state
    while not os.access(folder, os.F_OK) and folder != folder.parent:  # Path.exists raises where it may not look
        folder = folder.parent
    if not folder.is_dir():
        return Finding("state", False, f"{folder} is not a folder; name another one in [powerpi] state")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("state", False, f"{folder} cannot be written by this user; run as the service's user or root")
    free = shutil.disk_usage(folder).free
    needed = RRD_BYTES * sum(not (state / f"{meter}.rrd").exists() for meter in meters)
    if free < needed:
        said = f"{folder} has {free // 1_000_000} MB free; the RRDs still to be made need {needed // 1_000_000} MB"
        return Finding("state", False, said)
    made = "" if folder == state else " (will be made)"
    return Finding("state", True, f"{state}{made}, {free // 1_000_000} MB free")


def check_clock(settings: Settings) -> Finding:
    """Whether the clock can be trusted."""
    zone = settings.timezone.key
    if not settings.network_time:
        return Finding("clock", True, f"taken as it is (network_time = no), time zone {zone}")
    if SystemClock(network_time=True).trusted():
        return Finding("clock", True, f"synchronised, time zone {zone}")
    wait = settings.clock_wait_seconds
    said = f"not synchronised; rows wait up to {wait} s for it. See `timedatectl`, or set network_time = no"
    return Finding("clock", None, f"{said}; time zone {zone}")


def check_port(settings: Settings) -> Finding:
    """Whether the page can be served, or is already."""
    host, port = settings.listen
    try:
        listening_socket(host, port).close()
    except ServerError as error:
        if is_locked(settings.state):
            return Finding("port", True, f"{host} port {port} is in use, and PowerPi is running")
        return Finding("port", False, str(error))
    return Finding("port", True, f"{host} port {port} is free")


def check_program() -> Finding:
    """Whether the program that draws is there."""
    found = shutil.which("rrdtool")
    return Finding("rrdtool", bool(found), found or "the program is missing: apt-get install rrdtool")


def check_pins(settings: Settings, open_factory: Callable[[], object] = pin.open_factory) -> Iterator[Finding]:
    """Whether each pin can be read, and what is seen on it now."""
    try:
        factory = open_factory()
    except PinError as error:
        yield Finding("gpio", False, str(error))
        return
    for meter in settings.meters:
        yield check_pin(factory, meter)


def check_pin(factory: object, meter: MeterSettings) -> Finding:
    """One meter's pin."""
    what = f"meter {meter.name}"
    try:
        contact = pin.Pin(factory, meter.gpio, meter.pull)
    except PinError as error:
        return Finding(what, False, f"{error}; does another program, or a running PowerPi, use it?")
    closed = contact.closed()
    contact.close()
    seen = "closed now: fine during a pulse, else look at the wiring or at `pull`" if closed else "open"
    return Finding(what, None if closed else True, f"GPIO{meter.gpio}, {meter.imp_per_kwh:g} imp/kWh, contact {seen}")
