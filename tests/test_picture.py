"""What all pictures have in common; the drawn ones are looked at in test_graph.py and test_bars.py."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi import axes
from powerpi.picture import Look, Rows, Size, escaped, frame
from powerpi.texts import texts


def look(width: int = 900, language: str = "en", names: bool = True) -> Look:
    return Look(Size(width, 300, 2), "PNG", texts(language), names, ZoneInfo("UTC"))


def test_dates_have_names_where_the_child_knows_them_and_figures_elsewhere() -> None:
    assert "%a" in look().date_format("graph_day_format")
    assert "%a" not in look(names=False).date_format("graph_day_format")


@pytest.mark.parametrize(("width", "small"), [(358, True), (900, False)])
def test_a_phone_is_small(width: int, small: bool) -> None:
    assert look(width).small is small


def test_frame_asks_for_the_whole_size_the_zoom_and_rows_of_their_length() -> None:
    arguments = frame(look(), Rows(100, 200, 10), axes.scale(480.0, 300), "HOUR:1:HOUR:1:HOUR:1:0:%H")
    text = " ".join(arguments)
    assert "--width 900 --height 300 --full-size-mode" in text
    assert "--zoom 2" in text
    assert "--start 100 --end 200 --step 10" in text
    assert "--upper-limit 500" in text


def test_colons_do_not_end_a_legend() -> None:
    assert escaped("Peak 5 W (08:16)") == r"Peak 5 W (08\:16)"
