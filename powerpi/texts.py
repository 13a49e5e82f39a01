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
    "graph_percentile": {"en": "95 % of the time below", "de": "95 % der Zeit unter"},
    "graph_percentile_short": {"en": "95 % below", "de": "95 % unter"},
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
    "waiting": {"en": "Waiting for the first pulses", "de": "Wartet auf die ersten Impulse"},
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
    "gaps": {"en": "Gaps", "de": "Lücken"},
    "gaps_lately": {
        "en": "Gaps ({number} in the last 31 days)",
        "de": "Lücken ({number} in den letzten 31 Tagen)",
    },
    "gap_time": {"en": "From – to", "de": "Von – bis"},
    "gap_length": {"en": "Length", "de": "Dauer"},
    "gap_reason": {"en": "Reason", "de": "Grund"},
    "gap_open": {"en": "Since {start}", "de": "Seit {start}"},
    "gap_stopped": {"en": "PowerPi was stopped", "de": "PowerPi wurde angehalten"},
    "gap_ended": {"en": "PowerPi ended unexpectedly", "de": "PowerPi endete unerwartet"},
    "gap_power_cut": {
        "en": "Power cut, or the machine crashed",
        "de": "Stromausfall oder Absturz des Rechners",
    },
    "gap_clock_unset": {
        "en": "Stopped before the clock was set",
        "de": "Angehalten, bevor die Uhr gestellt war",
    },
    "gap_clock_stepped": {"en": "The clock was changed", "de": "Die Uhr wurde verstellt"},
    "gap_disk": {"en": "Disk or file error", "de": "Fehler der Platte oder ihrer Datei"},
    "gap_unknown": {"en": "Not known", "de": "Unbekannt"},
    "gaps_as_json": {"en": "All gaps, as JSON", "de": "Alle Lücken, als JSON"},
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
    "period_week": {"en": "Last 7 days", "de": "Letzte 7 Tage"},
    "period_month": {"en": "Last 31 days", "de": "Letzte 31 Tage"},
    "period_quarter": {"en": "Last 13 weeks", "de": "Letzte 13 Wochen"},
    "period_year": {"en": "Last 12 months", "de": "Letzte 12 Monate"},
    "periods": {"en": "Other periods", "de": "Andere Zeiträume"},
    "span_hour": {"en": "1 hour", "de": "1 Stunde"},
    "span_12h": {"en": "12 hours", "de": "12 Stunden"},
    "span_day": {"en": "24 hours", "de": "24 Stunden"},
    "span_week": {"en": "7 days", "de": "7 Tage"},
    "span_month": {"en": "31 days", "de": "31 Tage"},
    "span_quarter": {"en": "13 weeks", "de": "13 Wochen"},
    "span_year": {"en": "12 months", "de": "12 Monate"},
    "times": {"en": "Earlier and later", "de": "Früher und später"},
    "earlier": {"en": "Earlier", "de": "Früher"},
    "later": {"en": "Later", "de": "Später"},
    "now": {"en": "Now", "de": "Jetzt"},
    "back": {"en": "All figures and graphs", "de": "Alle Werte und Graphen"},
    "picture_as": {"en": "This picture as", "de": "Dieses Bild als"},
    "past": {"en": "{start} to {end}", "de": "{start} bis {end}"},
    "past_curve": {"en": "Power from {start} to {end}", "de": "Leistung von {start} bis {end}"},
    "past_day": {"en": "Energy per day from {start} to {end}", "de": "Energie je Tag von {start} bis {end}"},
    "past_month": {"en": "Energy per month from {start} to {end}", "de": "Energie je Monat von {start} bis {end}"},
    "format_past_curve": {"en": "%Y-%m-%d %H:%M", "de": "%d.%m.%Y %H:%M"},
    "format_past_day": {"en": "%Y-%m-%d", "de": "%d.%m.%Y"},
    "format_past_month": {"en": "%Y-%m", "de": "%m/%Y"},
    "alt_hour": {"en": "Power of the last hour", "de": "Leistung der letzten Stunde"},
    "alt_12h": {"en": "Power of the last 12 hours", "de": "Leistung der letzten 12 Stunden"},
    "alt_day": {"en": "Power of the last 24 hours", "de": "Leistung der letzten 24 Stunden"},
    "alt_week": {"en": "Power of the last 7 days", "de": "Leistung der letzten 7 Tage"},
    "alt_month": {"en": "Energy per day of the last 31 days", "de": "Energie je Tag der letzten 31 Tage"},
    "alt_quarter": {"en": "Energy per day of the last 13 weeks", "de": "Energie je Tag der letzten 13 Wochen"},
    "alt_year": {"en": "Energy per month of the last 12 months", "de": "Energie je Monat der letzten 12 Monate"},
    "alt_curve": {
        "en": ": mean {mean}\u00a0W, peak {peak}\u00a0W",
        "de": ": Mittel {mean}\u00a0W, Spitze {peak}\u00a0W",
    },
    "alt_bars": {
        "en": ": mean {mean}\u00a0kWh, highest {peak}\u00a0kWh",
        "de": ": Mittel {mean}\u00a0kWh, Höchstwert {peak}\u00a0kWh",
    },
    "alt_peak_clock": {"en": " at %H:%M", "de": " um %H:%M"},
    "alt_peak_moment": {"en": " on %Y-%m-%d at %H:%M", "de": " am %d.%m.%Y um %H:%M"},
    "alt_peak_day": {"en": " on %Y-%m-%d", "de": " am %d.%m.%Y"},
    "alt_peak_month": {"en": " in %Y-%m", "de": " im Monat %m/%Y"},
    "alt_incomplete": {"en": "; {bars} of {of} not wholly known", "de": "; {bars} von {of} nicht ganz bekannt"},
    "alt_unknown": {"en": ": nothing is known yet", "de": ": noch ist nichts bekannt"},
    "format_clock": {"en": "%H:%M", "de": "%H:%M"},
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
        "en": "Storing fails; what is counted is kept in memory: {value}",
        "de": "Das Speichern misslingt; Gezähltes bleibt im Arbeitsspeicher: {value}",
    },
    "notice_thread_dead": {
        "en": "A part of PowerPi has stopped or hangs: {value}. If this stays, restart PowerPi.",
        "de": "Ein Teil von PowerPi steht oder hängt: {value}. Wenn das so bleibt, PowerPi neu starten.",
    },
    "notice_reader": {
        "en": "The graphs cannot be drawn at the moment; the log says why. Counting goes on.",
        "de": "Die Graphen lassen sich gerade nicht zeichnen; das Protokoll sagt, warum. Gezählt wird weiter.",
    },
    "notice_edges_lost": {
        "en": "Edges were lost today, {value} since the start; the count may be too low.",
        "de": "Heute gingen Flanken verloren, {value} seit dem Start; der Zählerstand kann zu niedrig sein.",
    },
    "notice_contact_closed": {
        "en": "The contact has been closed for {value}. Is S0 the wrong way round, or the wire shorted?",
        "de": "Der Kontakt ist seit {value} geschlossen. Ist S0 verpolt oder der Draht kurzgeschlossen?",
    },
    "notice_files": {"en": "Look at the stored files: {value}", "de": "Zu den gespeicherten Dateien: {value}"},
    "notice_stored_late": {
        "en": "The newest values are still waiting to be stored.",
        "de": "Die neuesten Werte warten noch darauf, gespeichert zu werden.",
    },
}

