"""What all pictures have in common; the drawn ones are looked at in test_graph.py and test_bars.py."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi import axes
from powerpi.picture import Look, Rows, Size, escaped, frame, hatching
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


def test_lines_of_the_hatching_climb_in_turn() -> None:
    # (290 - 70) / 11 = 20 lines; with 5 s a pixel 55 s from one to the next, 1100 s for a climb of 550 W
    tall = look()._replace(size=Size(900, 290, 1))
    arguments = hatching(tall, 550, 5.0, 10)
    assert len(arguments) == 1 + 2 * 20
    assert arguments[:2] == ["CDEF:gone=gap,UN,UNKN,TIME,IF", "CDEF:hatch0=gone,0,+,1100,%,0.5,*,5,INF,LIMIT"]
    assert arguments[-2] == "CDEF:hatch19=gone,1045,+,1100,%,0.5,*,5,INF,LIMIT"


def test_colons_do_not_end_a_legend() -> None:
    assert escaped("Peak 5 W (08:16)") == r"Peak 5 W (08\:16)"
