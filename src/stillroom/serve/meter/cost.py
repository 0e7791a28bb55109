"""What a call is charged: by the price in the gateway's settings, cached tokens as cached ones."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Literal

from stillroom.client.price import FREE, Pricing, own_pricing
from stillroom.client.settings import Price

_NANO = Decimal(1_000_000_000)


def model_pricing(price: Literal["none"] | Price) -> Pricing:
    """Of a model in the settings. `cost` gives USD for a Usage, `most` for a call that uses all it may."""
    return FREE if price == "none" else own_pricing(price)


def nano_usd(amount: Decimal | None) -> int:
    """What limits count in: whole billionths of a dollar, rounded up. 0 for what costs nothing."""
    return 0 if amount is None else int((amount * _NANO).to_integral_value(ROUND_CEILING))
