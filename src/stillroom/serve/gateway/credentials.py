"""Who is asking: the key alone says it. And where from: the peer's address, or what a trusted proxy says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes

from stillroom.serve.gateway.exchange import Exchange
from stillroom.serve.gateway.refused import Refused

_AGENT_LENGTH = 64
_KEY_IN_QUERY = b"sr-"
_KEY = re.compile(r"sra?-[a-z0-9]{8}-[\w-]*")
_LONGEST_AGENT = 256
"""Of which anything is kept, in the log or in memory."""


def presented_key(exchange: Exchange) -> str:
    """The key of the Authorization or the x-api-key header. Raises Refused where there is none, or two that differ."""
    try:
        bearer, plain = exchange.header(b"authorization"), exchange.header(b"x-api-key")
    except ValueError as error:
        raise Refused("ambiguous_key", 400, f"Bad request: {error}.") from error
    if exchange.query and _KEY_IN_QUERY in unquote_to_bytes(exchange.query):
        what = "A key does not belong into an address, which is logged on its way."
        raise Refused("key_in_address", 400, f"{what} Replace the key, and send the new one as a header.")
    scheme, _, token = (bearer or "").partition(" ")
    named = [key for key in (token.strip() if scheme.lower() == "bearer" else "", plain or "") if key]
    if not named:
        raise Refused("missing_api_key", 401, "There is no key. Send it as `Authorization: Bearer KEY`.")
    if len(set(named)) > 1:
        raise Refused("ambiguous_key", 400, "Authorization and x-api-key hold two different keys. Send one of them.")
    return named[0]


def client_address(exchange: Exchange, proxies: Sequence[IPv4Network | IPv6Network]) -> str | None:
    """The address that the connection comes from; behind trusted proxies, the last one that they did not add.

    X-Forwarded-For is read from its end, as long as the hop that wrote an entry is trusted: what a client writes into
    the header itself is never reached.
    """
    address = exchange.peer
    if not _is_trusted(address, proxies):
        return address
    hops = exchange.joined_header(b"x-forwarded-for").split(",")
    for hop in reversed([hop.strip() for hop in hops]):
        if not hop:
            break
        address = hop
        if not _is_trusted(hop, proxies):
            break
    return address


def tls_print(exchange: Exchange, proxies: Sequence[IPv4Network | IPv6Network]) -> str | None:
    """What the proxy says of the client's TLS hello, where the proxy is trusted."""
    return exchange.last_header(b"x-tls-print") if _is_trusted(exchange.peer, proxies) else None


def agent_name(exchange: Exchange) -> str | None:
    """The name and version that User-Agent begins with, printable ASCII: `OpenAI/Python 1.60.0`. Never a key."""
    told = exchange.last_header(b"user-agent")
    return _name_of(told[:_LONGEST_AGENT]) if told else None


@lru_cache(maxsize=1024)
def _name_of(told: str) -> str | None:
    first = _KEY.sub("?", told.partition("(")[0].strip())[:_AGENT_LENGTH]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in first) or None


def _is_trusted(address: str | None, proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    if address is None or not proxies:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in proxies)
