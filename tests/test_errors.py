"""The exceptions: caught by what the caller can do about them."""

from __future__ import annotations

import pytest

from powerpi import errors
from powerpi.errors import ConfigError, PowerPiError, StoreError


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.PinError, OSError),
        (errors.StoreError, OSError),
        (errors.BusyError, StoreError),
        (errors.DamagedError, StoreError),
        (errors.ReaderError, RuntimeError),
        (errors.RequestError, ValueError),
        (errors.UnknownNameError, LookupError),
    ],
)
def test_every_error_is_ours_and_pythons_and_its_text_is_the_sentence(
    error: type[PowerPiError], builtin: type[Exception]
) -> None:
    for kind in (PowerPiError, builtin):
        with pytest.raises(kind) as caught:
            raise error("GPIO24 is in use.")
        assert str(caught.value) == "GPIO24 is in use."


def test_a_configuration_error_keeps_its_faults_apart_and_its_text_together() -> None:
    error = ConfigError(["a is missing", "b is wrong"])
    assert error.faults == ("a is missing", "b is wrong")
    assert str(error) == "a is missing\nb is wrong"
    assert isinstance(error, (PowerPiError, ValueError))
