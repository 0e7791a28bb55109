"""Keyed prints of what the gateway sees of a call: equal for equal things of one key epoch, and no way back.

A print is the first 16 bytes of an HMAC-SHA256 in hex. There is a key of its own for each purpose and epoch: an address
and a text that happen to be spelled alike have different prints, and prints of two epochs say nothing about each other.
While two epochs overlap, a call has both: whoever follows an account over the change can do so, and later nobody.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Literal

from stillroom.store.secrets import Secrets
from stillroom.text.normal import normalised, skeleton
from stillroom.text.sketch import Sketcher

Purpose = Literal["ip", "tls", "billing", "user", "prompt", "system", "skeleton"]
PRINT_BYTES = 16
_PURPOSES: tuple[Purpose, ...] = ("ip", "tls", "billing", "user", "prompt", "system", "skeleton")
_ADDRESSES_KEPT = 1024
"""Most calls come from an address that has just called."""
_MONTHS_PER_EPOCH = 3
_OVERLAP_US = 7 * 86_400 * 1_000_000
_HOUR_US = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class TextPrints:
    """Of the texts of one call; None where there is no such text."""

    prompt: str | None
    system: str | None
    skeleton: str | None
    sketch: bytes | None


@dataclass(frozen=True, slots=True)
class EarlierPrints:
    """What a call has beside its row while two epochs overlap: its prints and sketch by the keys of the one before."""

    print_key_id: str
    ip_print: str | None
    tls_print: str | None
    user_print: str | None
    prompt_print: str | None
    system_print: str | None
    skeleton_print: str | None
    minhash: bytes | None


class Prints:
    """The prints of one epoch."""

    def __init__(self, secrets: Secrets, epoch: str) -> None:
        self.epoch = epoch
        self.print_key_id = f"{epoch}-{secrets.derive('print key id', epoch)[:4].hex()}"
        """Says with which keys a row was printed, and nothing about them."""
        # Begun with the key and copied: hmac.digest looks its hash up in OpenSSL at every call, three times as long.
        self._begun = {
            purpose: hmac.new(secrets.derive(f"print of {purpose}", epoch), digestmod=sha256) for purpose in _PURPOSES
        }
        self._sketcher = Sketcher(secrets.derive("sketch", epoch))
        self._address = lru_cache(_ADDRESSES_KEPT)(self._address_anew)

    def address(self, address: str) -> str | None:
        """Of the network that an address lies in: /24, or /48 of IPv6. None for what is no address."""
        return self._address(address)

    def _address_anew(self, address: str) -> str | None:
        try:
            parsed = ip_address(address)
        except ValueError:
            return None
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        network = parsed.packed[:3] if parsed.version == 4 else parsed.packed[:6]
        return self._print("ip", network)

    def label(self, purpose: Literal["tls", "billing", "user"], value: str) -> str:
        """Of a value that is compared as it is."""
        return self._print(purpose, _utf8(value))

    def texts(self, user_text: str | None, system_text: str | None) -> TextPrints:
        """`user_text`: all new user text of the turn."""
        prompt = normalised(user_text) if user_text else ""
        template = skeleton(user_text) if user_text else None
        system = normalised(system_text) if system_text else ""
        return TextPrints(
            prompt=self._print("prompt", _utf8(prompt)) if prompt else None,
            system=self._print("system", _utf8(system)) if system else None,
            skeleton=None if template is None else self._print("skeleton", _utf8(template)),
            sketch=self._sketcher.sketch(prompt),
        )

    def earlier(
        self, address: str | None, tls: str | None, user: str | None, user_text: str | None, system_text: str | None
    ) -> EarlierPrints:
        """All prints of a call at once, where these are the keys of the epoch before its own."""
        texts = self.texts(user_text, system_text)
        return EarlierPrints(
            print_key_id=self.print_key_id,
            ip_print=self.address(address) if address else None,
            tls_print=self.label("tls", tls) if tls else None,
            user_print=self.label("user", user) if user else None,
            prompt_print=texts.prompt,
            system_print=texts.system,
            skeleton_print=texts.skeleton,
            minhash=texts.sketch,
        )

    def _print(self, purpose: Purpose, value: bytes) -> str:
        begun = self._begun[purpose].copy()
        begun.update(value)
        return begun.digest()[:PRINT_BYTES].hex()


class PrintsByTime:
    """The prints of the epoch that a call falls into."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._by_epoch: dict[str, Prints] = {}
        self._hour = -1
        self._at_hour: tuple[Prints, Prints | None]

    def at(self, at_us: int) -> tuple[Prints, Prints | None]:
        """Those of that time's epoch, and of the one before while it overlaps. Epochs change on the hour."""
        hour = at_us // _HOUR_US
        if hour != self._hour:
            before = overlapping_at(at_us)
            self._at_hour = self._of(epoch_at(at_us)), None if before is None else self._of(before)
            self._hour = hour
        return self._at_hour

    def _of(self, epoch: str) -> Prints:
        prints = self._by_epoch.get(epoch)
        if prints is None:
            prints = self._by_epoch[epoch] = Prints(self._secrets, epoch)
        return prints


def billing_print(secrets: Secrets, reference: str) -> str:
    """Of how an account is paid for (a customer number, a card's token): the same in all epochs."""
    return hmac.digest(secrets.derive("billing prints"), _utf8(reference), "sha256")[:PRINT_BYTES].hex()


def epoch_at(at_us: int) -> str:
    """The epoch of a time (UTC, microseconds): a quarter of a year, such as `2026q4`."""
    when = datetime.fromtimestamp(at_us / 1e6, UTC)
    return f"{when.year}q{(when.month - 1) // _MONTHS_PER_EPOCH + 1}"


def overlapping_at(at_us: int) -> str | None:
    """The epoch before, where it overlaps that of the time: for the first days of an epoch. Else None."""
    before = epoch_at(at_us - _OVERLAP_US)
    return None if before == epoch_at(at_us) else before


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
