"""A meter that sends power samples, as the system that PowerPi replaces does: its energy is as true as they are."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

from powerpi import samples, units
from powerpi.clock import OLDEST_TIME
from powerpi.errors import FutureError
from powerpi.facts import Facts
from powerpi.ledger import Ledger
from powerpi.messages import Rows
from powerpi.meter import Live
from powerpi.mirrored import FUTURE_SECONDS, STALE_PUSHES, MirroredMeter
from powerpi.pulses import STEP_SECONDS, Contact
from powerpi.samples import Sample
from powerpi.store import Store

LEAST_WATTS = 1e-3  # no power at all has no distance between pulses


class SampledMeter(MirroredMeter):
    """A mirrored meter whose rows are made here, of the samples that come."""

    sampled = True

    def __init__(
        self,
        name: str,
        sender: str,
        store: Store,
        ledger: Ledger,
        monotonic: Callable[[], float],
        *,
        imp_per_kwh: float,
        sample_seconds: int,
    ) -> None:
        """`sample_seconds`: for how long a sample stands where one pulse at its power takes less. Raises StoreError."""
        super().__init__(name, sender, store, ledger, monotonic)
        self._imp_per_kwh = imp_per_kwh
        self._sample_seconds = sample_seconds
        self._stale_seconds = max(self._stale_seconds, STALE_PUSHES * sample_seconds)
        self._tally = samples.begin(*(store.last_row or (None, float(self.pulses))))

    def take_sample(self, sample: Sample, now: float, latest: float = math.inf) -> None:
        """Count a sample; `now` is Unix seconds. A file whose newest row is later than `latest` is set aside.

        Raises ValueError for one that is not later than the last, FutureError, StoreError; then no row has changed.
        """
        with self.lock:
            if sample.time < OLDEST_TIME:
                raise ValueError(f"the sample of {sample.time} is older than the year 2020 (Unix seconds)")
            if sample.time > now + FUTURE_SECONDS:
                raise FutureError("rows_future", time=sample.time, seconds=int(sample.time - now))
            if sample.time == self._tally.time:  # several pulses in one second: the next sample covers them too
                return
            if self._disown(sample.time, latest):  # by a clock that was wrong
                self._tally = samples.begin(None, self._tally.pulses)
            tally, block = samples.feed(self._tally, sample, self._imp_per_kwh, self._sample_seconds)
            self._save_facts(Facts(self.name, self.facts.label if self.facts else self.name, self._imp_per_kwh, 0.0))
            if block:
                rows = Rows(STEP_SECONDS, block.after, array("d", block.rates))
                self._store(rows, block.pulses, now)
            self._tally = tally
            if int(tally.pulses) > self.pulses and block:  # a register for each sample would wear the disk
                self.raise_counter(int(tally.pulses))
            self._show(sample)

    def _show(self, sample: Sample) -> None:
        now, row = self._monotonic(), self.store.last_row
        seconds = units.WATT_SECONDS_PER_KWH / (self._imp_per_kwh * max(sample.watts, LEAST_WATTS))
        since = max(0.0, self._tally.pulses - row.pulses) if row else 0.0
        self._live = Live(now, now, self.pulses, now, seconds, (), since, Contact(False), None)
        self.heard = now
