"""The commands and options of `powerpi`; the only importer of argparse."""

from __future__ import annotations

import argparse
from pathlib import Path

from powerpi import __version__, config, values

Wishes = argparse.Namespace  # what somebody wants, by the names of the options


def _port(text: str) -> int:
    try:
        return values.listen(f"localhost:{text}")[1]
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
