"""The configuration: what the defaults are, and one sentence for every fault, all of them at once."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from powerpi import config
from powerpi.config import MeterSettings, Settings, StoreSettings, load, parse
from powerpi.errors import ConfigError
from powerpi.keys import SECTIONS, Key, read_listen, system_zone

SAMPLE = Path(__file__).parent.parent / "init/powerpi.conf"
METER = "[meter house]\ngpio = 24\n"


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.faults


def meter(lines: str) -> MeterSettings:
    return parse(f"[meter house]\ngpio = 24\n{lines}\n").meters[0]


# ---------------------------------------------------------------- defaults and the sample


def test_one_meter_with_its_pin_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert parse(METER) == Settings(
        state=Path("/var/lib/powerpi"),
        listen=("0.0.0.0", 8080),
        timezone=ZoneInfo("Europe/Berlin"),
        network_time=True,
        clock_wait_seconds=900,
        host_names=(),
        meters=(MeterSettings("house", "house", 24, 1000.0, "up", 10.0, 0.0),),
        store=StoreSettings(flush_seconds=300, register_seconds=60, archive_years=20),
    )


def test_sample_gives_the_defaults() -> None:
    assert load(SAMPLE) == parse(METER)


def test_sample_names_every_key_with_its_default_and_no_other() -> None:
    written = configparser.ConfigParser(interpolation=None)
    written.read(SAMPLE, encoding="utf-8")
    assert written.sections() == ["powerpi", "meter house", "store"]
    for section in written.sections():
        defaults = {key.name: key.default for key in SECTIONS[section.split()[0]] if key.default}
        pin = {"gpio": "24"} if section == "meter house" else {}
        assert dict(written[section]) == defaults | pin


def test_sample_shows_keys_without_a_default_as_comments() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    shown = set(re.findall(r"^#([a-z_]+) = \S", text, flags=re.MULTILINE))
    assert shown == {key.name for keys in SECTIONS.values() for key in keys if not key.default} - {"gpio"}


def test_sample_works_with_its_comments_put_to_use() -> None:
    text = re.sub(r"^#(?=[a-z_]+ = )", "", SAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    chosen = parse(text)
    assert chosen.timezone == ZoneInfo("Europe/Berlin")
    assert chosen.host_names == ("power.example.org",)
    assert chosen.meters[0].label == "House"


@pytest.mark.parametrize("key", [key for keys in SECTIONS.values() for key in keys], ids=lambda key: key.name)
def test_every_key_says_what_is_wanted_and_what_it_means(key: Key) -> None:
    assert key.wanted
    assert key.meaning.endswith(".")
    if key.name != "gpio":
        key.read(key.default)


# ---------------------------------------------------------------- every kind of fault


@pytest.mark.parametrize(
    ("section", "line", "wanted"),
    [
        ("powerpi", "state = var/lib", "an absolute path without colons, quotes and backslashes"),
        ("powerpi", 'state = /var/"lib"', "an absolute path without colons, quotes and backslashes"),
        ("powerpi", "listen = 8080", "ADDRESS:PORT"),
        ("powerpi", "timezone = Europe/Atlantis", "a name such as Europe/Berlin"),
        ("powerpi", "timezone = Europe", "a name such as Europe/Berlin"),
        ("powerpi", "timezone = ../../../etc/passwd", "a name such as Europe/Berlin"),
        ("powerpi", "timezone = /usr/share/zoneinfo/UTC", "a name such as Europe/Berlin"),
        ("powerpi", "network_time = maybe", "yes or no"),
        ("powerpi", "network_time =", "yes or no"),
        ("powerpi", "clock_wait_seconds = 86401", "a whole number of seconds from 0 to 86400"),
        ("powerpi", "clock_wait_seconds = 1.5", "a whole number of seconds from 0 to 86400"),
        ("powerpi", "host_names = pi, http://pi", "host names, separated by commas"),
        ("powerpi", "host_names = pi..lan", "host names, separated by commas"),
        ("meter house", "label = " + "x" * 41, "at most 40 characters in one line"),
        ("meter house", "label = a\x07", "at most 40 characters in one line"),
        ("meter house", "gpio = 28", "a GPIO number from 0 to 27"),
        ("meter house", "gpio = -1", "a GPIO number from 0 to 27"),
        ("meter house", "gpio = GPIO24", "a GPIO number from 0 to 27"),
        ("meter house", "gpio = 2_4", "a GPIO number from 0 to 27"),
        ("meter house", "gpio = \u0662\u0664", "a GPIO number from 0 to 27"),  # Arabic digits, which int() takes
        ("meter house", "gpio = 24 ; the fuse box", "a GPIO number from 0 to 27"),
        (
            "meter house",
            "imp_per_kwh = 0",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        (
            "meter house",
            "imp_per_kwh = -1000",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        (
            "meter house",
            "imp_per_kwh = nan",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        (
            "meter house",
            "imp_per_kwh = 1e6",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        (
            "meter house",
            "imp_per_kwh = 1.000,5",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        ("meter house", "pull = sideways", "up or down"),
        ("meter house", "min_pulse_ms = 30", "milliseconds from 0.1 to below 30 (S0 sends 30 or more)"),
        ("meter house", "min_pulse_ms = 0", "milliseconds from 0.1 to below 30 (S0 sends 30 or more)"),
        (
            "meter house",
            "offset_kwh = inf",
            "a number of kWh, with a point for decimals (not exactly three) and none for thousands",
        ),
        (
            "meter house",
            "offset_kwh = 12345,6",
            "a number of kWh, with a point for decimals (not exactly three) and none for thousands",
        ),
        ("store", "flush_seconds = 9", "a whole number of seconds from 10 to 3600"),
        ("store", "register_seconds = 0", "a whole number of seconds from 1 to 3600"),
        ("store", "archive_years = 51", "a whole number of years from 0 to 50"),
    ],
)
def test_fault_names_section_key_value_and_what_is_wanted(section: str, line: str, wanted: str) -> None:
    key, _, value = (part.strip(" ") for part in line.partition("="))
    pin = "" if key == "gpio" else METER.partition("\n")[2]
    other = "" if section == "meter house" else METER
    assert faults(f"[{section}]\n{pin if not other else ''}{line}\n{other}") == (
        f"[{section}] {key} = {value}: wanted {wanted}",
    )


def test_missing_pin_is_a_fault() -> None:
    assert faults("[meter house]") == ("[meter house] gpio is missing: wanted a GPIO number from 0 to 27",)


def test_no_meter_is_a_fault() -> None:
    [fault] = faults("")
    assert "no meter is configured" in fault
    assert "[meter house]" in fault


def test_all_faults_are_told_at_once_in_the_files_order() -> None:
    text = "[powerpi]\nlisten = here\nstate = there\n[meter house]\npull = off\n[stor]\n[store]\nflush_seconds = 1"
    told = faults(text)
    assert [fault.split(":")[0] for fault in told] == [
        "[stor]",
        "[powerpi] state = there",
        "[powerpi] listen = here",
        "[store] flush_seconds = 1",
        "[meter house] gpio is missing",
        "[meter house] pull = off",
    ]


def test_text_of_the_error_holds_every_fault() -> None:
    with pytest.raises(ConfigError, match=r"(?s)\[store\] flush_seconds = 1.*\[meter house\] gpio"):
        parse("[store]\nflush_seconds = 1\n[meter house]")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (METER + "imp_kwh = 5", "[meter house] imp_kwh: unknown key, did you mean imp_per_kwh?"),
        ("[store]\nflush_second = 5\n" + METER, "[store] flush_second: unknown key, did you mean flush_seconds?"),
        (
            "[store]\nx = 5\n" + METER,
            "[store] x: unknown key; known are flush_seconds, register_seconds, archive_years",
        ),
        ("[powerpie]\n" + METER, "[powerpie]: unknown section, did you mean powerpi?"),
        ("[meterhouse]\n" + METER, "[meterhouse]: unknown section, did you mean meter house?"),
        ("[DEFAULT]\n" + METER, "[DEFAULT]: unknown section; known are powerpi, meter, store, meter house"),
    ],
)
def test_unknown_names_get_a_suggestion(text: str, fault: str) -> None:
    assert faults(text) == (fault,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "House",
        "haus/keller",
        "..",
        "keller.1",
        "küche",
        "-a",
        "a b",
        "x" * 33,
        "a%2f",
        "<b>",
        *config.RESERVED_NAMES,
    ],
)
def test_meter_name_that_would_not_do_in_a_url_or_file_name_is_refused(name: str) -> None:
    [fault] = faults(f"[meter {name}]\ngpio = 24")
    assert f"name {name!r}: wanted 1 to 32 of a-z, 0-9, - and _" in fault


@pytest.mark.parametrize("name", ["h", "0", "heat-pump_2", "x" * 32])
def test_meter_names_in_small_letters_figures_and_dashes_are_taken(name: str) -> None:
    assert parse(f"[meter {name}]\ngpio = 24").meters[0].name == name


def test_two_meters_with_one_name_are_refused() -> None:
    told = faults("[meter house]\ngpio = 24\n[meter  house]\ngpio = 23")
    assert told == ("[meter house] name = house: wanted a meter name of its own, another meter has this one",) * 2


def test_two_meters_with_one_pin_are_refused() -> None:
    told = faults("[meter a]\ngpio = 24\n[meter b]\ngpio = 23\n[meter c]\ngpio = 24")
    assert told == tuple(
        f"[meter {name}] gpio = 24: wanted a GPIO of its own, another meter has this one" for name in "ac"
    )


def test_the_same_section_twice_is_refused_with_its_line() -> None:
    assert faults(METER + METER)[0] == "line 3: [meter house] is given a second time; wanted every section once"


def test_the_same_key_twice_is_refused_with_its_line() -> None:
    [fault] = faults(METER + "gpio = 23")
    assert fault == "line 3: [meter house] gpio is given a second time; wanted every key once"


def test_faults_of_lines_and_of_values_come_together() -> None:
    found = faults("just words\n" + METER + "gpio = 23\npull = sideways\n")
    assert [fault.split(":")[0] for fault in found] == ["line 1", "line 4", "[meter house] pull = sideways"]


@pytest.mark.parametrize("value", ["1.000", "12.500", "1.000.000"])
def test_a_point_for_thousands_is_refused(value: str) -> None:
    [fault] = faults(METER + f"imp_per_kwh = {value}")
    assert f"imp_per_kwh = {value}: wanted a number" in fault


@pytest.mark.parametrize("text", ["gpio = 24", METER + "just words"])
def test_lines_that_are_no_settings_are_refused_in_one_line(text: str) -> None:
    fault = faults(text)[0]
    assert "\n" not in fault
    assert text.splitlines()[-1].partition(" =")[0] in fault


# ---------------------------------------------------------------- values


def test_keys_do_not_care_about_case_and_spaces() -> None:
    assert meter("  \nPULL=Down").pull == "down"


def test_percent_signs_and_umlauts_are_plain_text() -> None:
    assert meter("label = 100% Küche %(home)s").label == "100% Küche %(home)s"


def test_label_of_a_meter_is_its_name_unless_given() -> None:
    assert meter("label =").label == "house"


def test_a_meter_constant_may_be_a_fraction_and_an_offset_negative() -> None:
    house = meter("imp_per_kwh = 0.5\noffset_kwh = -12.25\nmin_pulse_ms = 29.9")
    assert (house.imp_per_kwh, house.offset_kwh, house.min_pulse_ms) == (0.5, -12.25, 29.9)


def test_meters_keep_the_order_of_the_file() -> None:
    assert [house.name for house in parse("[meter b]\ngpio=1\n[meter a]\ngpio=2").meters] == ["b", "a"]


def test_host_names_are_split_at_commas_and_blanks_and_made_small() -> None:
    assert parse(METER + "[powerpi]\nhost_names = Power.Example.org,pi  haus").host_names == (
        "power.example.org",
        "pi",
        "haus",
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", ("0.0.0.0", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::]:80", ("::", 80)),
        ("[FE80:0::1]:65535", ("fe80::1", 65535)),
        ("power-pi.local:8080", ("power-pi.local", 8080)),
    ],
)
def test_listen_takes_addresses_and_names(text: str, address: tuple[str, int]) -> None:
    assert read_listen(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "8080", ":8080", "pi", "pi:", "pi:http", "pi:-1", "pi:65536", "pi:8_0", "pi: 80 80",
        "::1:80", "[::1]", "[]:80", "[127.0.0.1]:80", "[pi]:80",
        "a b:80", "küche:80", "pi..lan:80", ".:80", "x" * 64 + ":80", "http://pi:80",
    ],
)  # fmt: skip
def test_listen_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        read_listen(text)


# ---------------------------------------------------------------- the time zone


@pytest.fixture
def no_tz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)


@pytest.fixture
def zone_files(tmp_path: Path) -> Callable[[str, str | None], tuple[Path, Path]]:
    """Makes /etc/localtime as a link (or a plain copy for "") and /etc/timezone (or none)."""

    def make(link: str, name: str | None) -> tuple[Path, Path]:
        localtime, timezone = tmp_path / "localtime", tmp_path / "timezone"
        if link:
            localtime.symlink_to(f"/usr/share/zoneinfo/{link}")
        else:
            localtime.write_bytes(b"TZif2")
        if name is not None:
            timezone.write_text(name, encoding="utf-8")
        return localtime, timezone

    return make


ZoneFiles = Callable[[str, "str | None"], tuple[Path, Path]]


@pytest.mark.usefixtures("no_tz")
@pytest.mark.parametrize(
    ("link", "name", "zone"),
    [
        ("Europe/Berlin", "America/New_York\n", "Europe/Berlin"),  # the link is what the system itself goes by
        ("", "Europe/Vienna\n", "Europe/Vienna"),  # a plain copy does not know its name
        ("Europe/Atlantis", "Europe/Vienna\n", "Europe/Vienna"),
        ("", "Europe/Atlantis\n", "UTC"),
        ("", "\n", "UTC"),
        ("", None, "UTC"),
    ],
)
def test_zone_of_the_system_is_found(zone_files: ZoneFiles, link: str, name: str | None, zone: str) -> None:
    assert system_zone(*zone_files(link, name)).key == zone


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        (":/etc/localtime", "Europe/Berlin"),
        ("", "Europe/Berlin"),
    ],
)
def test_tz_goes_first_when_it_names_a_zone(
    zone_files: ZoneFiles, monkeypatch: pytest.MonkeyPatch, variable: str, zone: str
) -> None:
    monkeypatch.setenv("TZ", variable)
    assert system_zone(*zone_files("Europe/Berlin", None)).key == zone


@pytest.mark.usefixtures("no_tz")
def test_a_damaged_timezone_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_bytes(b"\xff\xfe")
    assert system_zone(tmp_path / "none", tmp_path / "timezone").key == "UTC"


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_a_file_of_windows_editor_works(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "powerpi.conf"
    path.write_bytes(mark + "[meter house]\r\ngpio = 24\r\nlabel = Küche\r\n".encode())
    assert load(path).meters[0].label == "Küche"


def test_a_file_that_is_not_utf_8_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "powerpi.conf"
    path.write_bytes("[meter house]\nlabel = Küche".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"powerpi\.conf is not UTF-8 text: invalid .* at byte 23"):
        load(path)


def test_a_missing_file_is_refused_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.conf cannot be read: No such file .* sample is init/powerpi\.conf"):
        load(tmp_path / "none.conf")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


# ---------------------------------------------------------------- whatever is written

WORDS = st.sampled_from(
    ["powerpi", "store", "meter", "meter a", "DEFAULT", "\0", *(key.name for keys in SECTIONS.values() for key in keys)]
)
VALUES = st.one_of(
    st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.sampled_from(["", "up", "yes"])
)
LINES = st.one_of(
    st.text(max_size=20),
    WORDS.map("[{}]".format),
    st.text(max_size=8).map("[meter {}]".format),
    st.builds("{} = {}".format, WORDS, VALUES),
)


@given(st.lists(LINES, max_size=12).map("\n".join))
@example("[\0]\nx = 1\n[meter a]\ngpio = 1")
@example("[ ]\n[meter a]\ngpio = 1")
@example("[meter a]\ngpio = " + "9" * 5000)
@example("[powerpi]\ntimezone = " + "a" * 300)
@example("[powerpi]\ntimezone = \ud800")
def test_any_text_is_settings_or_at_least_one_fault(text: str) -> None:
    try:
        settings = parse(text)
    except ConfigError as error:
        assert error.faults
        assert all(error.faults)
    else:
        assert settings.meters
