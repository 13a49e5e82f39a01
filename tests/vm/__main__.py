"""Runs scenarios in virtual machines and prints what was promised and what was measured. Started by tests/vm/run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.vm.lab import Lab, progress
from tests.vm.machine import Image
from tests.vm.results import Result, kept, table
from tests.vm.scenarios.backup import backup
from tests.vm.scenarios.clock import clock
from tests.vm.scenarios.contact import contact
from tests.vm.scenarios.cuts import cuts
from tests.vm.scenarios.disk import disk
from tests.vm.scenarios.install import install
from tests.vm.scenarios.mirror import mirror
from tests.vm.scenarios.pins import pins
from tests.vm.scenarios.service import service
from tests.vm.scenarios.sysvinit import sysvinit
from tests.vm.scenarios.threads import threads

# the longest first, so that two machines end at about the same time
SCENARIOS: dict[str, Callable[[Lab], Iterator[Result]]] = {
    scenario.__name__: scenario
    for scenario in (cuts, mirror, contact, install, pins, disk, sysvinit, clock, backup, threads, service)
}
BARE = {"install", "sysvinit"}  # install PowerPi themselves


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="sh tests/vm/run [SUITE]", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; default: all")
    parser.add_argument("--image", type=Path, required=True, help=argparse.SUPPRESS)  # from tests/vm/run
    parser.add_argument("--uncommitted", action="store_true", help="the files as they are now, not the last commit")
    both = min(2, os.cpu_count() or 1)
    parser.add_argument("-j", "--jobs", type=int, default=both, help="machines at once (default: %(default)s)")
    wishes = parser.parse_args()
    unknown = set(wishes.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return wishes


def run(lab: Lab, name: str) -> list[tuple[str, Result]]:
    """The results of one scenario, up to where it broke, if it did."""
    progress(f"{name} begins")
    found = []
    try:
        for result in SCENARIOS[name](lab):
            progress(f"{name}: {result.promise}: {result.measured}{' FAILED' if result.kept is False else ''}")
            found.append((name, result))
    except Exception as error:  # a scenario that breaks has failed; the others still say what they find
        traceback.print_exc()
        found.append(
            (name, Result("the scenario runs to its end", " ".join(f"{type(error).__name__}: {error}".split()), False))
        )
    return found


def main() -> int:
    """0 when every promise was kept."""
    wishes = arguments()
    names = [name for name in SCENARIOS if name in (wishes.scenarios or SCENARIOS)]
    with tempfile.TemporaryDirectory(prefix="run-", dir=wishes.image) as folder:
        lab = Lab(Image(wishes.image), Path(folder))
        lab.unpack(wishes.uncommitted)
        if set(names) - BARE:
            lab.install()
        with ThreadPoolExecutor(wishes.jobs) as pool:
            found = [line for lines in pool.map(lambda name: run(lab, name), names) for line in lines]
    print(table(found))
    return 0 if kept([result for _, result in found]) else 1


if __name__ == "__main__":
    sys.exit(main())
