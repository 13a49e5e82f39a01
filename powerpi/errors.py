"""The exceptions of PowerPi: one small tree, each leaf says what the caller should do."""

from __future__ import annotations

from collections.abc import Sequence

from powerpi.texts import TEXTS

SHOWN_CHARACTERS = 60  # of a value that is quoted in an error


class PowerPiError(Exception):
    """Anything that PowerPi itself reports; its text is one clear sentence for the user."""


class ConfigError(PowerPiError, ValueError):
    """The configuration is wrong: do not start, show every fault."""

    def __init__(self, faults: Sequence[str], source: str = "the configuration") -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.source = source


class PinError(PowerPiError, OSError):
    """The GPIO pin cannot be used: do not start, or start anew."""


class ServerError(PowerPiError, OSError):
    """The page cannot be served there: do not start."""


class StoreError(PowerPiError, OSError):
    """The store refused: keep what was to be written and try again."""


class BusyError(StoreError):
    """Somebody else holds the file just now: keep what was to be written and try again soon."""


class DamagedError(StoreError):
    """A file of the store cannot be understood: set it aside, go on with a new one."""


class ReaderError(PowerPiError, RuntimeError):
    """The reading child failed: the request is lost, nothing else; ask again."""


class GoneReaderError(ReaderError, ConnectionError):
    """The reading child ended in the middle of a request: ask a new one, once."""


class SlowReaderError(ReaderError, TimeoutError):
    """The reading child did not answer in time: it was killed; do not ask again and again."""


class AnsweredError(PowerPiError):
    """A request that is answered with one sentence: `error_KEY` of the catalogue of texts, and the values for it."""

    def __init__(self, key: str, **values: object) -> None:
        self.key, self.values = key, values
        super().__init__(self.sentence("en"))

    def sentence(self, language: str) -> str:
        """The error in a member of texts.LANGUAGES; `str()` of it is the English one."""
        return TEXTS[f"error_{self.key}"][language].format(**self.values)


class RequestError(AnsweredError, ValueError):
    """A request asks for something that is not offered: answer 400."""


class UnknownNameError(AnsweredError, LookupError):
    """A meter, period or page of that name does not exist: answer 404."""


def shown(value: str) -> str:
    """A foreign value as it may stand in a sentence: quoted, escaped, and not long."""
    return ascii(value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "...")
