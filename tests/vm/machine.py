"""A virtual machine: qemu on a disk of its own, reached by ssh and HTTP, whose power can be cut.

qemu interprets every instruction (TCG), so that it runs on any host; a machine is some ten times slower than its host.
Where times of milliseconds or of CPU matter, its clock counts instructions instead, 250 million a second: then it is
a computer of constant speed, slower than any Pi, and a busy host slows its clock down with it.
"""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MEMORY_MB = 512
NANOSECONDS_SHIFT = 2  # an instruction takes 4 ns of the machine's time
BOOT_SECONDS = 240.0
CONNECT_SECONDS = 10
PAGE_PORT = 8080
PAUSE_SECONDS = 0.2  # between two looks at something that will come


class Image(NamedTuple):
    """A folder made by tests/vm/build."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The system as it was built; never written to."""
        return self.folder / "disk.raw"


class Answer(NamedTuple):
    """What the page's server said."""

    status: int
    body: bytes


class CommandError(Exception):
    """A command inside the machine failed; says which, and what it printed."""


def overlay(base: Path, kind: str, path: Path) -> Path:
    """A disk that holds only what differs from `base` (of `kind` raw or qcow2)."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", kind, str(path)]
    subprocess.run(command, check=True)
    return path


def free_port() -> int:
    """A port that nobody uses at present."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Machine:
    """One machine; `folder` holds its log, its sockets and what it tells the host (`truth`, kept over cuts)."""

    def __init__(
        self, image: Image, disk: Path, folder: Path, spare: Path | None = None, counted: bool = False
    ) -> None:
        self.folder = folder
        self.truth = folder / "truth"
        self._image = image
        self._counted = counted
        self._disks = [(disk, "qcow2"), *([(spare, "raw")] if spare else [])]  # /dev/vda, /dev/vdb
        self._qemu: subprocess.Popen[bytes] | None = None
        self._ssh_port, self.page_port = free_port(), free_port()  # on the host; the same ones after a cut
        self._boots = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.truth.touch()

    def start(self, clock: str = "utc") -> None:
        """Switch it on; `clock` is what its hardware clock shows: utc, or a time such as 2024-12-31T23:00:00."""
        self._boots += 1
        with (self.folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(self._command(clock), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _command(self, clock: str) -> list[str]:
        ports = f"hostfwd=tcp:127.0.0.1:{self._ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.page_port}-:{PAGE_PORT}"
        options = [
            *("-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-rtc", f"base={clock}"),
            *("-kernel", str(self._image.folder / "vmlinuz"), "-initrd", str(self._image.folder / "initrd")),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet"),
            *("-serial", f"file:{self.folder / f'console-{self._boots}.log'}"),
            *("-netdev", f"user,id=net,{ports}", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial"),
            *("-chardev", f"file,id=truth,path={self.truth},append=on"),
            *("-device", "virtserialport,chardev=truth,name=truth"),
        ]
        if self._counted:
            options += ["-icount", f"shift={NANOSECONDS_SHIFT}", "-rtc", "clock=vm"]
        for disk, kind in self._disks:  # cache=none: what the machine flushed is on the disk, the rest is not
            options += ["-drive", f"file={disk},format={kind},if=virtio,cache=none"]
        return ["qemu-system-x86_64", *options]

    def wait(self) -> float:
        """Wait until ssh answers; seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < BOOT_SECONDS:
            if self._qemu is None or self._qemu.poll() is not None:
                raise CommandError(f"qemu ended: {(self.folder / 'qemu.log').read_text()}")
            if self._ssh("true", timeout=60).returncode == 0:
                return time.monotonic() - began
            time.sleep(PAUSE_SECONDS)
        raise CommandError(f"no ssh within {BOOT_SECONDS:g} s; see {self.folder}")

    def run(self, command: str, data: bytes | None = None, timeout: float = 600.0) -> str:
        """Run a shell command as root and return what it printed. Raises CommandError."""
        done = self._ssh(command, data, timeout)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise CommandError(f"`{command}` ended with {done.returncode}: {said}")
        return done.stdout.decode()

    def fetch(self, path: str, target: Path) -> Path:
        """Copy a file out of the machine. Raises CommandError."""
        done = self._ssh(f"cat {path}")
        if done.returncode:
            raise CommandError(f"{path} cannot be read: {done.stderr.decode(errors='replace').strip()}")
        target.write_bytes(done.stdout)
        return target

    def spawn(self, command: str) -> subprocess.Popen[bytes]:
        """Run a shell command beside others."""
        return subprocess.Popen(self._ssh_command(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def _ssh(
        self, command: str, data: bytes | None = None, timeout: float = 600.0
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._ssh_command(command), input=data or b"", capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"`{command}` took longer than {timeout:g} s") from error

    def _ssh_command(self, command: str) -> list[str]:
        options = {
            "ControlMaster": "auto",  # one handshake for each boot: it takes seconds here
            "ControlPath": self.folder / f"ssh-{self._boots}",
            "ControlPersist": 600,
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ConnectTimeout": CONNECT_SECONDS,
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        key = str(self._image.folder / "id")
        return ["ssh", "-i", key, "-p", str(self._ssh_port), *given, "root@127.0.0.1", command]

    def get(self, path: str, timeout: float = 20.0) -> Answer:
        """Ask the page's server. Raises OSError while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}{path}", timeout=timeout) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    def cut(self) -> None:
        """The power cut: qemu is killed without a word."""
        if self._qemu:
            self._qemu.kill()
            self._qemu.wait()

    def shut_down(self) -> None:
        """Switch it off as a user would, and wait."""
        self._ssh("/sbin/poweroff")
        assert self._qemu
        self._qemu.wait(BOOT_SECONDS)

    @contextmanager
    def running(self, clock: str = "utc") -> Iterator[Machine]:
        """Switched on and reachable; in the end its power is cut."""
        self.start(clock)
        try:
            self.wait()
            yield self
        finally:
            self.cut()