ERROR_TEXTS: dict[str, dict[str, str]] = {
    "error_no_meter": {
        "en": "There is no meter {name}; known: {known}.",
        "de": "Es gibt keinen Zähler {name}; bekannt: {known}.",
    },
    "error_no_period": {
        "en": "There is no period {name}; known: {known}.",
        "de": "Es gibt keinen Zeitraum {name}; bekannt: {known}.",
    },
    "error_no_page": {"en": "There is no page {name}.", "de": "Es gibt keine Seite {name}."},
    "error_no_file": {"en": "There is no file {name}.", "de": "Es gibt keine Datei {name}."},
    "error_no_parameter": {
        "en": "There is no parameter {name} here; known: {known}.",
        "de": "Es gibt hier keinen Parameter {name}; bekannt: {known}.",
    },
    "error_parameter_twice": {"en": "A parameter is given twice.", "de": "Ein Parameter ist doppelt angegeben."},
    "error_number_out_of_bounds": {
        "en": "{name} must be a whole number from {low} to {high}, not {value}.",
        "de": "{name} muss eine ganze Zahl von {low} bis {high} sein, nicht {value}.",
    },
    "error_no_choice": {
        "en": "{name} must be one of {choices}, not {value}.",
        "de": "{name} muss eines von {choices} sein, nicht {value}.",
    },
    "error_too_many_dots": {
        "en": "width x height x zoom² must be at most {most}, not {dots}.",
        "de": "width x height x zoom² darf höchstens {most} sein, nicht {dots}.",
    },
    "error_unreadable_query": {
        "en": "The query is not a list of at most {most} parameters in UTF-8.",
        "de": "Hinter dem Fragezeichen steht keine Liste von höchstens {most} Parametern in UTF-8.",
    },
    "error_unreadable_path": {
        "en": "The path is not printable text in UTF-8.",
        "de": "Der Pfad ist kein druckbarer Text in UTF-8.",
    },
    "error_long_address": {
        "en": "The address is longer than {most} characters.",
        "de": "Die Adresse ist länger als {most} Zeichen.",
    },
    "error_foreign_host": {
        "en": "PowerPi does not answer to the host name {host}; its own further names belong to host_names in its"
        " configuration.",
        "de": "PowerPi hört nicht auf den Namen {host}; eigene weitere Namen gehören zu host_names in seiner"
        " Konfiguration.",
    },
    "error_read_only": {
        "en": "These pages can only be read: GET and HEAD are the methods.",
        "de": "Diese Seiten lassen sich nur lesen: mit den Methoden GET und HEAD.",
    },
    "error_reader": {
        "en": "The graph cannot be drawn at the moment; the log says why.",
        "de": "Der Graph lässt sich gerade nicht zeichnen; das Protokoll sagt, warum.",
    },
    "error_store": {
        "en": "The stored values cannot be had at the moment: {reason}.",
        "de": "An die gespeicherten Werte ist gerade nicht heranzukommen: {reason}.",
    },
    "error_failed": {
        "en": "PowerPi failed; its log says why.",
        "de": "PowerPi ist gescheitert; sein Protokoll sagt, woran.",
    },
}

TEXTS = GRAPH_TEXTS | PAGE_TEXTS | ERROR_TEXTS


def texts(language: str) -> Mapping[str, str]:
    """All texts of one language (a member of LANGUAGES), by key."""
    return {key: words[language] for key, words in TEXTS.items()}
