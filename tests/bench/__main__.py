"""Runs the benchmarks named on the command line, all by default, and prints one Markdown table for each.

Exit code 0 when every goal is met, 1 when one is missed. What is measured, and how, stands at the top of each subject.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from tests.bench import capture, card, footprint, graphs, load, mirror, moving
from tests.bench.common import Figure, table

SUBJECTS = {
    module.__name__.rpartition(".")[2]: module for module in (capture, graphs, footprint, load, mirror, moving, card)
}


def main() -> int:
    """Measure and print; returns the exit code."""
    top = argparse.ArgumentParser(prog="tests/bench/run", description="Measures PowerPi against limits of this machine")
    top.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"{', '.join(SUBJECTS)}; all by default")
    wanted = top.parse_args().subjects or list(SUBJECTS)
    unknown = [name for name in wanted if name not in SUBJECTS]
    if unknown:
        top.error(f"no subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores\n")
    figures: list[Figure] = []
    for name in wanted:
        measured = SUBJECTS[name].measure()
        print(table(name, measured), flush=True)
        figures += measured
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
