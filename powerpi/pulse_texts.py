"""What the page says of the newest pulses of a contact, in German and English: a part of the catalogue."""

from __future__ import annotations

PULSE_TEXTS: dict[str, dict[str, str]] = {
    "pulse_health": {"en": "Pulse health", "de": "Zustand der Impulse"},
    "pulses_none": {"en": "No pulse has come since the start.", "de": "Seit dem Start kam kein Impuls."},
    "no_pulse_yet": {"en": "No pulse has come yet", "de": "Noch ist kein Impuls gekommen"},
    "no_pulse_yet_help": {
        "en": "how to wire it, what to look at",
        "de": "so wird verdrahtet, darauf ist zu achten",
    },
    "pulse_width": {"en": "Width", "de": "Breite"},
    "pulse_pause": {"en": "Pause", "de": "Pause"},
    "pulse_widths": {"en": "Widths of the newest pulses ({pulses})", "de": "Breiten der neuesten Impulse ({pulses})"},
    "pulse_widths_rejected": {
        "en": "Widths of the newest pulses ({pulses}) and rejected closings ({rejected})",
        "de": "Breiten der neuesten Impulse ({pulses}) und verworfenen Schließungen ({rejected})",
    },
    "pulse_pauses": {"en": "Pauses before these pulses", "de": "Pausen vor diesen Impulsen"},
    "pulse_count": {"en": "Number", "de": "Anzahl"},
    "pulse_and_rejected": {"en": "{pulses} + {rejected} rejected", "de": "{pulses} + {rejected} verworfen"},
    "pulse_usual": {"en": "{usual}, at least {shortest}", "de": "{usual}, mindestens {shortest}"},
    "pulse_limit": {"en": "Shortest that counts", "de": "Kürzester, der zählt"},
    "pulse_peak": {"en": "Highest power of the last day", "de": "Höchste Leistung des letzten Tages"},
    "pulse_highest": {"en": "Highest countable power", "de": "Höchste zählbare Leistung"},
    "pulse_span": {"en": "{low}–{high}\u00a0{unit}", "de": "{low}–{high}\u00a0{unit}"},
    "pulse_span_open": {"en": "from {low}\u00a0{unit}", "de": "ab {low}\u00a0{unit}"},
    "pulse_proposed": {
        "en": "min_pulse_ms = {proposed} would lie better between disturbances and pulses than {configured}.",
        "de": "min_pulse_ms = {proposed} läge besser zwischen Störungen und Impulsen als {configured}.",
    },
    "pulses_as_json": {"en": "The last pulses, as JSON", "de": "Die letzten Impulse, als JSON"},
    "notice_near_limit": {
        "en": "Within the last day the power rose to {value}\u00a0% of the highest that these pulses can tell; above it"
        " pulses run into each other and are lost. Shorter pulses or fewer per kWh, if the meter can be set, leave"
        " more room.",
        "de": "Am letzten Tag stieg die Leistung auf {value}\u00a0% dessen, was diese Impulse höchstens melden können;"
        " darüber laufen sie ineinander und gehen verloren. Kürzere Impulse oder weniger je kWh, falls am Zähler"
        " einstellbar, lassen mehr Luft.",
    },
}
