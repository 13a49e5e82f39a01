"""The texts of the help page, in German and English; texts takes them in."""

from __future__ import annotations

HELP_TEXTS: dict[str, dict[str, str]] = {
    "help": {"en": "Help", "de": "Hilfe"},
    "help_wiring": {"en": "Wiring", "de": "Verdrahtung"},
    "help_drawing": {
        "en": "Pin {plus} of the Pi's header to S0+ of the meter, pin {minus} to S0−",
        "de": "Pin {plus} der Stiftleiste des Pi an S0+ des Zählers, Pin {minus} an S0−",
    },
    "help_pin": {"en": "Pin", "de": "Pin"},
    "help_name": {"en": "Name", "de": "Name"},
    "help_goes_to": {"en": "Where to", "de": "Wohin"},
    "help_to_terminal": {"en": "{terminal} of the meter", "de": "{terminal} des Zählers"},
    "help_to_resistor": {
        "en": "through 1 to 10 kΩ to pin {signal}, only if the wires are long (dashed)",
        "de": "über 1 bis 10 kΩ an Pin {signal}, nur bei langen Drähten (gestrichelt)",
    },
    "help_never": {"en": "nowhere, ever: it destroys the Pi", "de": "niemals irgendwohin: Es zerstört den Pi"},
    "help_rules": {"en": "Before you wire", "de": "Vor dem Verdrahten"},
    "help_corner": {
        "en": "Pin 1 is in the corner beside the memory card. Odd numbers are in the inner column, even ones at the"
        " edge of the board. Wire it with the Pi off: sudo poweroff, then unplug it.",
        "de": "Pin 1 liegt in der Ecke bei der Speicherkarte. Ungerade Nummern sind in der inneren Spalte, gerade am"
        " Rand der Platine. Verdrahtet wird bei ausgeschaltetem Pi: sudo poweroff, dann den Stecker ziehen.",
    },
    "help_polarity": {
        "en": "S0 has a polarity: the wrong way round nothing is counted. Then swap the two wires; at the Pi's 3.3 V"
        " nothing is harmed.",
        "de": "S0 ist gepolt: Verkehrt herum wird nichts gezählt. Dann die beiden Drähte tauschen; bei den 3,3 V des"
        " Pi nimmt dabei nichts Schaden.",
    },
    "help_electrician": {
        "en": "The S0 output is isolated and carries a low voltage. Everything else in a fuse box can kill: work in"
        " there, the meter's end of the two wires too, is for an electrician.",
        "de": "Der S0-Ausgang ist galvanisch getrennt und führt Kleinspannung. Alles andere im Zählerschrank ist"
        " lebensgefährlich: Arbeiten darin, auch am zählerseitigen Ende der beiden Drähte, sind Sache einer"
        " Elektrofachkraft.",
    },
    "help_all_pins": {"en": "All 40 pins", "de": "Alle 40 Pins"},
    "help_no_meters": {
        "en": "No meter is counted on this machine. This is how one is wired to GPIO24, as in the sample of the"
        " configuration:",
        "de": "Auf diesem Rechner wird kein Zähler gezählt. So wird einer an GPIO24 angeschlossen, wie im Muster der"
        " Konfiguration:",
    },
    "help_constant": {"en": "Impulses per kWh", "de": "Impulse je kWh"},
    "help_constant_where": {
        "en": "The meter constant is printed on the front of the meter, as in 1000 imp/kWh; 1000 and 2000 are common,"
        " 100 to 10,000 exist. Where the lamp and the S0 output differ, that of S0 counts: look beside its terminals"
        " or in the data sheet. It stands in /etc/powerpi.conf as imp_per_kwh.",
        "de": "Die Zählerkonstante steht vorn auf dem Zähler, etwa 1000 imp/kWh; 1000 und 2000 sind üblich, 100 bis"
        " 10\u202f000 kommen vor. Wo sich die Lampe und der S0-Ausgang unterscheiden, gilt die von S0: siehe neben"
        " den Klemmen oder im Datenblatt. Sie steht in /etc/powerpi.conf als imp_per_kwh.",
    },
    "help_pulse": {
        "en": "{label}: at {constant} imp/kWh one pulse is {energy}\u00a0Wh. At 100\u00a0W one comes every"
        " {slow}\u00a0s, at 3000\u00a0W every {fast}\u00a0s.",
        "de": "{label}: Bei {constant} imp/kWh ist ein Impuls {energy}\u00a0Wh. Bei 100\u00a0W kommt alle"
        " {slow}\u00a0s einer, bei 3000\u00a0W alle {fast}\u00a0s.",
    },
    "help_no_pulse": {"en": "If no pulse comes", "de": "Wenn kein Impuls kommt"},
    "help_no_pulse_load": {
        "en": "Switch something big on, a kettle, and look at the meter's lamp: it blinks with the pulses.",
        "de": "Etwas Großes einschalten, etwa den Wasserkocher, und auf die Lampe des Zählers sehen: Sie blinkt mit"
        " den Impulsen.",
    },
    "help_no_pulse_watch": {
        "en": "See on the Pi how each pulse comes, with its width and the watts that it means:",
        "de": "Auf dem Pi zusehen, wie jeder Impuls kommt, mit seiner Breite und den Watt, die er bedeutet:",
    },
    "help_no_pulse_open": {
        "en": "The contact is always open: a wire is loose or at a wrong pin, S0+ and S0− are swapped, or gpio in the"
        " configuration names another pin. Move wires at the Pi only while it is off.",
        "de": "Der Kontakt ist immer offen: Ein Draht ist lose oder am falschen Pin, S0+ und S0− sind vertauscht,"
        " oder gpio in der Konfiguration nennt einen anderen Pin. Am Pi nur umstecken, wenn er aus ist.",
    },
    "help_no_pulse_closed": {
        "en": "The contact is always closed: the two wires touch, or S0+ and S0− are swapped.",
        "de": "Der Kontakt ist immer geschlossen: Die beiden Drähte berühren sich, oder S0+ und S0− sind vertauscht.",
    },
    "help_no_pulse_touch": {
        "en": "To tell meter and Pi apart, with the Pi on: have an electrician take both wires off the meter, and touch"
        " one with the other. Each touch must show up on the Pi.",
        "de": "Um Zähler und Pi zu unterscheiden, bei eingeschaltetem Pi: Beide Drähte von einer Elektrofachkraft vom"
        " Zähler lösen lassen und aneinander tippen. Jede Berührung muss sich auf dem Pi zeigen.",
    },
    "help_reading": {"en": "Meter reading", "de": "Zählerstand"},
    "help_reading_how": {
        "en": "Read the meter's display and tell PowerPi while it runs. From then on this page shows what the meter"
        " shows, and from the second time on how well it counts.",
        "de": "Die Anzeige des Zählers ablesen und PowerPi sagen, während es läuft. Von da an zeigt diese Seite, was"
        " der Zähler zeigt, und vom zweiten Mal an, wie genau gezählt wird.",
    },
    "help_home_screen": {"en": "On a phone's home screen", "de": "Auf dem Startbildschirm des Telefons"},
    "help_iphone": {
        "en": "iPhone: in Safari the Share button, then “Add to Home Screen”.",
        "de": "iPhone: in Safari auf Teilen, dann „Zum Home-Bildschirm“.",
    },
    "help_android": {
        "en": "Android: in Chrome the menu ⋮, then “Add to Home screen”. Without https it opens in the browser.",
        "de": "Android: in Chrome das Menü ⋮, dann „Zum Startbildschirm hinzufügen“. Ohne https öffnet sich der"
        " Browser.",
    },
    "help_outside": {"en": "From outside", "de": "Von unterwegs"},
    "help_outside_how": {
        "en": "Through a VPN into your network, as many routers offer one (WireGuard); or with a mirror on a server."
        " Never forward a port of the router to the Pi.",
        "de": "Über ein VPN in Ihr Netz, wie viele Router eines anbieten (WireGuard), oder mit einem Spiegel auf einem"
        " Server. Niemals einen Port des Routers zum Pi weiterleiten.",
    },
    "help_commands": {"en": "Commands on the Pi", "de": "Befehle auf dem Pi"},
    "help_command_check": {"en": "what is right and what is wrong", "de": "was stimmt und was nicht"},
    "help_command_report": {
        "en": "the same as a text for those who help, without secrets",
        "de": "dasselbe als Text für die, die helfen, ohne Geheimnisse",
    },
    "help_command_log": {"en": "the log", "de": "das Protokoll"},
    "help_command_restart": {
        "en": "after a change of the configuration",
        "de": "nach einer Änderung der Konfiguration",
    },
    "help_command_backup": {"en": "everything in one file", "de": "alles in eine Datei"},
}
