"""The commands and options of `powerpi`; the only importer of argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from powerpi import __version__, config, csv_forms, keys, moments, predecessor, values

Wishes = argparse.Namespace  # what somebody wants, by the names of the options


class _Command(argparse.ArgumentParser):
    """A command whose KWH may stand behind options too: before Python 3.13 argparse takes none for it then."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The wishes, and the arguments that nobody knows."""
        wishes, rest = super().parse_known_args(args, namespace)
        if rest and not rest[0].startswith("-") and getattr(wishes, "kwh", "") is None:
            wishes.kwh = rest.pop(0)
        return wishes, rest


def _port(text: str) -> int:
    try:
        return values.listen(f"localhost:{text}")[1]
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted a port from 0 to 65535, not {text!r}") from None


def _text_of(section: str, name: str) -> Callable[[str], str]:
    """A reader of the text of a key of the configuration: the text itself, if it can be read."""
    key = keys.key_of(section, name)

    def read(text: str) -> str:
        try:
            key.read(text.strip())
        except ValueError:
            raise argparse.ArgumentTypeError(f"wanted {key.wanted}, not {text!r}") from None
        return text.strip()

    return read


def _seconds(text: str) -> float:
    try:
        return float(values.number(0, 3600)(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted a whole number of seconds from 0 to 3600, not {text!r}") from None


def _add_setup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    setup = commands.add_parser("setup", help="write a first configuration; never overwrites")
    setup.add_argument("--gpio", type=_text_of("meter", "gpio"), metavar="N", help="the GPIO of the S0 contact")
    setup.add_argument(
        "--imp-per-kwh", type=_text_of("meter", "imp_per_kwh"), metavar="N", help="the meter constant, in imp/kWh"
    )
    setup.add_argument("--sample", type=Path, metavar="FILE", help="fill in this sample (default: PowerPi's own)")
    setup.add_argument(
        "--predecessor", type=Path, default=predecessor.FOLDER, metavar="DIR",
        help="take over from the system that PowerPi replaces, if it is there (default: %(default)s)",
    )  # fmt: skip
    setup.add_argument("--wait", type=_seconds, metavar="SECONDS", help="then wait for the page and say where it is")
    return setup


def _add_reading(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    reading = commands.add_parser("reading", help="note what a meter's display shows; without KWH: what was noted")
    reading.add_argument("meter", metavar="METER", help="the name of its section [meter NAME]")
    reading.add_argument("kwh", nargs="?", metavar="KWH", help="what the display shows, such as 12345.6")
    reading.add_argument("--at", metavar="TIME", help="when it showed that, such as 2026-11-26T18:30 (default: now)")
    reading.add_argument("--new-meter", action="store_true", help="the meter was replaced: a new series begins")
    reading.add_argument("--remove", metavar="TIME", help="take the reading of that time away")
    reading.add_argument("--yes", action="store_true", help="do not ask")
    return reading


def _add_backup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    backup = commands.add_parser("backup", help="put all that is kept of the meters into one file")
    backup.add_argument(
        "file", nargs="?", type=Path, metavar="FILE",
        help="the file to make, - for standard output (default: a dated one in the folder of [backup])",
    )  # fmt: skip
    backup.add_argument("--force", action="store_true", help="take the place of a FILE that is there")
    backup.add_argument("--verify", action="store_true", help="check FILE (default: the newest) instead of making one")
    return backup


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    export = commands.add_parser("export", help="write the rows of a meter as CSV")
    export.add_argument("meter", metavar="METER", help="its name, counted here or received")
    export.add_argument(
        "--step", choices=list(moments.STEPS), default="15min", metavar="STEP",
        help="the time of a line: %(choices)s (default: %(default)s)",
    )  # fmt: skip
    export.add_argument("--from", dest="start", metavar="TIME", help="from when on (default: from the first known row)")
    export.add_argument("--to", dest="end", metavar="TIME", help="up to its beginning (default: to the last known row)")
    export.add_argument("--output", type=Path, metavar="FILE", help="the file to write (default: standard output)")
    return export


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    taken = commands.add_parser("import", help="put the energy of a file into the rows of a meter")
    taken.add_argument("meter", metavar="METER", help="the name of its section [meter NAME]")
    taken.add_argument("file", type=Path, metavar="FILE", help="CSV, an RRD, or its dump; - for standard input")
    taken.add_argument(
        "--kind", choices=("auto", *csv_forms.KINDS), default="auto", metavar="KIND",
        help="what the values are: %(choices)s (default: as the headings say)",
    )  # fmt: skip
    taken.add_argument(
        "--times", choices=("start", "end"), metavar="WHICH",
        help="whether a time is the start or the end of what it stands for (default: start, or as the headings say)",
    )  # fmt: skip
    taken.add_argument("--overwrite", action="store_true", help="also where something is known already")
    taken.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    taken.add_argument("--skip-bad", action="store_true", help="leave bad lines out instead of giving up")
    return taken


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    check = commands.add_parser(
        "check", aliases=["doctor"], help="say what is right and wrong with the configuration on this machine"
    )
    check.add_argument(
        "--seconds", type=_seconds, default=10, metavar="N", help="pulses of so many seconds (default: %(default)s)"
    )
    instead = check.add_mutually_exclusive_group()
    instead.add_argument("--watch", action="store_true", help="show each pulse as it comes, until Ctrl-C")
    instead.add_argument("--report", action="store_true", help="print a text for a bug report, without secrets")
    check.add_argument("--meter", metavar="NAME", help="watch this meter alone")
    return check


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser("demo", help="run with a simulated household instead of a meter")
    demo.add_argument("--port", type=_port, default=8080, metavar="N", help="port of the page (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same house (default: %(default)s)")
    demo.add_argument("--load", type=Path, metavar="FILE", help="a recorded load (CSV: minute,watts) instead")
    demo.add_argument("--empty", action="store_true", help="start without history")
    demo.add_argument("--state", type=Path, metavar="DIR", help="keep the data there (default: thrown away at the end)")
    demo.add_argument("--mirror", action="store_true", help="and a mirror of it, on the next port")


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="powerpi", description="Counts the S0 pulses of electricity meters and shows true graphs of them."
    )
    top.add_argument("--version", action="version", version=f"powerpi {__version__}")
    kind: type[argparse.ArgumentParser] = _Command
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=kind)

    setup = _add_setup(commands)
    run = commands.add_parser("run", help="count and serve the page, until SIGTERM or Ctrl-C")
    check = _add_check(commands)
    create = commands.add_parser("create", help="make the empty RRDs of all meters by hand; never overwrites")
    reading = _add_reading(commands)
    push = commands.add_parser("push", help="send to the mirror what it lacks, by hand")
    push.add_argument("--verify", action="store_true", help="then compare all rows, and put right what differs")
    push.add_argument(
        "--counter", action="store_true", help="have the mirror take a counter that is lower than its own"
    )
    backup = _add_backup(commands)
    export, imported = _add_export(commands), _add_import(commands)
    restore = commands.add_parser("restore", help="bring back what is not known here any more")
    restore.add_argument("file", nargs="?", type=Path, metavar="FILE", help="out of this backup")
    restore.add_argument("--from-mirror", action="store_true", help="from the mirror of [push]")
    for command in (setup, run, check, create, reading, push, backup, export, imported, restore):
        command.add_argument(
            "--config", type=Path, default=config.DEFAULT_PATH, metavar="FILE", help="default: %(default)s"
        )

    password = commands.add_parser("password", help="make the hash of a password for [mirror NAME] or [viewer NAME]")
    password.add_argument(
        "--quick",
        action="store_true",
        help="for a mirror on a Pi Zero: a quarter of the time and memory for each login",
    )
    _add_demo(commands)
    return top
