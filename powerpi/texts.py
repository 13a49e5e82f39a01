"""Every text that a browser shows, in German and English: the one catalogue.

`TEXTS[key][language]`; a page or graph asks `texts(language)` once and then reads `words["key"]`.
Formats of numbers and dates belong here too, because they differ by language.
"""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "de")

GRAPH_TEXTS: dict[str, dict[str, str]] = {
    "graph_power": {"en": "Power (W)", "de": "Leistung (W)"},
    "graph_mean": {"en": "Mean", "de": "Mittel"},
    "graph_percentile": {"en": "95th percentile", "de": "95. Perzentil"},
    "graph_percentile_short": {"en": "95 %", "de": "95 %"},
    "graph_peak": {"en": "Peak", "de": "Spitze"},
    "graph_gap": {"en": "no data", "de": "keine Daten"},
    "graph_per_day": {"en": "per day", "de": "je Tag"},
    "graph_per_month": {"en": "per month", "de": "je Monat"},
    "graph_part": {"en": "in part", "de": "unvollständig"},
    "graph_total": {"en": "Total", "de": "Summe"},
    "graph_decimal_sign": {"en": ".", "de": ","},
    # strftime; the twins "_figures" are for a machine without weekdays and months in this language
    "graph_clock_format": {"en": "%H:%M", "de": "%H:%M"},
    "graph_moment_format": {"en": "%d %b, %H:%M", "de": "%d.%m., %H:%M"},
    "graph_weekday_format": {"en": "%a", "de": "%a"},
    "graph_weekday_format_figures": {"en": "%d/%m", "de": "%d.%m."},
    "graph_weekday_date_format": {"en": "%a %d", "de": "%a %d."},
    "graph_weekday_date_format_figures": {"en": "%d/%m", "de": "%d.%m."},
    "graph_day_format": {"en": "%a %d %b", "de": "%a %d.%m."},
    "graph_day_format_figures": {"en": "%d/%m", "de": "%d.%m."},
    "graph_date_format": {"en": "%d %b", "de": "%d.%m."},
    "graph_date_format_figures": {"en": "%d/%m", "de": "%d.%m."},
    "graph_month_format": {"en": "%b", "de": "%b"},
    "graph_month_format_figures": {"en": "%m", "de": "%m"},
}

