"""Who is asking: the key alone says it. And where from: the peer's address, or what a trusted proxy says of it."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from stillroom.serve.gateway.exchange import Exchange
from stillroom.serve.gateway.refused import Refused
from stillroom.text import connections
from stillroom.text.connections import Proxies, is_trusted

_KEY_IN_QUERY = b"sr-"


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


def client_address(exchange: Exchange, proxies: Proxies) -> str | None:
    """The address that the connection comes from; behind trusted proxies, the last one that they did not add."""
    if not is_trusted(exchange.peer, proxies):
        return exchange.peer
    return connections.client_address(exchange.peer, exchange.joined_header(b"x-forwarded-for"), proxies)


def tls_print(exchange: Exchange, proxies: Proxies) -> str | None:
    """What the proxy says of the client's TLS hello, where the proxy is trusted."""
    return exchange.last_header(b"x-tls-print") if is_trusted(exchange.peer, proxies) else None


def agent_name(exchange: Exchange) -> str | None:
    """The name and version that User-Agent begins with."""
    told = exchange.last_header(b"user-agent")
    return connections.agent_name(told) if told else None
