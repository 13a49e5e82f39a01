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

    def install(self, uncommitted: bool) -> None:
        """Make the disk that all others begin with."""
        progress("installing PowerPi in a machine")
        packed = house.source(uncommitted)
        self.checkout.mkdir()
        subprocess.run(["tar", "-x", "-C", str(self.checkout)], input=packed, check=True)
        machine = Machine(self._image, overlay(self._image.disk, "raw", self._installed), self.folder / "install")
        with machine.running():
            house.install(machine, packed)
            machine.shut_down()

    def machine(self, name: str, spare: bool = False, counted: bool = False) -> Machine:
        """A machine that is switched off; PowerPi starts with it. `spare`: with an empty second disk.

        `counted`: its clock counts instructions, so that times do not depend on how busy the host is.
        """
        folder = self.folder / name
        folder.mkdir()
        second = folder / "spare.raw" if spare else None
        if second:
            with second.open("wb") as file:
                file.truncate(SPARE_BYTES)
        return Machine(self._image, overlay(self._installed, "qcow2", folder / "disk.qcow2"), folder, second, counted)
