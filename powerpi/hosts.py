"""Host names and addresses: which of them can only mean a machine of the local network."""

from __future__ import annotations

import ipaddress

# A name whose owner could point it anywhere needs the public DNS. None of these ends is there: .local is asked for by
# multicast only (RFC 6762), .home.arpa is for homes (RFC 8375), .internal is reserved by ICANN for private use (2024),
# .lan is what many routers make up and is not delegated.
LOCAL_ENDS = (".local", ".home.arpa", ".internal", ".lan")


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
        return address.is_private or address.is_link_local
    name = host.lower().removesuffix(".")
    return "." not in name or name.endswith(LOCAL_ENDS)
