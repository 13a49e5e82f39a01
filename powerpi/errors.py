"""The exceptions of PowerPi: one small tree, each leaf says what the caller should do."""

from __future__ import annotations

from collections.abc import Sequence


class PowerPiError(Exception):
    """Anything that PowerPi itself reports; its text is one clear sentence for the user."""


class ConfigError(PowerPiError, ValueError):
    """The configuration is wrong: do not start, show every fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class PinError(PowerPiError, OSError):
    """The GPIO pin cannot be used: do not start."""


class StoreError(PowerPiError, OSError):
    """The store refused: keep what was to be written and try again."""


class BusyError(StoreError):
    """Somebody else holds the file just now: keep what was to be written and try again soon."""


class DamagedError(StoreError):
    """A file of the store cannot be understood: set it aside, go on with a new one."""


class ReaderError(PowerPiError, RuntimeError):
    """The reading child failed: the request is lost, nothing else; ask again."""


class RequestError(PowerPiError, ValueError):
    """A request asks for something that is not offered: answer 400 with this sentence."""


class UnknownNameError(PowerPiError, LookupError):
    """A meter, period or page of that name does not exist: answer 404 with this sentence."""
