"""A mirror: a year caught up by one Pi, and hundreds of Pis that send once a minute.

What is measured, and how, stands at the top of `catchup` and `crowd`. The history ends some hours ago: Pis that send
faster than once a minute must not come to rows of the future.
"""

from __future__ import annotations

import time

from powerpi import passwords
from tests.bench import catchup, crowd
from tests.bench.common import Figure, folder

HEADROOM_SECONDS = 12 * 3600.0


def measure() -> list[Figure]:
    """All figures of this subject."""
    password_hash = passwords.hashed(catchup.PASSWORD)
    with folder() as top:
        year = catchup.made(top, time.time() - HEADROOM_SECONDS)
        figures = catchup.measure(year, password_hash)
        (top / "crowd").mkdir()
        return figures + crowd.measure(top / "crowd", year.mirror, password_hash)
