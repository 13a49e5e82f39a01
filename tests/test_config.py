"""The configuration: what the defaults are, and one sentence for every fault, all of them at once."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from powerpi import config, passwords
from powerpi.config import (
    BackupSettings,
    MeterSettings,
    PushSettings,
    SenderSettings,
    Settings,
    StoreSettings,
    ViewerSettings,
    load,
    parse,
)
from powerpi.errors import ConfigError, DataError
from powerpi.keys import GET_PHP, POWERPI, SECTIONS, Key, heading
from powerpi.passwords import read_hash

SAMPLE = Path(__file__).parent.parent / "init/powerpi.conf"
METER = "[meter house]\ngpio = 24\n"
SECRET = "geheim"  # noqa: S105
HASH = passwords.hashed(SECRET, 10)
PUSH = "[push]\nurl = https://power.example.org/\nuser = pi-hq\npassword = geheim\n"
MIRROR = f"[mirror]\naccept = yes\n[mirror pi-hq]\npassword_hash = {HASH}\n"
OPTIONAL = ("push", "mirror", "mirror pi-hq", "viewer anna")  # sections of the sample that are comments
NEEDED = {"gpio", "url", "password_hash", "meters"}  # keys without a default that works


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


def test_backups_go_into_the_state_folder_and_eight_are_kept_unless_told_otherwise() -> None:
    assert parse(METER).backup == BackupSettings(folder=None, keep=8)
    told = parse(f"{METER}[backup]\nfolder = /mnt/stick\nkeep = 52\n")
    assert told.backup == BackupSettings(folder=Path("/mnt/stick"), keep=52)
    assert faults(f"{METER}[backup]\nfolder = stick\nkeep = 0\n") == (
        "[backup] folder = stick: wanted an absolute path without colons, quotes and backslashes",
        "[backup] keep = 0: wanted a whole number of backups from 1 to 1000",
    )


def test_sample_gives_the_defaults() -> None:
    assert load(SAMPLE) == parse(METER)


def test_a_meter_that_is_not_counted_here_is_told_from_one_that_is() -> None:
    meters = "[meter house]\ngpio = 24\n[mirror]\naccept = yes\n"
    settings = config.parse(f"{meters}[mirror pi-hq]\npassword_hash = {HASH}\nmeters = house as hut\n")
    assert settings.counted("house", "go there") is settings.meters[0]
    with pytest.raises(DataError, match="hut is received from pi-hq: go there"):
        settings.counted("hut", "go there")
    with pytest.raises(DataError, match=r"no meter 'attic' here: wanted one that is counted here \(house\)"):
        settings.counted("attic", "go there")


def test_sample_names_every_key_with_its_default_and_no_other() -> None:
    written = configparser.ConfigParser(interpolation=None)
    written.read(SAMPLE, encoding="utf-8")
    assert written.sections() == ["powerpi", "meter house", "store", "backup"]
    for section in written.sections():
        defaults = {key.name: key.default for key in SECTIONS[section.split()[0]] if key.default}
        pin = {"gpio": "24"} if section == "meter house" else {}
        assert dict(written[section]) == defaults | pin


def put_to_use() -> str:
    """The sample with all its sections and keys, none a comment any more."""
    return re.sub(r"^#(?=[a-z_]+ = |\[)", "", SAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_sample_shows_all_other_sections_and_keys_as_comments() -> None:
    whole, plain = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    whole.read_string(put_to_use())
    plain.read(SAMPLE, encoding="utf-8")
    assert [name for name in whole.sections() if name not in plain] == [*OPTIONAL]
    kinds = {heading(kind).replace("meter NAME", "meter house"): kind for kind in SECTIONS}
    kinds |= {"mirror pi-hq": "sender", "viewer anna": "viewer"}
    for section in whole.sections():
        assert list(whole[section]) == [key.name for key in SECTIONS[kinds[section]]]
        for key in SECTIONS[kinds[section]]:
            shown, hidden = whole[section][key.name], section not in plain or key.name not in plain[section]
            assert hidden == (section in OPTIONAL or (not key.default and key.name != "gpio"))
            # who takes [mirror] out of its comment wants one
            assert shown == (key.default or shown) or (section, key.name) == ("mirror", "accept")


def test_every_key_of_the_sample_is_explained() -> None:
    blocks = SAMPLE.read_text(encoding="utf-8").split("\n\n")
    keys = [block for block in blocks if re.search(r"^#?[a-z_]+ = ", block, flags=re.MULTILINE)]
    assert len(keys) > 20
    assert all(block.lstrip("\n").startswith("# ") for block in keys)


def test_sample_says_who_may_read_it() -> None:
    assert "chown root:powerpi /etc/powerpi.conf" in SAMPLE.read_text(encoding="utf-8")
    assert "chmod 0640 /etc/powerpi.conf" in SAMPLE.read_text(encoding="utf-8")


def test_sample_works_with_its_comments_put_to_use() -> None:
    chosen = parse(put_to_use())
    assert chosen.timezone == ZoneInfo("Europe/Berlin")
    assert chosen.host_names == ("power.example.org",)
    assert chosen.meters[0].label == "House"
    assert chosen.push == PushSettings(
        url=urlsplit("https://power.example.org/"),
        user="pi-hq",
        password="what the mirror's owner gave you",  # noqa: S106
        ca_file=Path("/etc/ssl/own-ca.pem"),
        interval_seconds=60,
        meters=("house",),
        protocol=POWERPI,
        allow_http=False,
    )
    [sender], [viewer] = chosen.senders, chosen.viewers
    assert (sender.name, sender.meters) == ("pi-hq", (("house", "hq"), ("workshop", "workshop")))
    assert viewer.name == "anna"


def test_hashes_of_the_sample_belong_to_no_password() -> None:
    hashes = set(re.findall(r"scrypt\S+", SAMPLE.read_text(encoding="utf-8")))
    assert {read_hash(text).key for text in hashes} == {bytes(32)}
    assert not any(passwords.matches(word, read_hash(*hashes)) for word in ("", "powerpi", "password", "geheim"))


@pytest.mark.parametrize("key", [key for keys in SECTIONS.values() for key in keys], ids=lambda key: key.name)
def test_every_key_says_what_is_wanted_and_what_it_means(key: Key) -> None:
    assert key.wanted
    assert key.meaning.endswith(".")
    if key.name not in NEEDED or key.default:
        key.read(key.default)
    else:
        with pytest.raises(ValueError):
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
        ("powerpi", "timezone = ../../../etc/hostname", "a name such as Europe/Berlin"),
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
        (
            "[DEFAULT]\n" + METER,
            "[DEFAULT]: unknown section; known are powerpi, meter house, store, backup, push, mirror, mirror pi-hq,"
            " viewer anna",
        ),
        ("[mirror-pi]\n" + METER, "[mirror-pi]: unknown section, did you mean mirror?"),
        ("[viewers anna]\n" + METER, "[viewers anna]: unknown section, did you mean viewer anna?"),
        ("[pushing]\n" + METER, "[pushing]: unknown section, did you mean push?"),
        ("[push pi]\n" + METER, "[push pi]: unknown section, did you mean push?"),
        ("[push ]\nurl = x\n" + METER, "[push ]: unknown section, did you mean push?"),
        ("[store ]\nflush_seconds = 1\n" + METER, "[store ]: unknown section, did you mean store?"),
        (PUSH + "pasword = x\n" + METER, "line 5: [push] unknown key, did you mean password?"),
        (METER + MIRROR + "meters = hut\nmeter = x", "line 8: [mirror pi-hq] unknown key, did you mean meters?"),
        (
            METER + "[viewer anna]\npassword_hash = " + HASH + "\nmail = x",
            "line 5: [viewer anna] unknown key; known are password_hash",
        ),
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
    assert faults(METER + METER)[0] == "line 3: the section of line 1 is given a second time; wanted every section once"


def test_the_same_key_twice_is_refused_with_its_line() -> None:
    [fault] = faults(METER + "gpio = 23")
    assert fault == "line 3: the key of line 2 is given a second time; wanted every key once"


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
    assert fault.startswith(f"line {len(text.splitlines())}: ")


# ---------------------------------------------------------------- sending


def test_nothing_is_sent_or_received_or_hidden_unless_configured() -> None:
    chosen = parse(METER)
    assert (chosen.push, chosen.senders, chosen.viewers) == (None, (), ())


def test_url_user_and_password_are_enough_to_send_all_meters() -> None:
    assert parse(f"{METER}[meter shed]\ngpio = 23\n{PUSH}").push == PushSettings(
        url=urlsplit("https://power.example.org/"),
        user="pi-hq",
        password=SECRET,
        ca_file=None,
        interval_seconds=60,
        meters=("house", "shed"),
        protocol=POWERPI,
        allow_http=False,
    )


def test_meters_that_are_sent_can_be_chosen() -> None:
    chosen = parse(f"{METER}[meter shed]\ngpio = 23\n{PUSH}meters = shed").push
    assert chosen is not None
    assert chosen.meters == ("shed",)


URL_WANTED = "https:// and the mirror's host, with a path if need be, without user and password"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("url = power.example.org", URL_WANTED),
        ("url = https://power.example.org/?a=b", URL_WANTED),
        ("user = pi:hq", "at most 64 characters without a colon"),
        ("ca_file = ca.pem", "an absolute path without colons, quotes and backslashes"),
        ("interval_seconds = 9", "a whole number of seconds from 10 to 3600"),
        ("meters = House", "all, or names of this file's meters, separated by commas"),
        ("meters =", "all, or names of this file's meters, separated by commas"),
        ("protocol = mqtt", "powerpi or get.php"),
        ("allow_http = perhaps", "yes or no"),
    ],
)
def test_fault_of_sending_names_key_value_and_what_is_wanted(line: str, wanted: str) -> None:
    key, _, value = (part.strip() for part in line.partition("="))
    others = "".join(f"{old}\n" for old in PUSH.splitlines() if not old.startswith(f"{key} ="))
    assert faults(f"{METER}{others}{line}\n") == (f"[push] {key} = {value}: wanted {wanted}",)


def test_an_empty_push_section_says_all_that_is_missing() -> None:
    assert faults(METER + "[push]\n") == (
        f"[push] url is missing: wanted {URL_WANTED}",
        "[push] user is missing: wanted what the mirror knows this Pi by",
        "[push] password is missing: wanted what the mirror knows this Pi by",
    )


def test_a_meter_that_is_not_there_cannot_be_sent() -> None:
    assert faults(METER + PUSH + "meters = house, shed") == ("[push] meters = shed: wanted one of house",)


def test_a_mirror_sends_nothing_of_what_it_receives() -> None:
    told = "[push]: there is no meter here to send; what a mirror receives is not sent on"
    assert faults(MIRROR + "meters = hut\n" + PUSH) == (told,)
    assert faults(MIRROR + "meters = hut\n" + PUSH + "meters = hut") == (told,)


@pytest.mark.parametrize("url", ["http://power.example.org/", "http://8.8.8.8:8080", "http://[2003::1]/", "http://1/"])
def test_a_password_goes_in_clear_text_over_foreign_networks_only_if_that_is_said(url: str) -> None:
    text = METER + PUSH.replace("https://power.example.org/", url)
    for protocol in (POWERPI, GET_PHP):
        assert faults(f"{text}protocol = {protocol}\n") == (
            f"[push] url = {url}: wanted https:// (or allow_http = yes, and everybody in between can read the"
            " password)",
        )
    chosen = parse(text + "allow_http = yes").push
    assert chosen is not None
    assert chosen.url.geturl() == url


@pytest.mark.parametrize("url", ["http://192.168.1.7:8080/", "http://pi/", "http://power.local/", "http://[fd00::7]/"])
def test_http_will_do_in_the_local_network(url: str) -> None:
    assert parse(METER + PUSH.replace("https://power.example.org/", url)).push


def test_an_old_server_takes_one_meter_and_may_want_no_password() -> None:
    chosen = parse(METER + "[push]\nurl = https://h/get.php\nprotocol = get.php").push
    assert chosen is not None
    assert (chosen.protocol, chosen.user, chosen.password, chosen.meters) == (GET_PHP, "", "", ("house",))
    two = f"{METER}[meter shed]\ngpio = 23\n{PUSH}protocol = get.php\n"
    assert faults(two) == ("[push] meters: wanted one of house, shed, because get.php knows one only",)
    assert faults(two + "meters = shed, house")[0].startswith("[push] meters: wanted one of")
    assert parse(two + "meters = shed").push


# ---------------------------------------------------------------- receiving and looking


def test_a_mirror_needs_no_meter_of_its_own() -> None:
    chosen = parse(MIRROR + "meters = house, workshop as garage")
    assert chosen.meters == ()
    assert chosen.senders == (
        SenderSettings(
            name="pi-hq",
            password_hash=read_hash(HASH),
            meters=(("house", "house"), ("workshop", "garage")),
            protocol=POWERPI,
            imp_per_kwh=1000.0,
            sample_seconds=60,
        ),
    )


def test_a_mirror_may_count_meters_of_its_own() -> None:
    chosen = parse(METER + MIRROR + "meters = house as hut")
    assert [meter.name for meter in chosen.meters] == ["house"]
    assert chosen.senders[0].meters == (("house", "hut"),)


def test_a_mirror_that_may_not_accept_has_no_senders() -> None:
    off = (METER + MIRROR + "meters = hut").replace("accept = yes", "accept = no")
    assert parse(off).senders == ()
    [fault] = faults(off.replace("[mirror]\naccept = no\n", ""))
    assert fault == "[mirror pi-hq]: wanted accept = yes (or no) in a section [mirror] as well"
    [fault] = faults(off.replace(METER, ""))
    assert "no meter is configured" in fault


def test_a_mirror_without_senders_is_a_fault() -> None:
    for text in ("[mirror]\naccept = yes", METER + "[mirror]\naccept = yes"):
        assert faults(text) == (
            "[mirror] accept = yes: wanted at least one section such as [mirror pi-hq] for who may send",
        )


def test_senders_and_viewers_keep_the_order_of_the_file() -> None:
    more = f"meters = b\n[mirror a]\npassword_hash = {HASH}\nmeters = a\n"
    viewers = "".join(f"[viewer {name}]\npassword_hash = {HASH}\n" for name in ("zoe", "anna"))
    chosen = parse(MIRROR + more + viewers)
    assert [sender.name for sender in chosen.senders] == ["pi-hq", "a"]
    assert chosen.viewers == (ViewerSettings("zoe", read_hash(HASH)), ViewerSettings("anna", read_hash(HASH)))


HASH_WANTED = "what `powerpi password` prints, such as scrypt$14$8$1$..."
METERS_WANTED = "names of meters, separated by commas, such as house, workshop as garage"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("meters = house shed", METERS_WANTED),
        ("meters = house as", METERS_WANTED),
        ("meters =", METERS_WANTED),
        ("protocol = php", "powerpi or get.php"),
        (
            "imp_per_kwh = 1.000",
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
        ),
        ("sample_seconds = 0", "a whole number of seconds from 1 to 3600"),
    ],
)
def test_fault_of_a_sender_names_key_value_and_what_is_wanted(line: str, wanted: str) -> None:
    key, _, value = (part.strip() for part in line.partition("="))
    text = MIRROR + ("" if key == "meters" else "meters = hut\n") + line
    assert faults(text) == (f"[mirror pi-hq] {key} = {value}: wanted {wanted}",)


def test_an_empty_section_of_a_sender_or_viewer_says_all_that_is_missing() -> None:
    assert faults("[mirror]\naccept = yes\n[mirror pi]\n[viewer anna]\n") == (
        f"[mirror pi] password_hash is missing: wanted {HASH_WANTED}",
        f"[mirror pi] meters is missing: wanted {METERS_WANTED}",
        f"[viewer anna] password_hash is missing: wanted {HASH_WANTED}",
    )


@pytest.mark.parametrize("kind", ["mirror", "viewer"])
@pytest.mark.parametrize("name", ["Anna", "a b", "a:b", "-a", "ä", "x" * 33])
def test_names_of_senders_and_viewers_are_as_plain_as_those_of_meters(kind: str, name: str) -> None:
    meters = "meters = hut" if kind == "mirror" else ""
    [fault] = faults(f"{METER}[mirror]\naccept = no\n[{kind} {name}]\npassword_hash = {HASH}\n{meters}")
    assert fault == f"[{kind} {name}] name {name!r}: wanted 1 to 32 of a-z, 0-9, - and _"


def test_two_senders_or_viewers_of_one_name_are_refused() -> None:
    again = f"meters = hut\n[mirror  pi-hq]\npassword_hash = {HASH}\nmeters = shed\n"
    told = "[mirror pi-hq] name = pi-hq: wanted a sender name of its own, another sender has this one"
    assert faults(MIRROR + again) == (told, told)
    viewers = "".join(f"[viewer{blank}anna]\npassword_hash = {HASH}\n" for blank in (" ", "   "))
    told = "[viewer anna] name = anna: wanted a viewer name of its own, another viewer has this one"
    assert faults(METER + viewers) == (told, told)
    assert "given a second time" in faults(f"{MIRROR}meters = hut\n{MIRROR}")[0]


def test_a_sender_and_a_viewer_may_have_one_name() -> None:
    assert parse(f"{MIRROR}meters = hut\n[viewer pi-hq]\npassword_hash = {HASH}").viewers[0].name == "pi-hq"


def taken(sender: str, own: str, theirs: str = "house") -> str:
    return (
        f"[mirror {sender}] meters = {own}: wanted a name that no other meter here has, nor"
        f" {', '.join(config.RESERVED_NAMES)}; `{theirs} as {sender}-{theirs}` keeps it under another"
    )


def test_a_meter_here_and_one_that_is_received_need_two_names() -> None:
    assert faults(METER + MIRROR + "meters = house") == (taken("pi-hq", "house"),)
    assert parse(METER + MIRROR + "meters = house as pi-hq-house")


def test_two_senders_with_one_meter_name_are_refused() -> None:
    other = f"[mirror pi-2]\npassword_hash = {HASH}\nmeters ="
    assert faults(f"{MIRROR}meters = house\n{other} house") == (taken("pi-hq", "house"), taken("pi-2", "house"))
    assert faults(f"{MIRROR}meters = house\n{other} shed as house") == (
        taken("pi-hq", "house"),
        taken("pi-2", "house", "shed"),
    )
    assert parse(f"{MIRROR}meters = house\n{other} house as hut")


def test_one_sender_cannot_send_two_meters_into_one() -> None:
    told = faults(MIRROR + "meters = house as hut, shed as hut")
    assert told == (taken("pi-hq", "hut"), taken("pi-hq", "hut", "shed"))


@pytest.mark.parametrize("name", config.RESERVED_NAMES)
def test_a_received_meter_takes_no_name_of_our_own_paths(name: str) -> None:
    assert faults(f"{MIRROR}meters = {name}") == (taken("pi-hq", name, name),)
    assert parse(f"{MIRROR}meters = {name} as hut")  # what the sender calls it is its own affair


def test_an_old_sender_has_one_meter() -> None:
    assert faults(MIRROR + "protocol = get.php\nmeters = house, shed") == (
        "[mirror pi-hq] meters: wanted one with get.php, not 2",
    )
    [sender] = parse(MIRROR + "protocol = get.php\nmeters = house\nimp_per_kwh = 500\nsample_seconds = 30").senders
    assert (sender.protocol, sender.imp_per_kwh, sender.sample_seconds) == (GET_PHP, 500.0, 30)


def test_faults_of_all_sections_come_together() -> None:
    told = faults(
        "[mirror]\naccept = da\n[mirror Pi]\nmeters = house\n[viewer anna]\npassword_hash = x\n[meter house]\n"
        "[push]\nurl = http://power.example.org/\nuser = a:b\nmeters = shed\nprotocol = mqtt\n"
    )
    assert [fault.split(":")[0] for fault in told] == [
        "[mirror] accept = da",
        "[meter house] gpio is missing",
        "[mirror Pi] name 'Pi'",
        "[mirror Pi] password_hash is missing",
        "[viewer anna] password_hash = ********",
        "[push] user = a",
        "[push] protocol = mqtt",
        "[mirror Pi] meters = house",
        "[push] meters = shed",
        "[push] password is missing",
        "[push] url = http",
    ]


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "text",
    [
        METER + PUSH + " geheim",  # goes on in the next line
        METER + PUSH.replace("= geheim", "= geheim" + "m" * 1000),
        METER + PUSH.replace("= geheim", "= geheim\x07"),
        METER + PUSH.replace("= geheim", "geheim"),
        METER + PUSH + "password = geheim2",
        METER + PUSH + "pass = geheim",
        METER + "[push]\n  password geheim\n",
        "  password = geheim\n" + METER,
        "password = geheim\n" + METER,
        METER + "[viewer anna]\npassword_hash = geheim",
        METER + "[viewer anna]\npassword_hash geheim",
        METER + "[viewer anna]\npassword = geheim",
        METER + PUSH.replace("https://", "https://pi:geheim@"),
        METER + PUSH.replace("https://", "https://pi:ge/geheim@x@"),
        METER + PUSH.replace("https://", "http://geheim@"),
    ],
)
def test_no_fault_shows_a_secret(text: str) -> None:
    told = faults(text)
    assert told
    assert SECRET not in "\n".join(told)


def test_a_secret_that_will_not_do_is_shown_as_stars() -> None:
    assert faults(METER + PUSH + " more") == ("[push] password = ********: wanted at most 1000 characters in one line",)
    assert faults(METER + "[viewer anna]\npassword_hash =") == (
        f"[viewer anna] password_hash = : wanted {HASH_WANTED}",
    )


def test_settings_can_be_printed_without_their_secrets() -> None:
    chosen = parse(METER + PUSH + MIRROR + f"meters = hut\n[viewer anna]\npassword_hash = {HASH}")
    assert chosen.push is not None
    assert chosen.push.password == SECRET
    assert SECRET not in repr(chosen)
    assert repr(read_hash(HASH).key) not in repr(chosen)


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
    [
        *("powerpi", "store", "meter", "meter a", "push", "mirror", "mirror a", "viewer a", "DEFAULT", "\0"),
        *(key.name for keys in SECTIONS.values() for key in keys),
    ]
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", "up", "yes", "http://h/", GET_PHP, HASH]),
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
        assert settings.meters or settings.senders
