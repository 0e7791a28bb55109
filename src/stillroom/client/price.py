"""What a call costs: by the recipe's own price, or by the public list of genai-prices. Never by a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices

from stillroom.base.canonical import digest
from stillroom.base.errors import RecipeError
from stillroom.client.settings import Endpoint, Price
from stillroom.client.usage import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Pricing:
    price_id: str | None
    """Which price this is; None where the teacher costs nothing."""
    _cost: Callable[[int, int, int, int], Decimal] | None

    def cost(self, usage: Usage, at_us: int) -> Decimal | None:
        """USD of one call. None where it costs nothing, or its tokens are not known."""
        if self._cost is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
        return self._cost(usage.prompt_tokens, cached, usage.completion_tokens, at_us)

    def most(self, prompt_tokens: int, completion_tokens: int, at_us: int) -> Decimal | None:
        """USD of a call that uses all it may. None where it costs nothing."""
        if self._cost is None:
            return None
        # A cached token that costs more than another is odd, and has been seen in recipes.
        return max(self._cost(prompt_tokens, cached, completion_tokens, at_us) for cached in (0, prompt_tokens))


def usd(amount: Decimal | None) -> str | None:
    """An amount as it is stored: plain decimal digits, no exponent."""
    return None if amount is None else format(amount.normalize(), "f")


def pricing(endpoint: Endpoint) -> Pricing:
    """Raises RecipeError where nobody knows the price: that is found out before the first call, and is never zero."""
    if endpoint.price == "none":
        return Pricing(None, None)
    if isinstance(endpoint.price, Price):
        return _own(endpoint.price)
    return _listed(endpoint)


def _own(price: Price) -> Pricing:
    cached_price = price.input_per_million if price.cached_per_million is None else price.cached_per_million

    def cost(prompt: int, cached: int, completion: int, _: int) -> Decimal:
        total = (prompt - cached) * price.input_per_million + cached * cached_price
        return (total + completion * price.output_per_million) / _MILLION + price.per_call

    return Pricing("recipe:" + digest(price.model_dump(mode="json")).removeprefix("sha256:")[:12], cost)


def _listed(endpoint: Endpoint) -> Pricing:
    def calculate(prompt: int, cached: int, completion: int, at_us: int | None) -> genai_prices.types.PriceCalculation:
        return genai_prices.calc_price(
            genai_prices.Usage(input_tokens=prompt, cache_read_tokens=cached, output_tokens=completion),
            endpoint.model,
            provider_api_url=endpoint.base_url,
            genai_request_timestamp=None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC),
        )

    try:
        found = calculate(1, 0, 1, None)
    except LookupError as error:
        raise RecipeError(
            f"The price of {endpoint.model} at {endpoint.base_url} is not known.",
            "Write `price: {input_per_million: ..., output_per_million: ...}`, or `price: none` if it costs nothing.",
        ) from error
    price_id = f"genai-prices {genai_prices.__version__}: {found.provider.id}/{found.model.id}"
    return Pricing(price_id, lambda *tokens_and_time: calculate(*tokens_and_time).total_price)
