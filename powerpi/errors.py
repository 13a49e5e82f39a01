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


class ClosedConfigError(ConfigError):
    """The configuration may not be read by this user: do not start, name another user."""


class PinError(PowerPiError, OSError):
    """The GPIO pin cannot be used: do not start, or start anew."""


class ServerError(PowerPiError, OSError):
    """The page cannot be served there: do not start."""


class MissingError(PowerPiError, ImportError):
    """Something that the configuration needs is not installed: do not start, say how to install it."""


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


class WireError(PowerPiError, ValueError):
    """What came over the wire is not what was agreed: do nothing with it, say what was wanted."""


class DataError(PowerPiError, ValueError):
    """What a file to import holds cannot be taken: nothing was changed, say which line and what was wanted."""


class BackupError(DataError):
    """A backup is foreign or damaged: do nothing with it, say why."""


class NobodyError(PowerPiError, ConnectionError):
    """No PowerPi runs on that state folder, or it does not answer: do without it, or say how to start it."""


class PeerError(PowerPiError, OSError):
    """The other PowerPi cannot be reached, or fails: try again later, for ever."""


class SlowPeerError(PeerError, TimeoutError):
    """The other PowerPi does not answer in time: send less at once, and try again later."""


class CertificateError(PeerError):
    """The other side is not who it should be: send nothing; somebody has to look, but try again all the same."""


class LoginError(PeerError):
    """The other PowerPi does not know this name and password: say so, try rarely."""


class RefusedError(PeerError):
    """The other PowerPi, or the one that runs here, understands and will not: say what, try rarely."""


class TooLargeError(RefusedError):
    """Somebody on the way takes no message of this size: send less at once."""


class OutOfStepError(PeerError):
    """The other PowerPi holds other rows than was thought: ask what it holds, go on from there."""


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


class ConflictError(AnsweredError):
    """Rows that do not fit those that are here: answer 409, the sender asks what is here."""


class FutureError(AnsweredError):
    """Rows that lie in the future, so that one of two clocks is wrong: answer 422, change nothing."""


class UnreadyError(AnsweredError):
    """This machine cannot judge what it is sent, its clock is not set yet: answer 503."""


class TooMuchError(AnsweredError):
    """A body that is too long: answer 413."""


class MethodError(AnsweredError):
    """A method that is not offered at this address: answer 405."""

    def __init__(self, methods: Sequence[str]) -> None:
        super().__init__("method", methods=", ".join(methods))
        self.methods = tuple(methods)


def shown(value: str) -> str:
    """A foreign value as it may stand in a sentence: quoted, escaped, and not long."""
    return ascii(value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "...")
