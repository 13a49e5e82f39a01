"""Every text that a browser shows, in German and English: the one catalogue.

`TEXTS[key][language]`; a page or graph asks `texts(language)` once and then reads `words["key"]`.
Formats of numbers and dates belong here too, because they differ by language.
"""

from __future__ import annotations

from collections.abc import Mapping

from powerpi.error_texts import ERROR_TEXTS
from powerpi.help_texts import HELP_TEXTS
from powerpi.noted_texts import NOTED_TEXTS
from powerpi.pulse_texts import PULSE_TEXTS

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
    "meter": {"en": "Meter", "de": "Zähler"},
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
    "received_from": {"en": "Received from {sender}", "de": "Empfangen von {sender}"},
    "received_last": {
        "en": "Received from {sender}, last heard of {time}",
        "de": "Empfangen von {sender}, zuletzt gehört {time}",
    },
    "sampled": {"en": "made of power samples", "de": "aus Leistungswerten"},
    "nothing_received": {
        "en": "Nothing has been received yet. The page fills as soon as the first sender reports.",
        "de": "Noch wurde nichts empfangen. Die Seite füllt sich, sobald sich der erste Sender meldet.",
    },
    "push_host": {"en": "Mirror {host}: {state}", "de": "Spiegel {host}: {state}"},
    "push_starting": {"en": "not asked yet", "de": "noch nicht gefragt"},
    "push_in_step": {"en": "in step", "de": "auf gleichem Stand"},
    "push_identical": {"en": "identical up to {time}", "de": "identisch bis {time}"},
    "push_behind": {"en": "{rows} rows behind", "de": "{rows} Zeilen zurück"},
    "push_behind_since": {"en": "{rows} rows behind since {time}", "de": "{rows} Zeilen zurück seit {time}"},
    "push_nothing_missing": {"en": "nothing is missing there yet", "de": "dort fehlt noch nichts"},
    "push_nothing_missing_since": {"en": "nothing is missing there yet", "de": "dort fehlt noch nichts"},
    "push_behind_one": {"en": "1 row behind", "de": "1 Zeile zurück"},
    "push_behind_one_since": {"en": "1 row behind since {time}", "de": "1 Zeile zurück seit {time}"},
    "push_out_of_step": {"en": "not in step yet", "de": "noch nicht auf gleichem Stand"},
    "push_out_of_step_since": {"en": "not in step since {time}", "de": "nicht auf gleichem Stand seit {time}"},
    "push_why_clock": {"en": "the clock is not set yet", "de": "die Uhr ist noch nicht gestellt"},
    "push_why_away": {"en": "it cannot be reached", "de": "er ist nicht zu erreichen"},
    "push_why_slow": {"en": "it does not answer in time", "de": "er antwortet nicht rechtzeitig"},
    "push_why_certificate": {"en": "its certificate will not do", "de": "sein Zertifikat taugt nicht"},
    "push_why_login": {"en": "it refuses user or password", "de": "er lehnt Benutzer oder Passwort ab"},
    "push_why_refused": {"en": "it refuses the rows", "de": "er lehnt die Zeilen ab"},
    "push_why_store": {"en": "the rows here cannot be read", "de": "die Zeilen hier sind nicht zu lesen"},
    "push_why_failed": {
        "en": "PowerPi failed; its log says why",
        "de": "PowerPi ist gescheitert; das Protokoll sagt, woran",
    },
    "notice_push_away": {
        "en": "The mirror has been out of reach for a while; nothing is lost, it is tried again: {value}",
        "de": "Der Spiegel ist seit einer Weile unerreichbar; nichts geht verloren, es wird weiter versucht: {value}",
    },
    "notice_push_slow": {
        "en": "The mirror has not answered in time for a while; nothing is lost, it is tried again: {value}",
        "de": "Der Spiegel antwortet seit einer Weile zu spät; nichts geht verloren, es wird weiter versucht: {value}",
    },
    "notice_push_certificate": {
        "en": "Nothing is sent to the mirror: {value}",
        "de": "An den Spiegel wird nichts gesendet, sein Zertifikat taugt nicht: {value}",
    },
    "notice_push_login": {
        "en": "The mirror refuses user or password: look at [push] here, and at the section of that name there.",
        "de": "Der Spiegel lehnt Benutzer oder Passwort ab: siehe [push] hier und den Abschnitt dieses Namens dort.",
    },
    "notice_push_refused": {
        "en": "The mirror refuses what is sent: {value}",
        "de": "Der Spiegel lehnt ab, was gesendet wird: {value}",
    },
    "notice_push_store": {
        "en": "The rows for the mirror cannot be read: {value}",
        "de": "Die Zeilen für den Spiegel sind nicht zu lesen: {value}",
    },
    "notice_push_failed": {
        "en": "Sending to the mirror fails; the log says why: {value}",
        "de": "Das Senden an den Spiegel misslingt; das Protokoll sagt, warum: {value}",
    },
    "notice_push_damaged": {
        "en": "{value} rows have changed on this disk since they were written, and the mirror holds others.",
        "de": "{value} Zeilen haben sich auf dieser Platte verändert, und der Spiegel hat andere.",
    },
    "notice_push_only_there": {
        "en": "The mirror knows {value} rows that are unknown here: `powerpi restore --from-mirror` brings them back.",
        "de": "Der Spiegel kennt {value} Zeilen, die hier fehlen: `powerpi restore --from-mirror` holt sie zurück.",
    },
    "notice_push_counter": {
        "en": "The counter at the mirror is {value} pulses ahead: `powerpi restore --from-mirror` brings it back,"
        " `powerpi push --counter` drops it.",
        "de": "Der Zähler im Spiegel ist {value} Impulse voraus: `powerpi restore --from-mirror` holt ihn zurück,"
        " `powerpi push --counter` verwirft ihn.",
    },
    "notice_silent": {
        "en": "Nothing has been heard from its sender for {value}.",
        "de": "Von seinem Sender ist seit {value} nichts zu hören.",
    },
    "notice_silent_so_far": {
        "en": "Nothing has been heard from {value} since the start.",
        "de": "Von {value} ist seit dem Start nichts zu hören.",
    },
    "notice_stored_late": {
        "en": "The newest values are still waiting to be stored.",
        "de": "Die neuesten Werte warten noch darauf, gespeichert zu werden.",
    },
}

TEXTS = GRAPH_TEXTS | PAGE_TEXTS | ERROR_TEXTS | PULSE_TEXTS | HELP_TEXTS | NOTED_TEXTS


def texts(language: str) -> Mapping[str, str]:
    """All texts of one language (a member of LANGUAGES), by key."""
    return {key: words[language] for key, words in TEXTS.items()}
