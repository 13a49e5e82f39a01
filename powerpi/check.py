"""`powerpi check`: what is right and what is wrong with a configuration on this machine, a line for each thing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from powerpi import door
from powerpi.check_copies import check_backups, check_mirror, check_push
from powerpi.check_machine import (
    Health,
    check_chip,
    check_clock,
    check_port,
    check_program,
    check_running,
    check_secrets,
    check_state,
    check_user,
    check_version,
    is_closed,
)
from powerpi.check_meters import check_contacts, check_files
from powerpi.clock import Clock, SystemClock
from powerpi.config import Settings, load
from powerpi.errors import NobodyError, RefusedError
from powerpi.finding import Finding
from powerpi.user import become_owner


def run(path: Path, seconds: float) -> int:
    """Look at everything and print a line for each; the exit code says whether anything is bad. Raises ConfigError."""
    settings = load(path)
    bad = False
    for finding in whole(path, settings, seconds):
        print(finding.line, flush=True)
        bad = bad or finding.right is False
    return 1 if bad else 0


def whole(path: Path, settings: Settings, seconds: float) -> Iterator[Finding]:
    """All findings, with those of the file itself; from then on the process is that of the state folder's owner."""
    yield check_version()
    meters = f"{len(settings.names)} meter{'' if len(settings.names) == 1 else 's'}"
    yield Finding("configuration", True, f"{path}, {meters}")
    secrets = check_secrets(path, settings)
    if secrets:
        yield secrets
    become_owner(settings.state)
    yield from findings(settings, seconds)


def health_of(state: Path) -> Health | str:
    """What the PowerPi that runs says of itself, or why it says nothing."""
    try:
        return door.ask(state, "health")  # type: ignore[no-any-return]
    except (NobodyError, RefusedError) as error:
        return str(error)


def findings(
    settings: Settings, seconds: float, clock: Clock | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Finding]:
    """Look at everything that the configuration needs; nothing is changed but the pins, which are listened to.

    Pulses are those of the last `seconds` where PowerPi runs, else of the next ones; 0: nobody waits for any.
    """
    clock = clock or SystemClock(settings.network_time)
    said = health_of(settings.state)
    health = None if isinstance(said, str) else said
    now = clock.monotonic() + clock.offset()
    yield check_running(settings.state, said)
    if settings.meters:
        chip, device = check_chip(running=health is not None)
        yield check_user(settings.state, device)
        yield chip
    yield check_state(settings.state, settings.names)
    yield check_clock(settings, health)
    yield check_port(settings)
    yield check_program()
    if settings.push:
        yield check_push(health["push"]) if health and "push" in health else check_mirror(settings, settings.push)
    if not is_closed(settings.state):
        yield check_backups(settings, now)
    if settings.meters:
        contacts = check_contacts(settings, seconds, clock, sleep)
        yield from (found for found in contacts if found.said != chip.said)  # which is told already
    for name in [] if is_closed(settings.state) else settings.names:
        yield from check_files(settings, name, health is not None, now)
