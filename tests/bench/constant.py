"""What waitress can do at best: one constant answer, with PowerPi's settings of the server.

`python -m tests.bench.constant HEADERS BODY` takes a JSON list of headers and the name of a file; its first line on
standard output is the port.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import waitress

from powerpi.server import WEB_SETTINGS


def main() -> None:
    """Serve until a signal comes."""
    headers = [(name, value) for name, value in json.loads(sys.argv[1])]
    body = Path(sys.argv[2]).read_bytes()

    def answer(_: object, start_response: Callable[[str, Sequence[tuple[str, str]]], Any]) -> list[bytes]:
        start_response("200 OK", headers)
        return [body]

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # as the daemon does: its lines would cost most
    server = waitress.create_server(answer, host="127.0.0.1", port=0, **WEB_SETTINGS)
    print(server.effective_port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
