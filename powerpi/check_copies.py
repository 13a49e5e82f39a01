"""`powerpi check`, the copies elsewhere: the mirror and the backups."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from powerpi import backups, identity
from powerpi.config import PushSettings, Settings
from powerpi.errors import MissingError, PeerError, StoreError
from powerpi.finding import Finding
from powerpi.keys import GET_PHP
from powerpi.periods import span_text
from powerpi.push_status import AT_ONCE
from powerpi.sending import open_peer

STALE_SECONDS = 8 * 86400  # one is made every week, where that is switched on


def check_push(push: Mapping[str, Any]) -> Finding:
    """How the mirror stands, as the PowerPi that runs tells it in /health."""
    said = f"{push['text']}; {push['said']}" if push["said"] else push["text"]
    if push["why"] in AT_ONCE:
        return Finding("mirror", False, said)
    return Finding("mirror", True if push["in_step"] else None, said)


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


def check_backups(settings: Settings, now: float) -> Finding:
    """How old the newest backup is, and whether there is room for another one; `now` is Unix seconds."""
    where = backups.folder(settings)
    try:
        there = where.is_dir() or settings.backup.folder
        made = backups.ours(where, identity.read(settings.state), now) if there else []
    except StoreError as error:
        return Finding("backups", False, f"{error}; is its disk mounted?")
    if not made:
        mirrored = " (the mirror holds the rows)" if settings.push else ""
        return Finding("backups", True if mirrored else None, f"none in {where}{mirrored}; `powerpi backup` makes one")
    whole = [kept for kept in made if kept.head.whole] or made
    age, free = max(0, int(now - whole[0].head.time)), shutil.disk_usage(where).free
    said = f"{len(made)} in {where}, the newest {span_text(age)} old"
    if free < made[0].path.stat().st_size:
        return Finding("backups", False, f"{said}; {free // 1_000_000} MB are free, too little for another one")
    if age > STALE_SECONDS:
        return Finding("backups", None, f"{said}: `powerpi backup` makes a new one")
    return Finding("backups", True, said)
