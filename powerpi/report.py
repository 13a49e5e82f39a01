"""`powerpi check --report`: a text for a bug report that everybody may see: no passwords, no hosts, no users."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from powerpi import __version__, gaps, ini
from powerpi.check import whole
from powerpi.check_machine import is_closed, system_name
from powerpi.config import HIDDEN, Settings, load
from powerpi.contacts import Asking
from powerpi.errors import ConfigError, NobodyError, RefusedError
from powerpi.gaps import Gap
from powerpi.keys import SECTIONS
from powerpi.page_pulses import pulses_view
from powerpi.pulse_health import health
from powerpi.texts import texts

PACKAGES = ("gpiozero", "rrdtool", "bottle", "waitress", "requests")
MODELS = (Path("/proc/device-tree/model"), Path("/sys/class/dmi/id/product_name"))
PRIVATE = ("user", "host_names", "url")  # keys that are no secrets, and nobody's business either
NAMES_OF = ("mirror", "viewer")  # people and other machines: their names are hidden
KINDS = {"mirror": "sender", "viewer": "viewer", "meter": "meter"}  # of sections with a name
LEAST_CHARACTERS = 8  # of what is looked for everywhere: a shorter word would be seen by where it lacks


def run(path: Path, seconds: float) -> int:
    """Print the report; the exit code is that of the check, of a wrong configuration where it is wrong."""
    text = _text_of(path)
    private = Private(text)
    bad = False
    for line in _versions():
        print(private.hide(line))
    print("\n## Configuration\n")
    for line in configuration(text):
        print(line)
    try:
        settings = load(path)
    except ConfigError as error:
        print("\n## What is wrong with it\n")
        for fault in error.faults:
            print(private.hide(fault))
        return os.EX_CONFIG
    print("\n## Findings\n", flush=True)
    for finding in whole(path, settings, seconds):
        print(private.hide(finding.line), flush=True)
        bad = bad or finding.right is False
    for line in (*_gaps(settings), *_pulses(settings)):
        print(private.hide(line))
    return 1 if bad else 0


def _text_of(path: Path) -> str:
    """The configuration, whatever it is; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def _versions() -> Iterator[str]:
    """What runs here."""
    yield "# PowerPi bug report\n"
    yield f"PowerPi {__version__}"
    yield f"Python {platform.python_version()}"
    yield f"system {system_name()}, {platform.release()}, {platform.machine()}, {sys.maxsize.bit_length() + 1} bit"
    yield f"machine {machine_model()}"
    yield ", ".join(f"{name} {package_version(name)}" for name in PACKAGES)


def machine_model(paths: Iterable[Path] = MODELS) -> str:
    """What the machine calls itself."""
    for path in paths:
        try:
            return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            continue
    return "unknown"


def package_version(name: str) -> str:
    """The version of a package; "missing" where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def configuration(text: str) -> Iterator[str]:
    """The configuration without what is secret or private; values of keys that do not exist are hidden as well."""
    sections, faults = ini.read(text)
    if faults:
        yield f"(lines at fault, left out here: {len(faults)})"
    for number, (section, given) in enumerate(sections.items(), 1):
        first, _, name = section.partition(" ")
        kind = KINDS.get(first, first) if name or first == "viewer" else first
        yield f"[{first} {HIDDEN} {number}]" if first in NAMES_OF and name else f"[{shown_section(first, name)}]"
        known = {key.name: key for key in SECTIONS.get(kind, ())}
        for key, value in given.items():
            hidden = key not in known or known[key].secret or key in PRIVATE
            yield f"{key} = {HIDDEN if hidden and value else value}"


def shown_section(first: str, name: str) -> str:
    """The heading of a section of which nothing is hidden; one that is not known may hold anything."""
    return f"{first} {name}".strip() if first in SECTIONS else HIDDEN


class Private:
    """What must not appear anywhere in the report, were it told by mistake: secrets, and hosts of a domain."""

    def __init__(self, text: str) -> None:
        words = {word for word in _hidden_words(text) if len(word) >= LEAST_CHARACTERS}
        longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)") if words else None

    def hide(self, line: str) -> str:
        """The line without these words."""
        plain = line.replace("\u00a0", " ")
        return self._pattern.sub(HIDDEN, plain) if self._pattern else plain


def _hidden_words(text: str) -> Iterator[str]:
    for section, given in ini.read(text)[0].items():
        first, _, name = section.partition(" ")
        if first in NAMES_OF or shown_section(first, name) == HIDDEN:
            yield name if first in NAMES_OF else section
        kind = KINDS.get(first, first) if name else first
        keys = {key.name: key for key in SECTIONS.get(kind, ())}
        for key, value in given.items():
            if key not in keys or keys[key].secret:
                yield value
            elif key == "url":
                yield from (host for host in re.findall(r"//(?:[^/]*@)?([^/:]+)", value) if "." in host)
            elif key == "host_names":
                yield from (host for host in re.split(r"[,\s]+", value) if "." in host)


def _gaps(settings: Settings) -> Iterator[str]:
    """How many gaps each meter has, by their reasons."""
    yield "\n## Gaps\n"
    if is_closed(settings.state):
        yield "not known: this user may not look"
        return
    for name in settings.names:
        found, damaged = gaps.read(settings.state / f"{name}.gaps")
        yield f"{name}: {gaps_line(found)}{'; its file is damaged' if damaged else ''}"


def gaps_line(found: Sequence[Gap]) -> str:
    """Gaps by their reasons, the most frequent first."""
    counts = Counter(gap.reason for gap in found)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "none"


def _pulses(settings: Settings) -> Iterator[str]:
    """The health of the pulses, as the PowerPi that runs knows it."""
    yield "\n## Pulses\n"
    try:
        sights = Asking(settings.state).look({})
    except (NobodyError, RefusedError) as error:
        yield f"not known: {error}"
        return
    words = texts("en")
    for meter in settings.meters:
        if meter.name not in sights.meters:
            continue
        sight = sights.meters[meter.name]
        view = pulses_view(health(sight.seen, meter.imp_per_kwh, sights.now), words)
        yield f"{meter.name}: {sight.pulses} pulses, {sight.lost} edges lost"
        yield from (f"  {name}: {value}" for name, value in view.figures)
        for histogram in view.histograms:
            yield f"  {histogram.title}: " + "; ".join(f"{bar.span} {bar.number}" for bar in histogram.bars)
        if view.advice:
            yield f"  {view.advice}"
