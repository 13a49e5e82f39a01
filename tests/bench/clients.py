"""Clients in a process of their own: `python -m tests.bench.clients PORT SECONDS CLIENTS PATH...`.

Each has one keep-alive connection and asks for the paths in turn without a pause; `{}` in a path becomes a width that
no client asked for before. Prints a JSON list: requests answered, failures (not 200), seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle, islice

from tests.bench.common import Client

LEAST_WIDTH, MOST_WIDTH = 600, 1200


def asked(paths: list[str], first: int, step: int) -> Iterator[str]:
    """The paths of one client: the `first` of `step`, so that no two clients ask for the same width at a time."""
    numbers = count(first, step)
    for path in islice(cycle(paths), first, None):
        width = LEAST_WIDTH + next(numbers) % (MOST_WIDTH - LEAST_WIDTH)
        yield path.format(width) if "{}" in path else path


def ask(port: int, until: float, paths: Iterator[str]) -> tuple[int, int]:
    """One client: how many answers came, and how many of them were not 200."""
    client = Client(port)
    answered = failed = 0
    while time.monotonic() < until:
        head, _ = client.get(next(paths))
        answered += 1
        failed += not head.startswith(b"HTTP/1.1 200")
    client.close()
    return answered, failed


def main() -> None:
    """Ask, and print what came."""
    port, seconds, clients = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        tasks = [
            pool.submit(ask, port, began + seconds, asked(sys.argv[4:], number, clients)) for number in range(clients)
        ]
    results = [task.result() for task in tasks]
    requests, failures = (sum(values) for values in zip(*results, strict=True))
    print(json.dumps([requests, failures, time.monotonic() - began]))


if __name__ == "__main__":
    main()
