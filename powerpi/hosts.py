"""Host names and addresses: which of them can only mean a machine of the local network."""

from __future__ import annotations

import ipaddress
import re

# A name whose owner could point it anywhere needs the public DNS. None of these ends is there: .local is asked for by
# multicast only (RFC 6762), .home.arpa is for homes (RFC 8375), .internal is reserved by ICANN for private use (2024),
# .lan is what many routers make up and is not delegated.
LOCAL_ENDS = (".local", ".home.arpa", ".internal", ".lan")

# RFC 1918, 1122, 3927, 4193, 4291. Not ipaddress.is_private: that has Teredo's addresses too, which are anywhere.
LOCAL_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
            *("fc00::/7", "::1/128", "fe80::/10"),
        ),
    )
)
NUMBER = re.compile(r"[0-9]*|0x[0-9a-f]*")  # inet_aton(3) takes such a name for an IPv4 address, whichever it is


def is_address(name: str) -> bool:
    """Whether `name` is an IP address, without brackets."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether `host` is an address of a local network, or a name that no public DNS knows.

    A name without a dot is one: ICANN allows no top-level domain to be the name of a host.
    """
    if is_address(host):
        address = ipaddress.ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in LOCAL_NETWORKS)
    name = host.lower().removesuffix(".")
    return name.endswith(LOCAL_ENDS) if "." in name else not NUMBER.fullmatch(name)
