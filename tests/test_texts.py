"""The catalogue of texts is complete: every key in every language, every key used, none missing."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from powerpi.assets import www_folder
from powerpi.gaps import REASONS
from powerpi.help_texts import HELP_TEXTS
from powerpi.noted_texts import NOTED_TEXTS
from powerpi.page_help import COMMANDS
from powerpi.periods import PERIODS
from powerpi.pulse_texts import PULSE_TEXTS
from powerpi.push_status import AT_ONCE, LATER
from powerpi.texts import ERROR_TEXTS, GRAPH_TEXTS, LANGUAGES, PAGE_TEXTS, TEXTS, texts

PACKAGE = Path(__file__).parent.parent / "powerpi"
CATALOGUES = ("texts.py", "error_texts.py", "help_texts.py", "noted_texts.py", "pulse_texts.py")
SOURCES = [path.read_text("utf-8") for path in sorted(PACKAGE.glob("*.py")) if path.name not in CATALOGUES]
TEMPLATES = [path.read_text("utf-8") for path in sorted(www_folder().glob("*.html"))]
STRINGS = {string for source in [*SOURCES, *TEMPLATES] for string in re.findall(r"""["']([a-z0-9_]+)["']""", source)}
# Keys that are put together: words[f"alt_{period.name}"] stands for one key per period.
FAMILIES = {
    "alt": PERIODS,
    "period": PERIODS,
    "span": PERIODS,
    "past": ("curve", "day", "month"),
    "format_past": ("curve", "day", "month"),
    "alt_peak": ("day", "month"),
    "gap": REASONS,
    "notice": (
        "no_pulse", "clock_waiting", "clock_untrusted", "disk", "thread_dead", "reader", "edges_lost", "stored_late",
        "contact_closed", "files", "near_limit", "silent", "silent_so_far",
        *(f"push_{key}" for key in (*AT_ONCE, *LATER, "damaged", "only_there", "counter")),
    ),
    "help_command": COMMANDS,
    "push_behind": ("since",),
    "push_behind_one": ("since",),
    "push_nothing_missing": ("since",),
    "push_out_of_step": ("since",),
    "push_why": ("clock", *AT_ONCE, *LATER),
}  # fmt: skip
# RequestError("KEY", ...), UnknownNameError("KEY", ...), and with a status before it _RefusedError(..., "KEY", ...)
ANSWERED_ERRORS = "Request|UnknownName|LoginWanted|LoginSlow|Conflict|Future|TooMuch|Unready|_Refused|_Failed"
ANSWERED = re.compile(rf"""(?:{ANSWERED_ERRORS})Error\((?:HTTPStatus\.\w+, )?"([a-z0-9_]+)\"""")
COMPOSED = {f"{family}_{member}" for family, members in FAMILIES.items() for member in members}


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_there_in_every_language(key: str) -> None:
    assert set(TEXTS[key]) == set(LANGUAGES)
    assert all(TEXTS[key].values())


@pytest.mark.parametrize("key", TEXTS)
def test_places_for_values_are_the_same_in_every_language(key: str) -> None:
    places = {
        frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None) for text in TEXTS[key].values()
    }
    assert len(places) == 1


def test_no_key_stands_in_both_catalogues() -> None:
    parts = (GRAPH_TEXTS, PAGE_TEXTS, ERROR_TEXTS, PULSE_TEXTS, HELP_TEXTS, NOTED_TEXTS)
    assert len(TEXTS) == sum(map(len, parts))


def test_every_error_that_is_answered_has_its_text_and_no_text_is_left_over() -> None:
    raised = {f"error_{key}" for source in SOURCES for key in ANSWERED.findall(source)}
    assert raised | {"error_reader", "error_store", "error_method"} == ERROR_TEXTS.keys()


def test_every_text_of_the_page_is_used() -> None:
    assert (PAGE_TEXTS | PULSE_TEXTS | HELP_TEXTS | NOTED_TEXTS).keys() - STRINGS - COMPOSED == set()


def test_every_text_that_is_asked_for_exists() -> None:
    asked = {key for source in [*SOURCES, *TEMPLATES] for key in re.findall(r"""words\[["']([a-z0-9_]+)["']""", source)}
    assert asked - TEXTS.keys() == set()
    assert COMPOSED - TEXTS.keys() == set()


def test_texts_are_those_of_one_language() -> None:
    assert texts("de")["today"] == "Heute"
    assert texts("en")["today"] == "Today"
