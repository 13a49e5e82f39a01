"""What the page says of the newest pulses, in both languages."""

from __future__ import annotations

import pytest

from powerpi.page_pulses import BarView, HistogramView, length, pulses_view
from powerpi.pulse_health import PulseHealth, Seen, Trace, health
from powerpi.texts import texts


def healthy(rejected_ms: float | None = None) -> PulseHealth:
    """Four pulses, 36, 1 and 0.06 s apart, at 1000 imp/kWh."""
    trace = Trace(0.01)
    for begin in (1000.0, 1036.0, 1037.0, 1037.06):
        trace.pulse(begin, begin + 0.03)
    if rejected_ms:
        trace.reject(1020, 1020 + rejected_ms / 1000)
    return health(trace.seen(), 1000, 1100)


def test_widths_and_pauses_are_told_with_their_units() -> None:
    figures = dict(pulses_view(healthy(), texts("en")).figures)
    assert figures["Width"] == "30\u00a0ms, at least 30\u00a0ms"
    # pauses: 35.97 s, 0.97 s, 0.03 s; the median is the second
    assert figures["Pause"] == "970\u00a0ms, at least 30\u00a0ms"
    assert figures["Shortest that counts"] == "10\u00a0ms"
    # four pulses within 37.06 s: 3 x 3600 / 37.06
    assert figures["Highest power of the last day"] == "291\u00a0W"
    assert figures["Highest countable power"] == "–"  # too few to say


def test_bars_are_shares_of_the_longest_and_what_is_there_can_be_seen() -> None:
    widths, pauses = pulses_view(healthy(8.0), texts("de")).histograms
    assert widths == HistogramView(
        "Breiten der neuesten Impulse (4) und verworfenen Schließungen (1)",
        "Breite",
        [
            BarView("0–10\u00a0ms", 0, 25, "0 + 1 verworfen"),
            BarView("10–20\u00a0ms", 0, 0, "0"),
            BarView("20–30\u00a0ms", 0, 0, "0"),
            BarView("30–40\u00a0ms", 100, 0, "4"),
        ],
    )
    assert [(bar.span, bar.number) for bar in pauses.bars] == [
        ("30–100\u00a0ms", "1"), ("100–300\u00a0ms", "0"), ("300–1000\u00a0ms", "1"), ("1–3\u00a0s", "0"),
        ("3–10\u00a0s", "0"), ("10–30\u00a0s", "0"), ("30–100\u00a0s", "1"),
    ]  # fmt: skip


def test_one_of_very_many_is_a_bar_all_the_same() -> None:
    trace = Trace(0.01)
    for number in range(250):
        trace.pulse(1000 + number, 1000.03 + number)
    trace.pulse(2000, 2000.05)
    view = pulses_view(health(trace.seen(), 1000, 2100), texts("en"))
    assert [bar.pulses_share for bar in view.histograms[0].bars] == [100, 1]


def test_nothing_seen_is_nothing_drawn() -> None:
    view = pulses_view(health(Seen(min_pulse_ms=10), 1000, 0), texts("en"))
    assert (view.histograms, view.advice) == ([], "")
    assert {value for name, value in view.figures if name != "Shortest that counts"} == {"–"}


def test_a_better_limit_is_named_with_the_one_that_is_set() -> None:
    advised = healthy()._replace(proposed_min_pulse_ms=15.0, min_pulse_ms=2.5)
    assert pulses_view(advised, texts("de")).advice.startswith("min_pulse_ms = 15 läge besser")
    assert pulses_view(advised, texts("de")).advice.endswith("als 2.5.")  # as it stands in the file


@pytest.mark.parametrize(
    ("milliseconds", "wanted"), [(0.72, "0,7 ms"), (9.96, "10 ms"), (10, "10 ms"), (999.4, "999 ms"), (1500, "1,5 s")]
)
def test_lengths_are_as_fine_as_they_matter(milliseconds: float, wanted: str) -> None:
    assert length(milliseconds, texts("de")) == wanted.replace(" ", "\u00a0")
