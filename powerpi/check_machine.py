"""`powerpi check`, the machine: user and groups, GPIO chip, state folder, clock, the page, the program that draws."""

from __future__ import annotations

import grp
import http.client
import json
import os
import platform
import pwd
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from powerpi import __version__, pin
from powerpi.arrival import ANYWHERE
from powerpi.clock import SystemClock
from powerpi.config import Settings
from powerpi.errors import PinError, ServerError
from powerpi.finding import Finding
from powerpi.folder import is_locked
from powerpi.lines import chip_label
from powerpi.notify import service_command
from powerpi.server import listening_socket

RRD_BYTES = 31_000_000  # of one meter, with 20 years of quarter hours
SERVICE_USER = "powerpi"  # of the unit
ANSWER_SECONDS = 10.0
OK, UNAVAILABLE = 200, 503  # HTTP; /health says what it means by the second

Health = Mapping[str, Any]  # what the PowerPi that runs says of itself


class Account(NamedTuple):
    """A user of this machine, with the numbers of all its groups."""

    name: str
    number: int
    groups: frozenset[int]


def account(number: int) -> Account:
    """The user of that number; one without a name has its number for one, and no groups that are known."""
    try:
        entry = pwd.getpwuid(number)
    except KeyError:
        return Account(str(number), number, frozenset())
    return Account(entry.pw_name, number, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def service_account(state: Path) -> Account:
    """Who PowerPi runs as: the owner of the state folder, else the unit's user, else who asks."""
    try:
        return account(state.stat().st_uid)
    except OSError:
        found = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == SERVICE_USER]
        return account(found[0] if found else os.geteuid())


def may_use(device: os.stat_result, who: Account) -> bool:
    """Whether a user may read and write a device, by the bits of its mode."""
    both = stat.S_IROTH | stat.S_IWOTH
    shift = 6 if device.st_uid == who.number else 3 if device.st_gid in who.groups else 0
    return who.number == 0 or device.st_mode >> shift & both == both


def check_version() -> Finding:
    """What this is and runs on."""
    return Finding("version", True, f"PowerPi {__version__}, Python {platform.python_version()}, {system_name()}")


def system_name() -> str:
    """The distribution and its version."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def is_closed(state: Path) -> bool:
    """Whether this user may not look into the state folder."""
    try:
        return state.is_dir() and not os.access(state, os.R_OK | os.X_OK)
    except PermissionError:  # a folder on the way is closed
        return True


def check_running(state: Path, health: Health | str) -> Finding:
    """Whether PowerPi runs, by what it says at the door, or why it says nothing."""
    if isinstance(health, str):
        if is_closed(state):
            return Finding("powerpi", None, f"{state} may not be looked into by this user; try it with sudo")
        if is_locked(state):
            return Finding("powerpi", None, f"runs, but cannot be asked: {health}")
        return Finding("powerpi", None, f"does not run; start it with: {service_command('start')}")
    version, faults, warnings = health["version"], health["faults"], health["warnings"]
    said = "; ".join([f"runs, version {version}", *faults, *warnings])
    if faults:
        return Finding("powerpi", False, said)
    if version != __version__:
        return Finding("powerpi", None, f"{said}; this command is {__version__}: {service_command('restart')}")
    return Finding("powerpi", None if warnings else True, said)


def check_user(state: Path, device: Path | None) -> Finding:
    """Whether PowerPi's user may use the GPIO chip; None: there is none to be used."""
    who = service_account(state)
    me = "" if who.number == os.geteuid() else f" (this command: {account(os.geteuid()).name})"
    if device is None:
        return Finding("user", True, f"PowerPi runs as {who.name}{me}")
    facts = device.stat()
    group = _group_name(facts.st_gid)
    if may_use(facts, who):
        member = f", in group {group}" if facts.st_gid in who.groups else ""
        return Finding("user", True, f"PowerPi runs as {who.name}{member}, and may use {device}{me}")
    join = f"sudo usermod --append --groups {group} {who.name}, and restart PowerPi"
    said = f"PowerPi runs as {who.name}, who may not use {device} (group {group}, {facts.st_mode & 0o777:03o}): {join}"
    return Finding("user", False, said + me)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def check_chip(running: bool = False) -> tuple[Finding, Path | None]:
    """Whether the GPIO chip of the header is there, and where; a PowerPi that runs has its pins, wherever they are."""
    name = os.environ.get("GPIOZERO_PIN_FACTORY", pin.KERNEL)
    if name != pin.KERNEL:
        return Finding("gpio", None, f"GPIOZERO_PIN_FACTORY is {name!r}: not the pins of this machine's header"), None
    try:
        device = pin.header_chip()
        return Finding("gpio", True, f"{device}, {chip_label(device)}"), device
    except (PinError, OSError) as error:
        if running:
            return Finding("gpio", True, "no chip of a Pi is seen here, but the PowerPi that runs has its pins"), None
        return Finding("gpio", False, str(error)), None


