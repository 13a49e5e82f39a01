"""The sentences that answer a request that cannot be served, in German and English: a part of the catalogue."""

from __future__ import annotations

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
    "error_method": {
        "en": "This address takes the methods {methods}.",
        "de": "Diese Adresse nimmt die Methoden {methods}.",
    },
    "error_message": {
        "en": "This message cannot be taken: {reason}.",
        "de": "Diese Nachricht kann nicht angenommen werden: {reason}.",
    },
    "error_too_much": {
        "en": "The body is longer than {most} bytes.",
        "de": "Der Inhalt ist länger als {most} Bytes.",
    },
    "error_rows_conflict": {
        "en": "The rows begin after {after}, but the newest row here is that of {newest}.",
        "de": "Die Zeilen beginnen nach {after}, aber die neueste Zeile hier ist die von {newest}.",
    },
    "error_rows_not_held": {
        "en": "Rows from {after} to {until} cannot be put right: they are not held here.",
        "de": "Zeilen von {after} bis {until} lassen sich nicht berichtigen: Sie liegen hier nicht.",
    },
    "error_rows_future": {
        "en": "The row of {time} lies {seconds} s in the future by this machine's clock: one of two clocks is wrong.",
        "de": "Die Zeile von {time} liegt nach der Uhr dieses Rechners {seconds} s in der Zukunft: Eine von zwei Uhren"
        " geht falsch.",
    },
    "error_clock_unset": {
        "en": "The clock of this mirror is not set yet.",
        "de": "Die Uhr dieses Spiegels ist noch nicht gestellt.",
    },
    "error_no_samples": {
        "en": "{name} sends no power samples here: that takes protocol = get.php in its section.",
        "de": "{name} sendet hier keine Leistungswerte: Dazu gehört protocol = get.php in seinen Abschnitt.",
    },
    "error_login_wanted": {
        "en": "A name and its password are wanted here; they are missing or wrong.",
        "de": "Hier sind ein Name und sein Passwort verlangt; sie fehlen oder stimmen nicht.",
    },
    "error_login_slow": {
        "en": "Too many attempts to log in; try again in {seconds} s.",
        "de": "Zu viele Versuche, sich anzumelden; in {seconds} s noch einmal versuchen.",
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
