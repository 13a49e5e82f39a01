"""The doorkeeper: which hosts are served. What it does to answers is tested with the pages, in test_web."""

from __future__ import annotations

import pytest

from powerpi.guard import host_allowed, own_names

NAMES = frozenset(own_names("raspi") | {"strom.example"})


@pytest.mark.parametrize(
    "header",
    ["192.168.1.7", "192.168.1.7:8080", "[fd00::7]", "[fd00::7]:8080", "8.8.8.8", "localhost", "localhost:80",
     "raspi", "RASPI:8080", "raspi.", "raspi.local", "raspi.fritz.box", "raspi.home.arpa", "raspi.lan",
     "other.local", "strom.example", "Strom.Example.:443"],
)  # fmt: skip
def test_addresses_local_names_and_known_names_are_served(header: str) -> None:
    assert host_allowed(header, NAMES)


@pytest.mark.parametrize(
    "header",
    ["", "evil.example", "raspi.evil.example", "192.168.1.7.evil.example", "evil.fritz.box", "local", "evillocal",
     "other", "fd00::7", "[fd00::7", "[zz]", "a b.local", "evil.example/.local", "evil@pi.local", "pi.local:80:80",
     "pi.local:port", "pi.local\n", "\xb2.local"],
)  # fmt: skip
def test_all_other_names_are_refused(header: str) -> None:
    assert not host_allowed(header, NAMES)


def test_own_name_with_a_domain_is_known_with_and_without_it() -> None:
    assert {"raspi.example.org", "raspi", "raspi.fritz.box"} <= own_names("raspi.example.org")
