"""The receiving side: who may send which meter, and the meters that are sent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from powerpi import samples
from powerpi.config import SenderSettings
from powerpi.digests import MOST_UNITS, UNIT_ROWS, Unit, units
from powerpi.errors import UnknownNameError, UnreadyError, WireError, shown
from powerpi.keys import GET_PHP
from powerpi.ledger import Ledger
from powerpi.messages import Push, Rows, Standing
from powerpi.mirrored import LOST_SECONDS, MirroredMeter
from powerpi.sampled import SampledMeter
from powerpi.store import Store

log = logging.getLogger(__name__)

Open = Callable[[str], tuple[Store, Ledger]]


class Mirror:
    """All senders and their meters; every method may be called from several threads at once.

    `open_files` gives the store and the ledger of a meter, `monotonic` CLOCK_MONOTONIC seconds, `now` Unix seconds or
    None while nobody knows, `trusted` whether that is known to be right.
    """

    def __init__(
        self,
        senders: Sequence[SenderSettings],
        open_files: Open,
        monotonic: Callable[[], float],
        now: Callable[[], float | None],
        trusted: Callable[[], bool],
    ) -> None:
        """Open what is there. Raises StoreError."""
        self._wall, self._trusted = now, trusted
        self._meters: dict[str, dict[str, MirroredMeter]] = {}  # by sender, then by its own name for it
        for sender in senders:
            log.info("receives %s from %s", ", ".join(own for _, own in sender.meters), sender.name)
            made = {theirs: _meter(sender, own, *open_files(own), monotonic) for theirs, own in sender.meters}
            for theirs, meter in made.items():
                meter.renamed = theirs != meter.name
            self._meters[sender.name] = made

    @property
    def meters(self) -> list[MirroredMeter]:
        """All meters, in the order of the configuration."""
        return [meter for meters in self._meters.values() for meter in meters.values()]

    @property
    def takes_samples(self) -> bool:
        """Whether any sender speaks as the system that PowerPi replaces."""
        return any(meter.sampled for meter in self.meters)

    def standing(self, sender: str, meter: str) -> Standing:
        """What is held of a meter. Raises UnknownNameError, StoreError."""
        return self._meter(sender, meter).standing(whole=True)

    def push(self, sender: str, meter: str, push: Push) -> Standing:
        """Take new rows and the state.

        Raises UnknownNameError, WireError, ConflictError, FutureError, UnreadyError, StoreError.
        """
        return self._meter(sender, meter).take(push, self._now(), self._latest())

    def repair(self, sender: str, meter: str, rows: Rows) -> Standing:
        """Put rows of the past right. Raises UnknownNameError, ConflictError, StoreError."""
        return self._meter(sender, meter).repair(rows)

    def set_counter(self, sender: str, meter: str, pulses: int) -> Standing:
        """Take a counter although it is lower than the one that is known. Raises UnknownNameError, StoreError."""
        found = self._meter(sender, meter)
        with found.lock:
            found.set_counter(pulses)
            return found.standing()

    def rows(self, sender: str, meter: str, unit: Unit) -> Rows:
        """The rows of a unit, or of a part of one. Raises UnknownNameError, WireError, StoreError."""
        if len(list(units(*unit))) != 1:
            raise WireError(f"rows from {unit.after} to {unit.until}: wanted those of one unit of digests")
        return self._meter(sender, meter).rows(unit)

    def digests(self, sender: str, meter: str, span: Unit, fresh: bool) -> dict[Unit, str]:
        """The digests of what is held in a span. Raises UnknownNameError, WireError, StoreError."""
        found = self._meter(sender, meter)
        if span.until - span.after > MOST_UNITS * UNIT_ROWS * span.step_seconds:
            raise WireError(f"digests from {span.after} to {span.until}: wanted those of at most {MOST_UNITS} units")
        return found.digests(span, fresh)

    def sample(self, sender: str, text: str) -> None:
        """Take a power sample.

        Raises UnknownNameError, ValueError, ConflictError, FutureError, UnreadyError, StoreError.
        """
        meters = [meter for meter in self._meters[sender].values() if isinstance(meter, SampledMeter)]
        if not meters:
            raise UnknownNameError("no_samples", name=shown(sender))
        meters[0].take_sample(samples.read_sample(text), self._now(), self._latest())

    def _now(self) -> float:
        """Unix seconds. Raises UnreadyError while nobody knows: rows of the future would do harm."""
        now = self._wall()
        if now is None:
            raise UnreadyError("clock_unset")
        return now

    def _latest(self) -> float:
        """The latest time that a row here can have: the file of a later one was written by a wrong clock."""
        now = self._wall()
        return math.inf if now is None or not self._trusted() else now + LOST_SECONDS

    def _meter(self, sender: str, meter: str) -> MirroredMeter:
        """A meter that this sender may send rows of. Raises UnknownNameError."""
        meters = {name: one for name, one in self._meters[sender].items() if not one.sampled}
        if meter not in meters:
            raise UnknownNameError("no_meter", name=shown(meter), known=", ".join(meters) or "-")
        return meters[meter]


def _meter(
    sender: SenderSettings, name: str, store: Store, ledger: Ledger, monotonic: Callable[[], float]
) -> MirroredMeter:
    if sender.protocol == GET_PHP:
        constant, seconds = sender.imp_per_kwh, sender.sample_seconds
        return SampledMeter(name, sender.name, store, ledger, monotonic, imp_per_kwh=constant, sample_seconds=seconds)
    return MirroredMeter(name, sender.name, store, ledger, monotonic)
