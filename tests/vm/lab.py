"""Where the scenarios run: machines with PowerPi installed, each on a throw-away disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.vm import house
from tests.vm.machine import Image, Machine, overlay

SPARE_BYTES = 128_000_000


def progress(text: str) -> None:
    """Say on standard error what is going on."""
    print(f"  ... {text}", file=sys.stderr, flush=True)


class Lab:
    """Machines for scenarios, in a folder that goes away again."""

    def __init__(self, image: Image, folder: Path) -> None:
        self._image = image
        self.folder = folder
        self._installed = folder / "installed.qcow2"
        self.checkout = folder / "checkout"  # what is installed in the machines
        self.packed = b""  # the same as a tar file

    def unpack(self, uncommitted: bool) -> None:
        """Take what is to be tried: the last commit, or the files as they are now."""
        self.packed = house.source(uncommitted)
        self.checkout.mkdir()
        subprocess.run(["tar", "-x", "-C", str(self.checkout)], input=self.packed, check=True)

    def install(self) -> None:
        """Make the disk that all machines of `machine` begin with."""
        progress("installing PowerPi in a machine")
        machine = Machine(self._image, overlay(self._image.disk, "raw", self._installed), self.folder / "install")
        with machine.running():
            house.install(machine, self.packed)
            machine.shut_down()

    def packages(self) -> Path:
        """A folder with the packages for `init/install --offline` in `offline`, and Debian's sysvinit in `sysvinit`.

        They are fetched by the system in the image, whose release they are for; needs a network.
        """
        progress("fetching packages for an installation without network")
        folder = self._image.folder / "packages"
        command = ["sh", str(house.TOP / "tests/vm/packages"), str(self._image.disk), str(self.checkout), str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return folder

    def bare(self, name: str, spare: bool = False) -> Machine:
        """A machine that is switched off and as the image was built: without PowerPi."""
        return self._machine(self._image.disk, "raw", name, spare)

    def machine(self, name: str, spare: bool = False, counted: bool = False) -> Machine:
        """A machine that is switched off; PowerPi starts with it. `spare`: with an empty second disk.

        `counted`: its clock counts instructions, so that times do not depend on how busy the host is.
        """
        return self._machine(self._installed, "qcow2", name, spare, counted)

    def _machine(self, base: Path, kind: str, name: str, spare: bool, counted: bool = False) -> Machine:
        folder = self.folder / name
        folder.mkdir()
        second = folder / "spare.raw" if spare else None
        if second:
            with second.open("wb") as file:
                file.truncate(SPARE_BYTES)
        return Machine(self._image, overlay(base, kind, folder / "disk.qcow2"), folder, second, counted)
