"""Help for test_guide.py: the README's command lines, and a house with a mirror to run them against."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from powerpi.folder import locked_folder
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
# What a command line begins with. A program's name alone is talked of, not run, except in a block of code.
PROGRAMS = re.compile(
    r"apt-get|cd|certbot|chgrp|chmod|chown|cp|curl|df|git|groupadd|journalctl|ls|lsblk|mkdir|mount|nano|pip|powerpi"
    r"|python3?|raspi-config|reboot|rrdtool|scp|service|sh|ssh|sudo|systemctl|timedatectl|update-rc\.d|usermod|wg"
    r"|\.venv/bin/python"
)
# a line of a configuration, a unit or a CSV, or what a command says
NO_COMMAND = re.compile(r"\[|#|[a-z_]+ ?= ?|[A-Za-z]+=|[^ ,]+,[^ ]+$|house: |since ")
WATTS = 7200  # of the house: two pulses a second at 1000 imp/kWh
PASSWORD = "ein langes Passwort"  # noqa: S105 (of this test alone)
MOCK = {"GPIOZERO_PIN_FACTORY": "mock"}
PATIENCE_SECONDS = 60.0


def prose_and_blocks() -> tuple[str, list[str]]:
    """The README's running text, and its lines of code: those that are indented by four or more."""
    blocks = re.findall(r"^ {4,}(\S.*)$", README, flags=re.MULTILINE)
    return re.sub(r"^ {4,}\S.*$", "", README, flags=re.MULTILINE), blocks


def command_lines() -> list[str]:
    """Every command line of the README, each once, without `sudo`."""
    prose, blocks = prose_and_blocks()
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    told = [span for span in spans if " " in span and PROGRAMS.fullmatch(span.split()[0])]
    told += [line for line in blocks if not NO_COMMAND.match(line)]
    return list(dict.fromkeys(line.removeprefix("sudo ") for line in told))


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


def run(*command: str, cwd: Path = TOP, typed: str = "", **environment: str) -> Said:
    """Run a command to its end, at most a minute."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **MOCK, "PYTHONPATH": str(TOP), **environment}, input=typed,
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


class Home(NamedTuple):
    """A house that runs, the configuration of its machine, and its mirror."""

    folder: Path
    conf: Path
    port: int

    def powerpi(self, *arguments: str, conf: Path | None = None, typed: str = "") -> Said:
        """Run `powerpi` with the house's configuration, or another one."""
        return run(sys.executable, "-m", "powerpi", *arguments, "--config", str(conf or self.conf), typed=typed)

    def elsewhere(self) -> Path:
        """The configuration of the same machine with a new card."""
        state = self.folder / f"card-{time.monotonic_ns()}"
        path = state.with_suffix(".conf")
        text = self.conf.read_text(encoding="utf-8")
        text = re.sub(r"^state = .*$", f"state = {state}", text, flags=re.MULTILINE)
        path.write_text(re.sub(r"^listen = .*$", "listen = 127.0.0.1:0", text, flags=re.MULTILINE), encoding="utf-8")
        return path


@contextmanager
def child(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`powerpi ...` as a process that runs until the end; what it says goes to `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "powerpi", *arguments], cwd=TOP, env={**os.environ, **MOCK}, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def waited(log: Path, pattern: str) -> re.Match[str]:
    """The first match in a log that is being written."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(encoding="utf-8", errors="replace")):
            return found
        time.sleep(0.05)  # another process: it comes when it comes
    raise AssertionError(f"{pattern!r} did not come: {log.read_text(encoding='utf-8')}")


def first_lines(number: int, *arguments: str) -> tuple[list[str], int]:
    """The first lines of a command that goes on until Ctrl-C, and its exit code after that."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "powerpi", *arguments], cwd=TOP, env={**os.environ, **MOCK},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
    )  # fmt: skip
    assert process.stdout
    said, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    try:
        while said.count(b"\n") < number and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 1)[0]:
                piece = process.stdout.read(4096)
                if not piece:
                    break
                said += piece
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    return said.decode().splitlines(), code


def lived_in(state: Path) -> None:
    """An hour of rows up to now, as if the house had been lived in."""
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    per_step = WATTS / 3600 * STEP_SECONDS
    rows = [Row(end - 3600 + n * STEP_SECONDS, per_step * n) for n in range(361)]
    with locked_folder(state):
        store = Store(state, "house", 20, Lock())
        store.open(rows[0].time - STEP_SECONDS)
        store.write(rows)
        store.save_register(int(rows[-1].pulses), end)


@contextmanager
def living_house(folder: Path) -> Iterator[Home]:
    """A demo of one meter with a steady load, which pushes nothing by itself, and a mirror that it may push to."""
    hashed = run(sys.executable, "-m", "powerpi", "password", "--quick", typed=f"{PASSWORD}\n").out.strip()
    mirror, load, conf = folder / "mirror.conf", folder / "load.csv", folder / "powerpi.conf"
    general = "network_time = no\nlisten = 127.0.0.1:"
    mirror.write_text(
        f"[powerpi]\nstate = {folder}/mirror\n{general}0\n[mirror]\naccept = yes\n"
        f"[mirror pi-hq]\npassword_hash = {hashed}\nmeters = house\n",
        encoding="utf-8",
    )
    lived_in(folder / "state")
    load.write_text(f"minute,watts\n2024-01-01T00:00:00,{WATTS}\n", encoding="utf-8")
    demo = ("demo", "--empty", "--load", str(load), "--port", "0", "--state", str(folder / "state"))
    with child(*demo, log=folder / "demo.log"), child("run", "--config", str(mirror), log=folder / "mirror.log"):
        port = int(waited(folder / "demo.log", r"page is at http://\S+:(\d+)/")[1])
        mirror_port = waited(folder / "mirror.log", r"page is at http://\S+:(\d+)/")[1]
        conf.write_text(
            f"[powerpi]\nstate = {folder}/state\n{general}{port}\n[meter house]\ngpio = 24\n"
            f"[push]\nurl = http://127.0.0.1:{mirror_port}/\nuser = pi-hq\npassword = {PASSWORD}\n",
            encoding="utf-8",
        )
        conf.chmod(0o600)
        yield Home(folder, conf, port)
