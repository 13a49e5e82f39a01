import subprocess
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from drawing import BERLIN, GAP_OPACITY, draw, feed, look, make_store, plot_columns, rises

from powerpi.bars import Bar, bars_arguments, energy_text, missing_seconds, unit_of
from powerpi.periods import PERIODS, midnights
from powerpi.picture import HATCH_PIXELS, Size

NOON = int(datetime(2026, 11, 22, 12, 0, tzinfo=BERLIN).timestamp())
MONTH, QUARTER, YEAR = (PERIODS[name] for name in ("month", "quarter", "year"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of 500 W up to NOON."""
    path = make_store(tmp_path_factory.mktemp("bars") / "house.rrd", NOON - 2 * 86400 - 10)
    feed(path, NOON - 2 * 86400, NOON, lambda _: 500)
    return path


def known(period: Any, watt_hours: float = 12_000, end: int = NOON) -> list[Bar]:
    """A bar for every place, all alike and all measured in full."""
    return [Bar(start, stop, watt_hours, 0) for start, stop in pairwise(midnights(period, end, BERLIN))]


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def runs(columns: list[tuple[int, ...]]) -> list[tuple[bool, int]]:
    """Widths of bars (True) and of what lies between them."""
    orange = [red > blue + 50 for red, _, blue, _ in columns]
    return [(is_bar, len(list(group))) for is_bar, group in groupby(orange)]


@pytest.mark.parametrize(("period", "count"), [(MONTH, 31), (QUARTER, 91), (YEAR, 12)])
def test_every_bar_is_drawn_and_stands_apart(store: Path, period: Any, count: int) -> None:
    drawn = draw(bars_arguments(store, known(period), period, NOON, look()))
    widths = [width for is_bar, width in runs(plot_columns(drawn, 0.4)) if is_bar]
    assert len(widths) == count
    assert max(widths) - min(widths) <= (3 if period.bars == "day" else 8)  # months: 28 to 31 days


def test_91_bars_of_a_phone_touch_but_none_is_lost(store: Path) -> None:
    bars = [bar._replace(watt_hours=12_000 if number % 2 else 3_000) for number, bar in enumerate(known(QUARTER))]
    drawn = draw(bars_arguments(store, bars, QUARTER, NOON, look(358, 230)))
    assert len([run for run in runs(plot_columns(drawn, 0.5)) if run[0]]) == 45  # every second one reaches it


@pytest.mark.parametrize(("noon", "hours"), [(datetime(2026, 3, 29, 12), 23), (datetime(2026, 10, 25, 12), 25)])
def test_bar_of_the_day_the_clock_changes_ends_at_local_midnight(store: Path, noon: datetime, hours: int) -> None:
    end = int(noon.replace(tzinfo=BERLIN).timestamp()) + 86400
    bars = known(MONTH, end=end)
    changed = bars[-2]
    assert changed.end - changed.start == hours * 3600
    lone = [bar if bar == changed else bar._replace(watt_hours=None) for bar in bars]
    drawn = draw(bars_arguments(store, lone, MONTH, bars[0].start, look(1400, 400)))
    pixels = [x for x, (red, _, blue, _) in enumerate(plot_columns(drawn, 0.4)) if red > blue + 50]
    start, stop = drawn.info["graph_start"], drawn.info["graph_end"]
    per_pixel = (stop - start) / drawn.info["graph_width"]
    left, right = (start + x * per_pixel for x in (pixels[0], pixels[-1] + 1))
    # 8 of some 44 pixels stay free, 4 on either side; a pixel is rounded on either side
    assert (left - changed.start) / per_pixel == pytest.approx(4, abs=1.5)
    assert (changed.end - right) / per_pixel == pytest.approx(4, abs=1.5)


def test_heights_are_energies(store: Path) -> None:
    bars = known(YEAR)
    bars[3] = bars[3]._replace(watt_hours=6_000)
    arguments = bars_arguments(store, bars, YEAR, NOON, look())
    assert option(arguments, "--upper-limit") == "15"  # 12 kWh and 2 % of air, lines every 5 kWh
    drawn = draw(arguments)
    assert len([run for run in runs(plot_columns(drawn, 5 / 15)) if run[0]]) == 12
    assert len([run for run in runs(plot_columns(drawn, 7 / 15)) if run[0]]) == 11


def test_mean_leaves_out_the_running_day_and_the_sum_does_not(store: Path) -> None:
    bars = [*known(MONTH)[:-1], known(MONTH)[-1]._replace(watt_hours=4_000, unknown_seconds=43_200)]
    arguments = bars_arguments(store, bars, MONTH, NOON, look(language="de"))
    assert any(text.startswith("LINE1:12#") and "Mittel 12,0 kWh" in text for text in arguments)
    assert "COMMENT:Summe 364 kWh" in arguments  # 30 x 12 + 4
    assert any("unvollständig" in text for text in arguments)


def test_time_to_come_is_not_a_gap_but_unknown_past_is(store: Path) -> None:
    # Known: the two days before NOON. The rest of the running day is not due; the days before are a gap.
    bars = [bar._replace(watt_hours=None, unknown_seconds=bar.end - bar.start) for bar in known(MONTH)]
    drawn = draw(bars_arguments(store, bars, MONTH, NOON, look()))
    painted = [pixel[3] > 0 for pixel in plot_columns(drawn, 0.93)]
    place = drawn.info["graph_width"] / 31
    assert painted[round(5 * place)]
    assert not painted[round(29.6 * place)]  # yesterday, known
    assert not painted[round(30.8 * place)]  # this evening


def test_missing_days_are_hatched(store: Path) -> None:
    bars = [bar._replace(watt_hours=None, unknown_seconds=bar.end - bar.start) for bar in known(MONTH)]
    drawn = draw(bars_arguments(store, bars, MONTH, NOON, look()))
    gone = plot_columns(drawn, 0.93)[10 : round(drawn.info["graph_width"] * 28 / 31)]  # then two days are known
    assert all(opacity >= GAP_OPACITY for *_, opacity in gone)
    assert len(rises(gone)) == pytest.approx(len(gone) / HATCH_PIXELS, abs=1)


def test_legend_explains_the_gap_only_if_there_is_one(store: Path) -> None:
    bars = known(MONTH)
    assert not any("no data" in text or "hatch" in text for text in bars_arguments(store, bars, MONTH, NOON, look()))
    bars[5] = bars[5]._replace(watt_hours=None, unknown_seconds=86400)
    assert any("no data" in text for text in bars_arguments(store, bars, MONTH, NOON, look()))


def test_missing_time_is_counted_up_to_the_time_that_is_due() -> None:
    bar = Bar(0, 86400, 1000, 50_000)
    assert missing_seconds(bar, 86400) == 50_000
    assert missing_seconds(bar, 40_000) == 3_600  # 46 400 s are still to come
    assert missing_seconds(bar._replace(unknown_seconds=47_000), 40_000) == 0  # 600 s are no more than 2 %
    assert missing_seconds(bar._replace(unknown_seconds=86400), -5) == 0


def test_small_energies_are_told_in_watt_hours(store: Path) -> None:
    arguments = bars_arguments(store, known(MONTH, 72), MONTH, NOON, look())
    assert option(arguments, "--upper-limit") == "80"
    assert any(" Wh per day" in text for text in arguments)
    assert unit_of(2_999).name == "Wh"
    assert unit_of(3_000).name == "kWh"
    assert unit_of(0).name == "kWh"


@pytest.mark.parametrize(
    ("watt_hours", "text"),
    [(0, "0 kWh"), (72, "72 Wh"), (14_540, "14,5 kWh"), (99_949, "99,9 kWh"), (4_898_000, "4898 kWh")],
)
def test_energy_is_told_with_few_digits(watt_hours: float, text: str) -> None:
    assert energy_text(watt_hours, look(language="de")) == text


@pytest.mark.parametrize("size", [Size(358, 230, 2), Size(560, 300, 1), Size(900, 300, 1), Size(1400, 400, 1)])
@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("period", [MONTH, QUARTER, YEAR])
def test_every_picture_has_its_size_and_safe_arguments(store: Path, size: Size, language: str, period: Any) -> None:
    for names in (True, False):
        dress = look(language=language, size=size, names=names)
        drawn = draw(bars_arguments(store, known(period), period, NOON, dress))
        assert (drawn.info["image_width"], drawn.info["image_height"]) == (size.width, size.height)


def test_store_without_a_row_gives_a_picture_without_bars(tmp_path: Path) -> None:
    empty = make_store(tmp_path / "empty.rrd", NOON - 400 * 86400)
    bars = [bar._replace(watt_hours=None, unknown_seconds=bar.end - bar.start) for bar in known(YEAR)]
    drawn = draw(bars_arguments(empty, bars, YEAR, NOON, look()))
    assert [run for run in runs(plot_columns(drawn, 0.1)) if run[0]] == []


def test_chain_of_91_bars_goes_through_one_line_of_remote_control(store: Path) -> None:
    arguments = bars_arguments(store, known(QUARTER, 12_345.678), QUARTER, NOON, look())
    line = "graphv - " + " ".join(f'"{argument}"' for argument in arguments) + "\n"
    answer = subprocess.run(["rrdtool", "-"], input=line.encode(), capture_output=True, check=True).stdout
    assert b"image = BLOB_SIZE:" in answer
    assert b"OK u:" in answer[answer.index(b"IEND") :]
