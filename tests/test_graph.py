from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from drawing import BERLIN, GAP_OPACITY, draw, feed, look, make_store, plot_columns, rises

from powerpi.graph import Figures, Span, curve_arguments, figures, figures_arguments
from powerpi.periods import PERIODS
from powerpi.picture import HATCH_PIXELS, MEAN_COLOR, Size

END = int(datetime(2026, 11, 22, 20, 0, tzinfo=BERLIN).timestamp())
HOUR = Span(END - 3600, END, END)
EMPTY = Figures(None, None, None, 3600.0, None)


def steps(row: int) -> float:
    """Of the hour before END: 30 min at 100 W, 27 min at 400 W, 3 min at 1000 W but for one row of 1018 W."""
    left = END - row
    return 100 if left >= 1800 else 400 if left >= 180 else 1018 if left == 170 else 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight days of 100 W and the hour of `steps`."""
    path = make_store(tmp_path_factory.mktemp("graph") / "house: 1.rrd", END - 8 * 86400 - 10)
    feed(path, END - 8 * 86400, END, steps)
    return path


def seen(path: Path, span: Span, imp_per_kwh: float = 1000) -> Figures:
    return figures(draw(figures_arguments(path, imp_per_kwh, span)).prints)


def curve(path: Path, span: Span, **other: Any) -> Any:
    return draw(curve_arguments(path, 1000, span, seen(path, span), look(**other)))


def test_figures_of_an_hour_are_those_of_its_rows(store: Path) -> None:
    # 180 rows of 100 W, 162 of 400 W, 17 of 1000 W, 1 of 1018 W: (18000 + 64800 + 18018) / 360 = 280.05 W.
    # 95 % of 360 rows are 342: exactly the 18 rows from 1000 W on lie above the percentile.
    result = seen(store, HOUR)
    assert result.mean_watts == pytest.approx(280.05)
    assert result.peak_watts == pytest.approx(1018)
    assert result.percentile_watts == pytest.approx(400)
    assert result.peak_time == END - 170  # the end of that row
    assert result.unknown_seconds == 0


def test_figures_depend_on_the_meter_constant(store: Path) -> None:
    assert seen(store, HOUR, 2000).peak_watts == pytest.approx(509)


def test_peak_of_a_week_is_one_row_not_the_mean_of_many(tmp_path: Path) -> None:
    path = make_store(tmp_path / "one.rrd", END - 7 * 86400 - 10)
    feed(path, END - 7 * 86400, END, lambda row: 3000 if row == END - 5000 else 100)
    result = seen(path, Span(END - 7 * 86400, END, END))
    assert (result.peak_watts, result.peak_time) == (pytest.approx(3000), END - 5000)
    assert result.mean_watts == pytest.approx(100 + 2900 / 60480, abs=0.002)  # 60480 rows
    assert result.percentile_watts is None


def test_figures_do_not_see_the_rows_beside_the_span(store: Path) -> None:
    before = Span(END - 3600, END - 180, END)  # the row that ends at END - 170 is of 1018 W
    assert seen(store, before).peak_watts == pytest.approx(400)
    assert seen(store, Span(END - 180, END, END)).mean_watts == pytest.approx(1001)  # 18018 / 18


def test_gap_is_counted_and_does_not_lower_the_mean(tmp_path: Path) -> None:
    path = make_store(tmp_path / "gap.rrd", END - 3610)
    feed(path, END - 3600, END - 2400, lambda _: 200)
    feed(path, END - 1200, END - 600, lambda _: 200)
    # 20 min are missing in the middle, 10 min at the end; of these 5 min are not due yet.
    result = seen(path, Span(END - 3600, END, END - 300))
    assert result.unknown_seconds == 1500
    assert result.mean_watts == pytest.approx(200)


def test_empty_store_has_no_figures(tmp_path: Path) -> None:
    path = make_store(tmp_path / "empty.rrd", END - 86400)
    assert seen(path, HOUR) == EMPTY


def test_prints_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="not enough"):
        figures(["1.0", "2.0"])


def test_scale_ends_above_the_peak(store: Path) -> None:
    arguments = curve_arguments(store, 1000, HOUR, seen(store, HOUR), look())
    assert arguments[arguments.index("--upper-limit") + 1] == "1200"  # 1018 W and 2 % of air
    assert arguments[arguments.index("--y-grid") + 1] == "200:1"


@pytest.mark.parametrize("size", [Size(358, 230, 2), Size(560, 300, 1), Size(900, 300, 1), Size(1400, 400, 1)])
@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("period", [period for period in PERIODS.values() if not period.bars])
def test_every_picture_has_its_size_and_safe_arguments(store: Path, size: Size, language: str, period: Any) -> None:
    span = Span(END - period.seconds, END, END)
    for names in (True, False):
        drawn = curve(store, span, language=language, size=size, names=names)
        assert (drawn.info["image_width"], drawn.info["image_height"]) == (size.width, size.height)


def test_plot_is_as_wide_as_the_axes_think(store: Path) -> None:
    # 900 - 2 x 15 - 4 digits x 7. If rrdgraph's layout or the font changes, labels are thinned wrongly.
    assert curve(store, HOUR).info["graph_width"] == 842


def test_gap_is_grey_and_known_time_is_not(tmp_path: Path) -> None:
    path = make_store(tmp_path / "gap.rrd", END - 3610)
    feed(path, END - 3600, END - 2400, lambda _: 200)
    feed(path, END - 1200, END - 600, lambda _: 200)
    pixels = plot_columns(curve(path, Span(END - 3600, END, END - 300)), 0.93)  # between lines, above the curve
    colors = [pixels[round(len(pixels) * share)][3] > 0 for share in (0.1, 0.5, 0.75, 0.87, 0.97)]
    # known, unknown, known, unknown and due, not due yet
    assert colors == [False, True, False, True, False]


@pytest.mark.parametrize("size", [Size(358, 230, 1), Size(900, 300, 1), Size(1170, 480, 1)])
@pytest.mark.parametrize("fraction", [0.31, 0.62, 0.93])
def test_gap_is_hatched_from_edge_to_edge_and_nothing_else_is(tmp_path: Path, size: Size, fraction: float) -> None:
    path = make_store(tmp_path / "gap.rrd", END - 86410)
    feed(path, END - 86400, END - 57_600, lambda row: 200 if row > END - 86_000 else 1000)
    feed(path, END - 28_800, END, lambda _: 200)  # the second third is missing
    pixels = plot_columns(curve(path, Span(END - 86400, END, END), size=size), fraction)
    third = round(len(pixels) / 3)
    before, gone, after = pixels[10 : third - 2], pixels[third + 2 : 2 * third - 2], pixels[2 * third + 2 :]
    assert all(opacity < GAP_OPACITY for *_, opacity in before + after)  # at most a line of the grid
    assert all(opacity >= GAP_OPACITY for *_, opacity in gone)
    edges = rises(gone)
    assert len(edges) == pytest.approx(len(gone) / HATCH_PIXELS, abs=1)
    assert {right - left for left, right in pairwise(edges)} <= set(range(HATCH_PIXELS - 2, HATCH_PIXELS + 3))


def test_hatching_costs_nothing_where_there_is_no_gap(store: Path) -> None:
    assert not any("hatch" in argument for argument in curve_arguments(store, 1000, HOUR, seen(store, HOUR), look()))


def test_area_is_as_high_as_the_power(store: Path) -> None:
    drawn = curve(store, HOUR)
    low, high = plot_columns(drawn, 90 / 1200), plot_columns(drawn, 150 / 1200)
    assert low[200][3] > 0  # 90 W is inside of 100 W
    assert high[200][3] == 0  # 150 W is not
    assert high[600][3] > 0  # but in the 400 W half it is


def test_short_peak_is_seen_as_a_band_where_a_pixel_holds_many_rows(tmp_path: Path) -> None:
    path = make_store(tmp_path / "one.rrd", END - 86410)
    feed(path, END - 86400, END, lambda row: 3000 if row == END - 43_200 else 100)
    # The mean of that pixel is about 100 + 2900 / 11 W: only the band reaches 2700 of 4000 W.
    drawn = curve(path, Span(END - 86400, END, END))
    pixels = plot_columns(drawn, 2700 / 4000)
    coloured = [x for x, (red, _, blue, _) in enumerate(pixels) if red > blue + 50]
    assert coloured == [pytest.approx(drawn.info["graph_width"] / 2, abs=2)]


@pytest.mark.parametrize("width", [358, 560, 700, 900, 919, 1400])
def test_no_row_is_skipped_however_wide_the_picture(tmp_path: Path, width: int) -> None:
    path = make_store(tmp_path / "spikes.rrd", END - 86410)
    feed(path, END - 86400, END, lambda row: 3000 if (END - row) % 5400 == 270 else 100)  # 16 lone rows
    drawn = curve(path, Span(END - 86400, END, END), width=width)
    high = [red > blue + 50 for red, _, blue, _ in plot_columns(drawn, 2700 / 4000)]
    assert sum(now and not before for before, now in pairwise(high)) == 16


def test_legend_tells_peak_time_in_local_time(store: Path) -> None:
    week = Span(END - 7 * 86400, END, END)
    arguments = curve_arguments(store, 1000, HOUR, seen(store, HOUR), look(language="de"))
    assert "COMMENT:Spitze 1018 W (19\\:57)" in arguments
    arguments = curve_arguments(store, 1000, week, seen(store, week), look(language="de"))
    assert any("Spitze 1018 W (22.11., 19\\:57)" in argument for argument in arguments)


def test_small_loads_are_told_with_the_decimal_sign_of_the_language() -> None:
    three = Figures(3.14, 4.0, END, 0.0, 3.9)
    for language, text in (("de", " Mittel 3,1 W"), ("en", " Mean 3.1 W")):
        arguments = curve_arguments(Path("x.rrd"), 1000, HOUR, three, look(language=language))
        assert any(text in argument for argument in arguments)


def test_nothing_known_is_drawn_as_a_gap_without_lines(tmp_path: Path) -> None:
    path = make_store(tmp_path / "empty.rrd", END - 86400)
    arguments = curve_arguments(path, 1000, HOUR, EMPTY, look())
    told = [text for text in arguments if text.startswith(("LINE1:", "COMMENT:"))]
    assert [text for text in told if not text.startswith(("LINE1:w", "LINE1:hatch"))] == []
    assert all(pixel[3] > 0 for pixel in plot_columns(draw(arguments), 0.93)[:-1])


def test_legend_explains_the_gap_only_if_it_is_wide_enough_to_be_seen() -> None:
    day = Span(END - 86400, END, END)  # 842 pixels: rows of 110 s are drawn
    for unknown, shown in ((0.0, False), (110.0, False), (120.0, True)):
        some = Figures(3.0, 4.0, END, unknown, 3.9)
        arguments = curve_arguments(Path("x.rrd"), 1000, day, some, look())
        assert any("no data" in text for text in arguments) == shown


def test_svg_is_an_svg(store: Path) -> None:
    assert curve(store, HOUR, image_format="SVG").image.startswith(b"<?xml")


def test_path_with_a_colon_is_one_file(store: Path) -> None:
    assert ":" in store.name
    assert seen(store, HOUR).peak_watts is not None


@pytest.mark.parametrize(("unknown_seconds", "drawn"), [(1790.0, True), (1810.0, False)])
def test_no_mean_is_drawn_through_a_span_that_is_mostly_unknown(unknown_seconds: float, drawn: bool) -> None:
    seen = Figures(500.0, 600.0, END - 60.0, unknown_seconds, 590.0)
    arguments = curve_arguments(Path("house.rrd"), 1000, HOUR, seen, look())
    assert any(MEAN_COLOR in argument for argument in arguments) is drawn
