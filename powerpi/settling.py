"""`powerpi setup`: a first configuration out of the sample, the system that is replaced, and what a person says."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from powerpi import arrival, config, files, header, predecessor
from powerpi.errors import ConfigError, ServerError, StoreError
from powerpi.filling import filled
from powerpi.keys import Key, key_of
from powerpi.predecessor import Predecessor

METER = "house"
SAMPLE = "powerpi.conf"
DEFAULTS = {"imp_per_kwh": "1000", "gpio": "24"}  # in the order in which they are asked for
QUESTIONS = {
    "imp_per_kwh": "Meter constant, printed on the meter in imp/kWh",
    "gpio": "GPIO that S0+ is wired to (GPIO24 is pin 18)",
}


class Wishes(NamedTuple):
    """What the command line says; None: nothing."""

    config: Path
    sample: Path | None = None
    gpio: str | None = None
    imp_per_kwh: str | None = None
    predecessor: Path = predecessor.FOLDER
    wait: float | None = None  # seconds


def run(wishes: Wishes) -> int:
    """Write the configuration if there is none, and wait for the page if that is wished; returns the exit code.

    Raises ConfigError when what is there is wrong, StoreError when it cannot be written, ServerError when nobody
    answers, KeyboardInterrupt when the person at the keyboard leaves; then nothing was written.
    """
    if os.path.lexists(wishes.config):
        config.load(wishes.config)
        print(f"{wishes.config} is there already and stays as it is")
        for name in DEFAULTS:
            if getattr(wishes, name) is not None:
                print(f"not taken: {name} = {getattr(wishes, name)}; change it in {wishes.config}")
    else:
        _write(wishes)
    if wishes.wait is not None:
        _await(wishes.config, wishes.wait)
    return os.EX_OK


def default_sample(package: Path = Path(__file__).parent, prefix: Path = Path(sys.prefix)) -> Path:
    """The sample of this program: in the checkout it runs from, else where it was installed."""
    beside = package.parent / "init" / SAMPLE
    return beside if beside.is_file() else prefix / "share" / "powerpi" / SAMPLE


def _write(wishes: Wishes) -> None:
    sample = _read(wishes.sample or default_sample())
    old = predecessor.find(wishes.predecessor)
    if old:
        print(f"found the system that PowerPi replaces: {old.source}")
    meter = _meter(wishes, old)
    text = _configured(sample, meter, old)
    for said in old.said if old else ():
        print(f"  {said}")
    try:
        files.create(wishes.config, text)
    except FileExistsError:
        raise StoreError(f"{wishes.config} has just been made by somebody else; nothing was written") from None
    except OSError as error:
        raise StoreError(f"{wishes.config} cannot be written: {error.strerror}") from error
    print(f"{wishes.config} was written")
    print(_wires(meter))
    for archive in predecessor.archives(wishes.predecessor):
        print(f"old data: {archive}; take it over with: sudo powerpi import {METER} {archive}")
    print("next: wire the meter with the Pi switched off; then sudo powerpi check --watch shows each pulse as it comes")


def _read(sample: Path) -> str:
    """The sample's text. Raises ConfigError."""
    try:
        text = sample.read_text(encoding="utf-8-sig")
        config.parse(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"it cannot be read: {error}; name another one with --sample"], str(sample)) from error
    except ConfigError as error:
        raise ConfigError(error.faults, str(sample)) from error
    return text


def _meter(wishes: Wishes, old: Predecessor | None) -> Mapping[str, str]:
    """The keys of the meter: as wished, else as they were, else as somebody says, else as usual."""
    values = dict(old.meter) if old else {}
    values |= {name: wished for name in DEFAULTS if (wished := getattr(wishes, name)) is not None}
    missing = [name for name in DEFAULTS if name not in values]
    if missing and sys.stdin.isatty():
        return values | {name: _asked(key_of("meter", name), QUESTIONS[name], DEFAULTS[name]) for name in missing}
    for name in missing:
        print(f"nobody said {name}: it is {DEFAULTS[name]}, as usual; if that is wrong, change it in {wishes.config}")
    return values | {name: DEFAULTS[name] for name in missing}


def _wires(meter: Mapping[str, str]) -> str:
    """Where the two wires go on the header."""
    gpio = key_of("meter", "gpio").read(meter["gpio"])
    place = header.place_of(gpio)
    said = f"GPIO{gpio} is pin {place} of the header"
    if meter.get("pull", "up") == "down":
        return f"{said}: S0− goes there, S0+ to 3.3 V (pin {header.SUPPLY_PLACE})"
    return f"{said}: S0+ goes there, S0− to a ground such as pin {header.ground_for(place)}"


def _asked(key: Key, question: str, default: str) -> str:
    """What somebody at the keyboard says, asked again until it can be read; Enter alone is the default."""
    while True:
        try:
            answer = input(f"{question} [{default}]: ").strip() or default
        except EOFError:
            raise KeyboardInterrupt from None  # Ctrl-D says the same as Ctrl-C
        try:
            key.read(answer)
        except ValueError:
            print(f"{answer!r} will not do: wanted {key.wanted}")
        else:
            return answer


def _configured(sample: str, meter: Mapping[str, str], old: Predecessor | None) -> str:
    """The whole text; a [push] that would be refused stays a comment, with the reason."""
    text = filled(sample, f"meter {METER}", meter)
    if not old or not old.push:
        return text
    sending = filled(text, "push", old.push, old.notes)
    try:
        config.parse(sending)
    except ConfigError as error:
        print("  not used: [push] stays a comment, because it would be refused:")
        for fault in error.faults:
            print(f"    {fault}")
        return filled(text, "push", old.push, [*old.notes, "Not used, because:", *error.faults], used=False)
    return sending


def _await(path: Path, seconds: float) -> None:
    """Wait for the page and say where it is. Raises ServerError."""
    listen = config.load(path).listen
    if not arrival.wait(listen, seconds):
        raise ServerError(f"nobody answers at {listen[0]} port {listen[1]} within {seconds:g} s")
    print("Open in a browser on this network:")
    for address in arrival.addresses(listen):
        print(f"    {address}")
