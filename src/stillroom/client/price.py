"""What a call costs: by the recipe's own price, or by the public list of genai-prices. Never by a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
from genai_prices.types import ModelPrice, TieredPrices

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
        return max(
            self._cost(prompt_tokens, 0, completion_tokens, at_us),
            self._cost(prompt_tokens, prompt_tokens, completion_tokens, at_us),
        )


FREE = Pricing(None, None)
"""Of what costs nothing."""


def usd(amount: Decimal | None) -> str | None:
    """An amount as it is stored: plain decimal digits, no exponent."""
    return None if amount is None else format(amount.normalize(), "f")


def pricing(endpoint: Endpoint) -> Pricing:
    """Raises RecipeError where nobody knows the price: that is found out before the first call, and is never zero."""
    if endpoint.price == "none":
        return FREE
    if isinstance(endpoint.price, Price):
        return own_pricing(endpoint.price)
    return _listed(endpoint)


@dataclass(frozen=True, slots=True)
class _Rates:
    """USD for one token of each kind, and for a call."""

    prompt: Decimal
    cached: Decimal
    completion: Decimal
    call: Decimal

    def cost(self, prompt: int, cached: int, completion: int) -> Decimal:
        return (prompt - cached) * self.prompt + cached * self.cached + completion * self.completion + self.call


def own_pricing(price: Price) -> Pricing:
    """By a price that somebody wrote down."""
    cached = price.input_per_million if price.cached_per_million is None else price.cached_per_million
    rates = _Rates(
        price.input_per_million / _MILLION, cached / _MILLION, price.output_per_million / _MILLION, price.per_call
    )
    price_id = "recipe:" + digest(price.model_dump(mode="json")).removeprefix("sha256:")[:12]
    return Pricing(price_id, lambda prompt, cached, completion, _: rates.cost(prompt, cached, completion))


def _listed(endpoint: Endpoint) -> Pricing:
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=1, output_tokens=1), endpoint.model, provider_api_url=endpoint.base_url
        )
    except LookupError as error:
        raise RecipeError(
            f"The price of {endpoint.model} at {endpoint.base_url} is not known.",
            "Write `price: {input_per_million: ..., output_per_million: ...}`, or `price: none` if it costs nothing.",
        ) from error
    rates: dict[int, _Rates | None] = {}
    """Of each of the model's price lists, by its id()."""

    def cost(prompt: int, cached: int, completion: int, at_us: int) -> Decimal:
        listed = found.model.get_prices(datetime.fromtimestamp(at_us / 1e6, UTC))
        if id(listed) not in rates:
            rates[id(listed)] = _rates(listed)
        its = rates[id(listed)]
        return _calculate(listed, prompt, cached, completion) if its is None else its.cost(prompt, cached, completion)

    return Pricing(f"genai-prices {genai_prices.__version__}: {found.provider.id}/{found.model.id}", cost)


def _rates(listed: ModelPrice) -> _Rates | None:
    """None where a token's price depends on how many there are. The list's own arithmetic takes 0.1 ms for a call."""
    if any(isinstance(price, TieredPrices) for price in vars(listed).values()):
        return None
    million, call = int(_MILLION), _calculate(listed, 0, 0, 0)
    prompt, cached, completion = (
        (_calculate(listed, *tokens) - call) / _MILLION
        for tokens in ((million, 0, 0), (million, million, 0), (0, 0, million))
    )
    return _Rates(prompt, cached, completion, call)


def _calculate(listed: ModelPrice, prompt: int, cached: int, completion: int) -> Decimal:
    usage = genai_prices.Usage(input_tokens=prompt, cache_read_tokens=cached, output_tokens=completion)
    return listed.calc_price(usage)["total_price"]
