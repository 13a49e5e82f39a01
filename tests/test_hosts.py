"""Which hosts can only be on the local network: nothing is sent in clear text to any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi.hosts import LOCAL_ENDS, is_address, is_local


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("192.168.1.7", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("[::1]", False),
        ("", False),
        ("1.2.3", False),
        ("1.2.3.4.5", False),
        ("256.1.1.1", False),
        ("01.2.3.4", False),
        ("power.example.org", False),
    ],
)
def test_an_address_is_told_from_a_name(name: str, answer: bool) -> None:
    assert is_address(name) is answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.255.255.255", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
        "192.168.255.255", "169.254.7.7", "::1", "fc00::1", "fd12:3456::1", "fe80::1", "febf::1", "fe80::1%eth0",
        "::ffff:192.168.1.7",
    ],
)  # fmt: skip
def test_addresses_of_local_networks_are_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
        "100.64.0.1", "169.253.255.255", "169.255.0.0", "0.0.0.0", "255.255.255.255", "2003::1", "::2", "fec0::1",
        "::ffff:8.8.8.8",  # what a dual-stack socket calls an IPv4 address
        "2001:0:53aa:64c::1",  # Teredo
        "2002:808:808::1",  # 6to4
        "64:ff9b::808:808",  # NAT64
    ],
)  # fmt: skip
def test_all_other_addresses_are_foreign(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize(
    "host",
    ["pi", "Raspberrypi", "localhost", "pi.", "pi.local", "PI.LOCAL", "pi.local.", "a.b.home.arpa", "x.internal",
     "nas.lan", "0xpi", "pi24"],
)  # fmt: skip
def test_names_that_no_public_dns_knows_are_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["power.example.org", "example.org.", "pi.local.example.org", "local.org", "xlocal.org", "pi.lan.de", "home.arpa.x",
     "pi.fritz.box", "a.xinternal"],
)  # fmt: skip
def test_names_of_the_public_dns_are_foreign(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize("host", ["134744072", "0x8080808", "0X8080808", "8", "0x", ""])
def test_a_number_without_dots_is_an_address_somewhere(host: str) -> None:
    assert not is_local(host)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_local_in_ipv6_as_in_ipv4(address: object) -> None:
    assert is_local(f"::ffff:{address}") == is_local(str(address))


@given(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), st.sampled_from(LOCAL_ENDS))
def test_a_local_end_is_local_in_any_letters_and_with_the_dot_of_the_root(name: str, end: str) -> None:
    assert is_local(name + end)
    assert is_local((name + end).upper() + ".")
    assert not is_local(f"{name}{end}.example")
