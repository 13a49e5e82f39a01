"""What the pages ask of a house: readings, pictures, gaps and health of all meters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from powerpi.anchors import Account
from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.pictures import BarFigures, Picture, PictureRequest
from powerpi.pulse_health import Pulses
from powerpi.push_status import PushStatus
from powerpi.readings import Health, MeterReading


class House(Protocol):
    """What the pages ask; every method may be called from several threads at once."""

    def meters(self, brief: bool = False) -> Sequence[MeterReading]:
        """All meters, in the order of the page; `brief`: without the energy of days."""

    def meter(self, name: str) -> MeterReading:
        """One meter; raises UnknownNameError."""

    def picture(self, meter: str, request: PictureRequest) -> Picture:
        """A graph, new enough; raises UnknownNameError or ReaderError."""

    def figures(self, meter: str, period: str, end: int | None = None) -> Figures | BarFigures:
        """What the graph that ends at `end` shows, None where unknown; raises UnknownNameError or ReaderError."""

    def gaps(self, meter: str) -> Sequence[Gap]:
        """When nothing is known of a meter, newest first; raises UnknownNameError."""

    def noted(self, meter: str) -> Account:
        """The readings of a meter's display that somebody noted; raises UnknownNameError."""

    def pulses(self, meter: str) -> Pulses | None:
        """The newest closings of a meter's contact; None: it is elsewhere. Raises UnknownNameError."""

    def labels(self) -> Mapping[str, str]:
        """What the meters are called, by name."""

    def health(self) -> Health:
        """What is wrong, if anything."""

    def push_status(self) -> PushStatus | None:
        """How the mirror of this machine stands; None: it has none."""
