"""What a connection says of a client: its address, also from behind proxies, and what its program calls itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Proxies = Sequence[IPv4Network | IPv6Network]
"""Networks of proxies whose word is taken."""

_AGENT_LENGTH = 64
_LONGEST_AGENT = 256
"""Of which anything is kept, in the log or in memory."""
_KEY = re.compile(r"sra?-[a-z0-9]{8}-[\w-]*|\bsk-[\w-]{16,}")


def client_address(peer: str | None, forwarded: str, proxies: Proxies) -> str | None:
    """The address that the connection comes from; behind trusted proxies, the last one that they did not add.

    `forwarded`: X-Forwarded-For. It is read from its end, as long as the hop that wrote an entry is trusted: what a
    client writes into the header itself is never reached.
    """
    address = peer
    if not is_trusted(address, proxies):
        return address
    for hop in reversed([hop.strip() for hop in forwarded.split(",")]):
        if not hop:
            break
        address = hop
        if not is_trusted(hop, proxies):
            break
    return address


def is_trusted(address: str | None, proxies: Proxies) -> bool:
    """Whether it is one of the proxies."""
    if address is None or not proxies:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in proxies)


def agent_name(told: str) -> str | None:
    """The name and version that a User-Agent begins with, printable ASCII: `OpenAI/Python 1.60.0`. Never a key."""
    return _name_of(told[:_LONGEST_AGENT])


@lru_cache(maxsize=1024)
def _name_of(told: str) -> str | None:
    first = _KEY.sub("?", told.partition("(")[0].strip())[:_AGENT_LENGTH]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in first) or None