def check_secrets(path: Path, settings: Settings) -> Finding | None:
    """Whether passwords in the configuration can be read by those alone who need them; None: there are none."""
    if not ((settings.push and settings.push.password) or settings.senders or settings.viewers):
        return None
    mode = path.stat().st_mode & 0o777
    if mode & 0o007:
        said = f"{path} holds passwords, and everybody can read it ({mode:03o}): chmod o= {path}"
        return Finding("secrets", False, f"{said}, and let its group be that of the user who runs PowerPi")
    return Finding("secrets", True, f"{path} can be read by its owner and group alone")


def check_state(state: Path, meters: Sequence[str]) -> Finding:
    """Whether the state folder, or the one it will be made in, can be written, and has room for RRDs yet to make."""
    folder = state
    while not os.access(folder, os.F_OK) and folder != folder.parent:  # Path.exists raises where it may not look
        folder = folder.parent
    if not folder.is_dir():
        return Finding("state", False, f"{folder} is not a folder; name another one in [powerpi] state")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("state", False, f"{folder} cannot be written by this user{_why_not(folder)}")
    free = shutil.disk_usage(folder).free
    needed = RRD_BYTES * sum(not (state / f"{meter}.rrd").exists() for meter in meters)
    if free < needed:
        said = f"{folder} has {free // 1_000_000} MB free; the RRDs still to be made need {needed // 1_000_000} MB"
        return Finding("state", False, said)
    made = "" if folder == state else " (will be made)"
    return Finding("state", True, f"{state}{made}, {free // 1_000_000} MB free, enough for good: the RRDs do not grow")


def _why_not(folder: Path) -> str:
    """Why a folder cannot be written, and what to do."""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return (
            ": its file system is read-only. See `dmesg` for errors of the card, or name another one in [powerpi] state"
        )
    return "; run as the service's user or root"


def check_clock(settings: Settings, health: Health | None = None) -> Finding:
    """Whether the clock can be trusted, and what the PowerPi that runs makes of it."""
    zone = settings.timezone.key
    waiting = "; PowerPi holds its rows back until then" if health and health["clock"]["waiting"] else ""
    if not settings.network_time:
        return Finding("clock", True, f"taken as it is (network_time = no), time zone {zone}")
    if SystemClock(network_time=True).trusted():
        return Finding("clock", True, f"synchronised, time zone {zone}")
    if health and health["clock"]["trusted"]:
        return Finding("clock", True, f"the PowerPi that runs trusts it, time zone {zone}")
    wait = settings.clock_wait_seconds
    said = f"not synchronised; rows wait up to {wait} s for it{waiting}. See `timedatectl`, or set network_time = no"
    return Finding("clock", None, f"{said}; time zone {zone}")


def check_port(settings: Settings) -> Finding:
    """Whether the page answers where PowerPi runs, and else whether it can be served."""
    host, port = settings.listen
    if is_locked(settings.state):
        return check_page(host, port)
    try:
        listening_socket(host, port).close()
    except ServerError as error:
        page = check_page(host, port) if is_closed(settings.state) else None
        return page if page and page.right is not False else Finding("port", False, str(error))
    return Finding("port", True, f"{host} port {port} is free")


def check_page(host: str, port: int) -> Finding:
    """Whether the page answers, and what it says of itself."""
    connection = http.client.HTTPConnection(ANYWHERE.get(host, host), port, timeout=ANSWER_SECONDS)
    where = f"{host} port {port}"
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Finding("page", False, f"PowerPi runs, but its page does not answer at {where}: {error}")
    finally:
        connection.close()
    return Finding("page", *_health_said(answer.status, body, where))


def _health_said(status: int, body: bytes, where: str) -> tuple[bool | None, str]:
    if status == http.client.UNAUTHORIZED:
        return True, f"answers at {where}, to viewers alone"
    try:
        said = json.loads(body)["status"] if status in (OK, UNAVAILABLE) else None
    except (ValueError, LookupError, TypeError):
        said = None
    if said is None:
        return False, f"something else than PowerPi answers at {where} (HTTP {status}); name another port in listen"
    return {"ok": True, "fault": False}.get(said), f"answers at {where}, its health: {said}"


def check_program() -> Finding:
    """Whether the program that draws is there."""
    found = shutil.which("rrdtool")
    return Finding("rrdtool", bool(found), found or "the program is missing: apt-get install rrdtool")
