"""A meter on its way to a server of the system that PowerPi replaces: one power sample per interval, from the rows.

That server keeps seven days and says of each sample whether it takes it. What came while it was away is sent then,
oldest first; the time before PowerPi started is not, for nobody can ask such a server what it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from powerpi.digests import Unit
from powerpi.errors import RefusedError
from powerpi.ledger import Ledger
from powerpi.messages import State
from powerpi.pulses import STEP_SECONDS
from powerpi.samples import interval_samples, sample_text
from powerpi.sync import Progress, Verdict

if TYPE_CHECKING:
    from powerpi.peer import Peer

KEPT_SECONDS = 7 * 86400  # by such a server


class SampleCourse:
    """Satisfies push.Course; `interval_seconds` is rounded up to whole rows."""

    def __init__(self, meter: str, ledger: Ledger, peer: Peer, imp_per_kwh: float, interval_seconds: int) -> None:
        self.meter = meter
        self._ledger = ledger
        self._peer = peer
        self._imp_per_kwh = imp_per_kwh
        self._interval_seconds = -(-interval_seconds // STEP_SECONDS) * STEP_SECONDS
        self._sent: int | None = None  # up to when all is sent, Unix seconds

    def catch_up(
        self,
        state: Callable[[], State | None],  # noqa: ARG002 (nobody asks for it)
        surprised: Callable[[], None] = lambda: None,  # noqa: ARG002 (such a server tells nothing)
    ) -> Iterator[Progress]:
        """Send the samples of all intervals that are over; yields after each. Raises PeerError, StoreError."""
        newest = self._ledger.newest()
        if newest is None:
            return
        over = newest.time // self._interval_seconds * self._interval_seconds
        if self._sent is None:
            self._sent = over
        self._sent = max(self._sent, over - KEPT_SECONDS)
        refused = None
        rates = self._ledger.rows(Unit(STEP_SECONDS, self._sent, over)) if self._sent < over else ()
        for sample in interval_samples(self._sent, rates, self._imp_per_kwh, self._interval_seconds):
            refused = None if self._peer.sample(sample_text(sample)) else sample
            self._sent = sample.time
            yield Progress((over - sample.time) // STEP_SECONDS, sample.time)
        self._sent = over
        if refused:
            raise RefusedError(f"{self._peer.name} refused the sample {sample_text(refused)}")

    def verify(self, fresh: bool) -> Verdict:  # noqa: ARG002 (as a mirror has it)
        """Nothing can be compared with such a server."""
        return Verdict()

    def slow(self) -> None:
        """A sample is as short as can be."""
