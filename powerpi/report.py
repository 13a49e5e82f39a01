"""`powerpi check --report`: a text for a bug report that everybody may see: no passwords, no hosts, no users."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from powerpi import __version__, gaps, ini
from powerpi.check import whole
from powerpi.check_machine import SERVICE_USER, account, is_closed, service_account, system_name
from powerpi.config import Settings, load
from powerpi.contacts import Asking
from powerpi.errors import ConfigError, NobodyError, RefusedError
from powerpi.faults import SECRETIVE, Fault, public_heading
from powerpi.finding import Finding
from powerpi.gaps import Gap
from powerpi.keys import HIDDEN, SECTIONS, Key, kind_of
from powerpi.page_pulses import pulses_view
from powerpi.pulse_health import health
from powerpi.texts import texts

PACKAGES = ("gpiozero", "rrdtool", "bottle", "waitress", "requests")
MODELS = (Path("/proc/device-tree/model"), Path("/sys/class/dmi/id/product_name"))
PRIVATE = ("user", "host_names", "url")  # keys that are no secrets, and nobody's business either
NAMES_OF = ("sender", "viewer")  # people and other machines: their names are hidden
UNTOLD = "something is wrong of which nothing is told here"
ADDRESS = re.compile(r"https?://[^\s'\"]+|[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]+(?:%\w+)?")
HOME = re.compile(r"(?<=/home/)[^/\s:;,]+")
TELL_OF_MIRROR = ("mirror", "powerpi")  # findings
LEAST_OF_PATH = 3  # characters of a part of the path, in what is told of the mirror
LEAST_CHARACTERS = 8  # of what is looked for everywhere: a shorter word would be seen by where it lacks


def run(path: Path, seconds: float) -> int:
    """Print the report; the exit code is that of the check, of a wrong configuration where it is wrong."""
    text = _text_of(path)
    private = Private(text, path)
    bad = False
    for line in _versions():
        print(private.hide(line))
    print("\n## Configuration\n")
    for line in configuration(text):
        print(private.hide(line))
    try:
        settings = load(path)
    except ConfigError as error:
        print("\n## What is wrong with it\n")
        for fault in error.faults:
            print(private.hide(fault.public if isinstance(fault, Fault) else UNTOLD))
        return os.EX_CONFIG
    print("\n## Findings\n", flush=True)
    people = {who.name for who in (service_account(settings.state), account(os.geteuid()))}
    for finding in whole(path, settings, seconds):
        print(private.shown(finding, people), flush=True)
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
    """The configuration without what is secret or private, and without whatever PowerPi does not know or refuses."""
    sections, faults = ini.read(text)
    places = ini.places(text)
    if faults:
        yield f"(lines at fault, left out here: {len(faults)})"
    for number, (section, given) in enumerate(sections.items(), 1):
        kind = kind_of(section)
        if not kind:
            yield f"({_place(places, section)}unknown section, left out here)"
            continue
        yield public_heading(section).replace(HIDDEN, f"{HIDDEN} {number}")
        known = {key.name: key for key in SECTIONS[kind]}
        for name, value in given.items():
            if name in known:
                yield f"{name} = {_told(known[name], value)}"
            else:
                yield f"({_place(places, section, name)}unknown key, left out here)"


def _place(places: Mapping[tuple[str, str], int], section: str, key: str = "") -> str:
    return f"line {places[section, key]}: " if (section, key) in places else ""


def _told(key: Key, value: str) -> str:
    """A value as everybody may see it: one that will not do may have been meant for another key."""
    if not value:
        return value
    if key.secret or key.name in PRIVATE or "\n" in value or SECRETIVE.search(value):
        return HIDDEN
    try:
        key.read(value)
    except ValueError:
        return HIDDEN
    return value


class Private:
    """What must not appear anywhere in the report, were it told by mistake: secrets, users, hosts and addresses."""

    def __init__(self, text: str, path: Path | None = None) -> None:
        words, mirror = set(_hidden_words(text)), set(_mirror_words(text))
        hosts = {word for word in mirror if "." in word or ":" in word}
        self._everywhere = _pattern({word for word in words | mirror if len(word) >= LEAST_CHARACTERS} | hosts)
        self._of_mirror = _pattern(mirror)
        self._path = path

    def hide(self, line: str) -> str:
        """The line without these words."""
        plain = line.replace("\u00a0", " ")
        if self._path:
            plain = plain.replace(str(self._path), self._path.name)
        return HOME.sub(HIDDEN, self._everywhere.sub(HIDDEN, plain))

    def shown(self, finding: Finding, people: Iterable[str] = ()) -> str:
        """A finding without these words; `people` are users of this machine."""
        said = finding.said
        if finding.what in TELL_OF_MIRROR:  # and what others say of themselves
            said = self._of_mirror.sub(HIDDEN, ADDRESS.sub(_unless_none, said))
        if finding.what == "user":
            said = _pattern(set(people) - {SERVICE_USER, "root"}).sub(HIDDEN, said)
        return self.hide(finding._replace(said=said).line)


def _unless_none(found: re.Match[str]) -> str:
    """An address, hidden; what only looks like one, such as a time, as it is."""
    if not found[0].startswith("http"):
        try:
            ip_address(found[0].rstrip(".:"))
        except ValueError:
            return found[0]
    return HIDDEN


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Any of the words as a whole, the longest first, in small letters and capitals; of none, what is nowhere."""
    longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?i)(?<!\w)(?:{longest_first or '(?!)'})(?!\w)")


def _hidden_words(text: str) -> Iterator[str]:
    for section, given in ini.read(text)[0].items():
        kind = kind_of(section)
        if kind in NAMES_OF:
            yield section.split(maxsplit=1)[-1]
        keys = {key.name: key for key in SECTIONS.get(kind, ())}
        for name, value in given.items():
            if name not in keys or keys[name].secret or name == "user":
                yield from filter(None, (value, *value.splitlines()))
            elif name == "host_names":
                yield from (host for host in re.split(r"[,\s]+", value) if "." in host)


def _mirror_words(text: str) -> Iterator[str]:
    """The address of the mirror, its host in every form, and what else stands in it."""
    value = ini.read(text)[0].get("push", {}).get("url", "")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return
    path = [word for word in parts.path.split("/") if len(word) >= LEAST_OF_PATH]
    yield from filter(None, (value, parts.netloc, host, *path))
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return
    yield from (str(address), address.exploded)


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
