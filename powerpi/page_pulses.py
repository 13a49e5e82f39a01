"""What the page says of the newest pulses of a contact: figures, two histograms, and what to change, as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from powerpi.pulse_health import Bin, PulseHealth
from powerpi.wording import UNKNOWN, Words, number

MS_PER_SECOND = 1000
WHOLE_PERCENT = 100
FINE_MS = 9.95


class BarView(NamedTuple):
    """One column of a histogram; shares are whole percents of the longest one."""

    span: str
    pulses_share: int
    rejected_share: int
    number: str


class HistogramView(NamedTuple):
    """A histogram, with what it shows."""

    title: str
    quantity: str
    bars: list[BarView]


class PulsesView(NamedTuple):
    """The section of pulse health; every field is text in the page's language."""

    figures: list[tuple[str, str]]  # (name, value)
    histograms: list[HistogramView]  # none: no contact has closed yet
    advice: str  # empty: all is as it should be


def pulses_view(health: PulseHealth, words: Words) -> PulsesView:
    """What the page says about the newest pulses of one contact."""
    return PulsesView(_figures(health, words), _histograms(health, words), _advice(health, words))


def _figures(health: PulseHealth, words: Words) -> list[tuple[str, str]]:
    return [
        (words["pulse_width"], _usual(health.width_ms, health.shortest_width_ms, words)),
        (words["pulse_pause"], _usual(health.pause_ms, health.shortest_pause_ms, words)),
        (words["pulse_limit"], length(health.min_pulse_ms, words)),
        (words["pulse_peak"], _watts(health.peak_watts, words)),
        (words["pulse_highest"], _watts(health.highest_watts, words)),
    ]


def _usual(usual: float | None, shortest: float | None, words: Words) -> str:
    if usual is None or shortest is None:
        return UNKNOWN
    return words["pulse_usual"].format(usual=length(usual, words), shortest=length(shortest, words))


def _watts(watts: float | None, words: Words) -> str:
    return UNKNOWN if watts is None else f"{number(watts, 0, words)}\u00a0W"


def length(milliseconds: float, words: Words) -> str:
    """A width or a pause: to a tenth of a millisecond below 10 ms, of a second from 1 s on."""
    if milliseconds >= MS_PER_SECOND:
        return f"{number(milliseconds / MS_PER_SECOND, 1, words)}\u00a0s"
    fine = milliseconds < FINE_MS and round(milliseconds, 1) != round(milliseconds)
    return f"{number(milliseconds, 1 if fine else 0, words)}\u00a0ms"


def _histograms(health: PulseHealth, words: Words) -> list[HistogramView]:
    key = "pulse_widths_rejected" if health.rejected else "pulse_widths"
    titles = words[key].format(pulses=health.pulses, rejected=health.rejected), words["pulse_pauses"]
    kinds = (titles[0], words["pulse_width"], health.widths), (titles[1], words["pulse_pause"], health.pauses)
    return [HistogramView(title, quantity, _bars(bins, words)) for title, quantity, bins in kinds if bins]


def _bars(bins: Sequence[Bin], words: Words) -> list[BarView]:
    most = max(one.pulses + one.rejected for one in bins)
    return [
        BarView(_span(one, words), _share(one.pulses, most), _share(one.rejected, most), _count(one, words))
        for one in bins
    ]


def _share(count: int, most: int) -> int:
    """A whole percentage of the longest bar; what is there can be seen."""
    return max(1, WHOLE_PERCENT * count // most) if count else 0


def _count(one: Bin, words: Words) -> str:
    if not one.rejected:
        return str(one.pulses)
    return words["pulse_and_rejected"].format(pulses=one.pulses, rejected=one.rejected)


def _span(one: Bin, words: Words) -> str:
    per_unit, unit = (MS_PER_SECOND, "s") if one.from_ms >= MS_PER_SECOND else (1, "ms")
    if one.until_ms is None:
        return words["pulse_span_open"].format(low=one.from_ms // per_unit, unit=unit)
    return words["pulse_span"].format(low=one.from_ms // per_unit, high=one.until_ms // per_unit, unit=unit)


def _advice(health: PulseHealth, words: Words) -> str:
    if health.proposed_min_pulse_ms is None:
        return ""
    return words["pulse_proposed"].format(
        proposed=f"{health.proposed_min_pulse_ms:g}", configured=f"{health.min_pulse_ms:g}"
    )
