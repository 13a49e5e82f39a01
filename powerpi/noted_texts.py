"""What is said of noted readings, in German and English: a part of the catalogue."""

from __future__ import annotations

NOTED_TEXTS: dict[str, dict[str, str]] = {
    "noted_last": {"en": "Last noted reading", "de": "Letzte Ablesung"},
    "noted_value": {"en": "{kwh}\u00a0kWh, {time}", "de": "{kwh}\u00a0kWh, {time}"},
    "noted_since": {"en": "Counted since {date}", "de": "Gezählt seit {date}"},
    "noted_part": {"en": "{counted} of {shown}\u00a0kWh", "de": "{counted} von {shown}\u00a0kWh"},
    "noted_well": {"en": "How well", "de": "Wie genau"},
    "noted_interval": {
        "en": "since {date}: {counted} kWh counted, {shown} on the meter, {verdict}",
        "de": "seit {date}: {counted} kWh gezählt, {shown} am Zähler, {verdict}",
    },
    "noted_missing": {
        "en": "{share}\u00a0% missing ({pulses} pulses)",
        "de": "es fehlen {share}\u00a0% ({pulses} Impulse)",
    },
    "noted_too_many": {
        "en": "{share}\u00a0% too many ({pulses} pulses)",
        "de": "{share}\u00a0% zu viel ({pulses} Impulse)",
    },
    "noted_too_many_alone": {"en": "{pulses} pulses too many", "de": "{pulses} Impulse zu viel"},
    "noted_exact": {"en": "as exact as the display tells", "de": "so genau, wie die Anzeige es zeigt"},
    "noted_unknown": {"en": "{verdict}; {span} unknown", "de": "{verdict}; {span} unbekannt"},
}
