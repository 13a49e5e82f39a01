"""Opens PowerPi's pin factory again and again, each time in a fresh process; are the first pulses heard?

    starts.py GPIO STARTS    (inside the virtual machine, with PowerPi's own Python; GPIOZERO_PIN_FACTORY as wanted)

Prints JSON: of how many starts all pulses were heard.
"""

from __future__ import annotations

import json
import os
import sys
import time

from contact import Line

from powerpi import pin

PULSES = 3
PHASE_SECONDS = 0.02
SETTLE_SECONDS = 0.2  # for edges on their way


def hears(gpio: int) -> bool:
    """Whether a freshly opened pin hands over both edges of all pulses."""
    contact = pin.Pin(pin.open_factory(), gpio, "up")
    contact.closed()
    line = Line(gpio)
    for _ in range(PULSES):
        line.hold(True, PHASE_SECONDS)
        line.hold(False, PHASE_SECONDS)
    time.sleep(SETTLE_SECONDS)
    edges = [edge.closed for edge in contact.drain()]
    return edges == [True, False] * PULSES


def in_child(gpio: int) -> bool:
    """The same in a process of its own, which also gives the line back."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if hears(gpio) else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    heard = [in_child(int(sys.argv[1])) for _ in range(int(sys.argv[2]))]
    print(json.dumps({"starts": len(heard), "heard": sum(heard)}))