PAGE_TEXTS: dict[str, dict[str, str]] = {
    "skip": {"en": "Skip to the figures", "de": "Zu den Werten springen"},
    "meters": {"en": "Meters", "de": "Zähler"},
    "language": {"en": "Language", "de": "Sprache"},
    "power_now": {"en": "Power now", "de": "Leistung jetzt"},
    "at_most": {"en": "at most", "de": "höchstens"},
    "last_pulse": {"en": "Last pulse {time}", "de": "Letzter Impuls {time}"},
    "last_pulse_none": {"en": "No pulse yet", "de": "Noch kein Impuls"},
    "today": {"en": "Today", "de": "Heute"},
    "yesterday": {"en": "Yesterday", "de": "Gestern"},
    "meter_reading": {"en": "Meter reading", "de": "Zählerstand"},
    "unknown_part": {"en": "{span} unknown", "de": "{span} unbekannt"},
    "details": {"en": "About this meter", "de": "Zu diesem Zähler"},
    "meter_constant": {"en": "Meter constant", "de": "Zählerkonstante"},
    "contact": {"en": "Contact", "de": "Kontakt"},
    "contact_closed": {"en": "closed", "de": "geschlossen"},
    "contact_open": {"en": "open", "de": "offen"},
    "edges_rejected": {"en": "Edges rejected", "de": "Verworfene Flanken"},
    "edges_lost": {"en": "Edges lost", "de": "Verlorene Flanken"},
    "enlarge": {"en": "Enlarge", "de": "Vergrößern"},
    "notices": {"en": "Notices", "de": "Hinweise"},
    "no_answer": {
        "en": "PowerPi does not answer; these are the last values.",
        "de": "PowerPi antwortet nicht; dies sind die letzten Werte.",
    },
    "refresh_is_on": {"en": "The page refreshes itself.", "de": "Die Seite aktualisiert sich selbst."},
    "refresh_is_off": {"en": "The page stands still.", "de": "Die Seite steht still."},
    "refresh_switch_off": {"en": "Switch off", "de": "Ausschalten"},
    "refresh_switch_on": {"en": "Switch on", "de": "Einschalten"},
    "period_hour": {"en": "Last hour", "de": "Letzte Stunde"},
    "period_12h": {"en": "Last 12 hours", "de": "Letzte 12 Stunden"},
    "period_day": {"en": "Last 24 hours", "de": "Letzte 24 Stunden"},
    "period_week": {"en": "Week", "de": "Woche"},
    "period_month": {"en": "Month", "de": "Monat"},
    "period_quarter": {"en": "Quarter", "de": "Quartal"},
    "period_year": {"en": "Year", "de": "Jahr"},
    "alt_hour": {"en": "Power of the last hour", "de": "Leistung der letzten Stunde"},
    "alt_12h": {"en": "Power of the last 12 hours", "de": "Leistung der letzten 12 Stunden"},
    "alt_day": {"en": "Power of the last 24 hours", "de": "Leistung der letzten 24 Stunden"},
    "alt_week": {"en": "Power of the last 7 days", "de": "Leistung der letzten 7 Tage"},
    "alt_month": {"en": "Energy per day of the last 31 days", "de": "Energie je Tag der letzten 31 Tage"},
    "alt_quarter": {"en": "Energy per day of the last 91 days", "de": "Energie je Tag der letzten 91 Tage"},
    "alt_year": {"en": "Energy per month of the last 12 months", "de": "Energie je Monat der letzten 12 Monate"},
    "alt_curve": {"en": ": mean {mean} W, peak {peak} W", "de": ": Mittel {mean} W, Spitze {peak} W"},
    "alt_bars": {"en": ": mean {mean} kWh, highest {peak} kWh", "de": ": Mittel {mean} kWh, höchstens {peak} kWh"},
    "alt_peak_clock": {"en": " at %H:%M", "de": " um %H:%M"},
    "alt_peak_moment": {"en": " on %Y-%m-%d at %H:%M", "de": " am %d.%m.%Y um %H:%M"},
    "alt_peak_day": {"en": " on %Y-%m-%d", "de": " am %d.%m.%Y"},
    "alt_peak_month": {"en": " in %Y-%m", "de": " im Monat %m/%Y"},
    "alt_unknown": {"en": ": nothing is known yet", "de": ": noch ist nichts bekannt"},
    "format_clock_seconds": {"en": "%H:%M:%S", "de": "%H:%M:%S"},
    "format_date_clock": {"en": "%Y-%m-%d %H:%M", "de": "%d.%m.%Y %H:%M"},
    "group_sign": {"en": ",", "de": "\u202f"},  # DIN 1333: a narrow space
    "notice_no_pulse": {
        "en": "No pulse for {value}. Is something switched off, or is a wire loose?",
        "de": "Kein Impuls seit {value}. Ist etwas abgeschaltet oder ein Draht lose?",
    },
    "notice_clock_waiting": {
        "en": "The clock is not set yet. Counting goes on; the graphs follow as soon as it is.",
        "de": "Die Uhr ist noch nicht gestellt. Gezählt wird weiter, die Graphen folgen, sobald sie es ist.",
    },
    "notice_clock_untrusted": {
        "en": "The clock was never confirmed by the network: the times may be wrong.",
        "de": "Die Uhr wurde nie vom Netz bestätigt: Die Zeiten können falsch sein.",
    },
    "notice_disk": {
        "en": "Writing fails, what was counted is kept in memory: {value}",
        "de": "Das Schreiben misslingt, Gezähltes bleibt im Speicher: {value}",
    },
    "notice_thread_dead": {
        "en": "A part of PowerPi has stopped: {value}. It restarts itself.",
        "de": "Ein Teil von PowerPi steht: {value}. Es startet sich neu.",
    },
    "notice_reader": {
        "en": "The graphs cannot be drawn at the moment: {value}. Counting goes on.",
        "de": "Die Graphen lassen sich gerade nicht zeichnen: {value}. Gezählt wird weiter.",
    },
    "notice_edges_lost": {
        "en": "{value} edges were lost; the count may be too low.",
        "de": "{value} Flanken gingen verloren; der Zählerstand kann zu niedrig sein.",
    },
    "notice_stored_late": {
        "en": "The last values were stored late.",
        "de": "Die letzten Werte wurden verspätet gespeichert.",
    },
}

TEXTS = GRAPH_TEXTS | PAGE_TEXTS


def texts(language: str) -> Mapping[str, str]:
    """All texts of one language (a member of LANGUAGES), by key."""
    return {key: words[language] for key, words in TEXTS.items()}
