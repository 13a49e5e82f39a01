"""The exceptions: caught by what the caller can do about them."""

from __future__ import annotations

import pytest

from powerpi import errors
from powerpi.errors import AnsweredError, ConfigError, PowerPiError, RequestError, StoreError, UnknownNameError, shown


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.PinError, OSError),
        (errors.StoreError, OSError),
        (errors.BusyError, StoreError),
        (errors.DamagedError, StoreError),
        (errors.ReaderError, RuntimeError),
    ],
)
def test_every_error_is_ours_and_pythons_and_its_text_is_the_sentence(
    error: type[PowerPiError], builtin: type[Exception]
) -> None:
    for kind in (PowerPiError, builtin):
        with pytest.raises(kind) as caught:
            raise error("GPIO24 is in use.")
        assert str(caught.value) == "GPIO24 is in use."


@pytest.mark.parametrize(("error", "builtin"), [(RequestError, ValueError), (UnknownNameError, LookupError)])
def test_an_answered_error_is_worded_in_every_language_and_in_english_for_the_log(
    error: type[AnsweredError], builtin: type[Exception]
) -> None:
    caught = error("long_address", most=1000)
    assert isinstance(caught, (PowerPiError, builtin))
    assert str(caught) == caught.sentence("en") == "The address is longer than 1000 characters."
    assert caught.sentence("de") == "Die Adresse ist länger als 1000 Zeichen."


def test_foreign_values_are_shown_short_and_harmless() -> None:
    assert shown("<ü\n") == r"'<\xfc\n'"
    assert shown("x" * 61) == "'" + "x" * 60 + "...'"


def test_foreign_values_are_never_taken_for_places_of_a_sentence() -> None:
    assert str(UnknownNameError("no_page", name=shown("/{most}"))) == "There is no page '/{most}'."


def test_a_configuration_error_keeps_its_faults_apart_and_its_text_together() -> None:
    error = ConfigError(["a is missing", "b is wrong"])
    assert error.faults == ("a is missing", "b is wrong")
    assert str(error) == "a is missing\nb is wrong"
    assert isinstance(error, (PowerPiError, ValueError))
