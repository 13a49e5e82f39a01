"""The environment in which a child process writes weekdays and months in the user's language.

German names need a German locale, and a Raspberry Pi often has none: then one is compiled from the machine's
own sources (package `locales`) into a folder of ours, once. Where that is impossible names stay English and the
caller is told, so that it can use dates in figures instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

COMMAND_SECONDS = 120  # localedef takes a second on a PC; a Pi Zero is some fifty times slower
SOURCES = {"de": "de_DE"}  # name of the locale's source in /usr/share/i18n/locales, by language

# Never any other LC_NUMERIC: a decimal comma corrupts the figures that rrdtool reads and writes.
# An empty LC_ALL counts as unset; an inherited one would override all the others.
NEUTRAL = {
    "LC_ALL": "",
    "LANG": "C.UTF-8",
    "LC_CTYPE": "C.UTF-8",
    "LC_NUMERIC": "C",
    "LC_TIME": "C.UTF-8",
}


def locale_environment(language: str, folder: Path) -> tuple[dict[str, str], bool]:
    """Variables for a child that writes times in `language`, and whether their names are in that language.

    `folder` keeps a compiled locale from one start to the next; it is made when needed. The first call on a
    machine without the locale may take some seconds. Never fails: without German names it says False.
    """
    if language not in SOURCES:
        return dict(NEUTRAL), language == "en"
    installed = installed_locale(SOURCES[language])
    if installed:
        return NEUTRAL | {"LC_TIME": installed}, True
    name = f"{SOURCES[language]}.UTF-8"
    if not compiled(SOURCES[language], folder / name):
        return dict(NEUTRAL), False
    # With LOCPATH set glibc looks nowhere else; C.UTF-8 for the letters is built into it (since 2.35).
    return NEUTRAL | {"LC_TIME": name, "LOCPATH": str(folder)}, True


def installed_locale(source: str) -> str | None:
    """The machine's own UTF-8 locale of that language, of its country by preference, as `locale -a` names it."""
    pattern = re.compile(rf"{source[:2]}_[A-Z]+\.utf-?8", re.IGNORECASE)
    names = [name for name in output(["locale", "-a"]).split() if pattern.fullmatch(name)]
    return min(names, key=lambda name: (not name.startswith(source), name), default=None)


def compiled(source: str, target: Path) -> bool:
    """Whether `target` holds the compiled locale; compiles it if not. A half-written one never appears."""
    if target.is_dir():
        return True
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            return compile_locale(source, Path(scratch) / target.name, target)
    except OSError:
        return target.is_dir()


def compile_locale(source: str, scratch: Path, target: Path) -> bool:
    """Compile into `scratch`, then move it to `target` in one step. Raises OSError."""
    output(["localedef", "-i", source, "-f", "UTF-8", "--no-archive", str(scratch)])
    if not (scratch / "LC_TIME").is_file():
        return False
    scratch.rename(target)
    return True


def output(command: list[str]) -> str:
    """What a command of the machine prints, in plain English; empty when it is missing, fails or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, no shell
            [program, *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
