"""The command line: `powerpi COMMAND`; the only importer of argparse.

Exit codes are those of sysexits.h where there is one: 0 asked to stop or all is well, 1 a thread died or a check
failed, 2 wrong arguments, 65 a password will not do, 69 a pin, a port or the mirror cannot be used or a package is
missing, 74 the store refused, 78 the configuration is wrong, 130 interrupted before it had started.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from powerpi import __version__, config
from powerpi.errors import ConfigError, PowerPiError, StoreError
from powerpi.keys import read_listen

SIGNS = {True: "ok  ", None: "look", False: "BAD "}


def _port(text: str) -> int:
    try:
        return read_listen(f"localhost:{text}")[1]
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted a port from 0 to 65535, not {text!r}") from None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="powerpi", description="Counts the S0 pulses of electricity meters and shows true graphs of them."
    )
    top.add_argument("--version", action="version", version=f"powerpi {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="count and serve the page, until SIGTERM or Ctrl-C")
    check = commands.add_parser("check", help="say what is right and wrong with the configuration on this machine")
    create = commands.add_parser("create", help="make the empty RRDs of all meters by hand; never overwrites")
    push = commands.add_parser("push", help="send to the mirror what it lacks, by hand")
    push.add_argument("--verify", action="store_true", help="then compare all rows, and put right what differs")
    push.add_argument(
        "--counter", action="store_true", help="have the mirror take a counter that is lower than its own"
    )
    restore = commands.add_parser("restore", help="fetch what is not known here any more")
    restore.add_argument("--from-mirror", action="store_true", help="from the mirror of [push]; must be given")
    for command in (run, check, create, push, restore):
        command.add_argument(
            "--config", type=Path, default=config.DEFAULT_PATH, metavar="FILE", help="default: %(default)s"
        )

    password = commands.add_parser("password", help="make the hash of a password for [mirror NAME] or [viewer NAME]")
    password.add_argument(
        "--quick",
        action="store_true",
        help="for a mirror on a Pi Zero: a quarter of the time and memory for each login",
    )

    demo = commands.add_parser("demo", help="run with a simulated household instead of a meter")
    demo.add_argument("--port", type=_port, default=8080, metavar="N", help="port of the page (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same house (default: %(default)s)")
    demo.add_argument("--load", type=Path, metavar="FILE", help="a recorded load (CSV: minute,watts) instead")
    demo.add_argument("--empty", action="store_true", help="start without history")
    demo.add_argument("--state", type=Path, metavar="DIR", help="keep the data there (default: thrown away at the end)")
    demo.add_argument("--mirror", action="store_true", help="and a mirror of it, on the next port")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    wishes = parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%F %T"
    )
    try:
        return COMMANDS[wishes.command](wishes)
    except ConfigError as error:
        print(f"powerpi: {error.source} is wrong:\n{_indented(error)}", file=sys.stderr)
        return os.EX_CONFIG
    except StoreError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_IOERR
    except PowerPiError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        return 130


def _indented(error: ConfigError) -> str:
    return "\n".join(f"  {fault}" for fault in error.faults)


# What a command needs is imported when it runs: `--help` is quick, and the daemon carries no simulation.


def _run(wishes: argparse.Namespace) -> int:
    from powerpi import daemon, pin  # noqa: PLC0415
    from powerpi.clock import SystemClock  # noqa: PLC0415

    settings = config.load(wishes.config)
    factory = pin.open_factory() if settings.meters else None  # a mirror without meters of its own needs no pins
    return daemon.run(settings, factory, SystemClock(settings.network_time))


def _check(wishes: argparse.Namespace) -> int:
    from powerpi.check import check_secrets, findings  # noqa: PLC0415

    settings = config.load(wishes.config)
    secrets = check_secrets(wishes.config, settings)
    print(f"{SIGNS[True]}  configuration: {wishes.config}, {len(settings.meters)} meter(s)")
    bad = False
    for finding in (*([secrets] if secrets else []), *findings(settings)):
        print(f"{SIGNS[finding.right]}  {finding.what}: {finding.said}")
        bad = bad or finding.right is False
    return 1 if bad else 0


def _create(wishes: argparse.Namespace) -> int:
    import time  # noqa: PLC0415
    from threading import Lock  # noqa: PLC0415

    from powerpi.folder import locked_folder  # noqa: PLC0415
    from powerpi.pulses import STEP_SECONDS, next_boundary  # noqa: PLC0415
    from powerpi.store import Store  # noqa: PLC0415

    settings = config.load(wishes.config)
    code = 0
    with locked_folder(settings.state):
        for meter in settings.meters:
            store = Store(settings.state, meter.name, settings.store.archive_years, Lock())
            try:
                store.create(next_boundary(time.time()) - 2 * STEP_SECONDS)
                print(f"made {store.rrd}")
            except StoreError as error:
                print(f"powerpi: {error}", file=sys.stderr)
                code = os.EX_IOERR
    return code


def _demo(wishes: argparse.Namespace) -> int:
    from powerpi import demo  # noqa: PLC0415

    return demo.run(demo.Wishes(wishes.port, wishes.seed, wishes.load, wishes.empty, wishes.state, wishes.mirror))


def _push(wishes: argparse.Namespace) -> int:
    from powerpi import by_hand  # noqa: PLC0415

    return by_hand.push(config.load(wishes.config), wishes.verify, wishes.counter)


def _restore(wishes: argparse.Namespace) -> int:
    from powerpi import by_hand  # noqa: PLC0415

    if not wishes.from_mirror:
        print("powerpi restore: wanted --from-mirror, which says where from", file=sys.stderr)
        return 2
    return by_hand.from_mirror(config.load(wishes.config))


def _password(wishes: argparse.Namespace) -> int:
    from powerpi import passwords  # noqa: PLC0415

    try:
        print(passwords.hashed(_ask_password(), passwords.QUICK_LOG2_N if wishes.quick else passwords.USUAL_LOG2_N))
    except ValueError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_DATAERR
    return 0


def _ask_password() -> str:
    """A password typed twice, or the first line of what is piped in. Raises ValueError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    try:
        password, again = getpass.getpass("Password: "), getpass.getpass("Once more: ")
    except EOFError:
        raise ValueError("nothing was typed; nothing was made") from None
    if again != password:
        raise ValueError("the two differ; nothing was made")
    return password


COMMANDS = {
    "run": _run,
    "check": _check,
    "create": _create,
    "push": _push,
    "restore": _restore,
    "password": _password,
    "demo": _demo,
}
