from __future__ import annotations

from datetime import UTC, datetime

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from pydantic import ValidationError

from stillroom.base.errors import RecipeError
from stillroom.client.price import pricing, usd
from stillroom.client.settings import Endpoint, Price
from stillroom.client.transport import Transport
from stillroom.client.usage import Usage

LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost:8000/v1", "ftp://host/v1", "http://", "http://user:secret@host/v1", "http://host/v1?key=secret",
        "http://host/v1#x", "http://[bad/v1", "http://host:99999/v1", "http://host:0/v1",
    ],
)  # fmt: skip
def test_an_address_that_is_none_or_holds_a_secret_is_refused(address: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Endpoint(model="m", base_url=address)
    assert all("secret" not in error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize("host", ["bad host", "a b.example", "1.2.3.999", "xn--"])
def test_an_address_that_only_the_http_library_refuses(host: str) -> None:
    with pytest.raises(RecipeError, match="is not an address"):
        Transport(Endpoint(model="m", base_url=f"http://{host}/v1"))


def test_an_address_loses_its_last_slash() -> None:
    assert Endpoint(model="m", base_url="https://host/v1/").base_url == "https://host/v1"


@pytest.mark.parametrize("name", ["sk-123-abc", "", "MY KEY"])
def test_a_key_in_place_of_its_variable_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Endpoint(model="m", base_url=LOCAL, api_key_env=name)


def test_the_price_list() -> None:
    endpoint = Endpoint(model="gpt-4o", base_url="https://api.openai.com/v1")
    found = pricing(endpoint)
    assert (found.price_id or "").endswith("openai/gpt-4o")
    whole, cached = (found.cost(Usage(1000, count, 100), 1_760_000_000_000_000) for count in (0, 1000))
    assert float(cached or 0) < float(whole or 0)


def test_the_price_list_is_worked_out_as_its_authors_do() -> None:
    usage = genai_prices.Usage(input_tokens=1_234, cache_read_tokens=1_000, output_tokens=77)
    at = datetime(2026, 1, 1, 17, 30, tzinfo=UTC)
    listed = [
        (provider, model)
        for provider in get_snapshot().providers
        for model in provider.models
        if provider.api_pattern.startswith("https")
    ]
    compared = 0
    for provider, model in listed:
        address = provider.api_pattern.replace("\\.", ".")
        try:
            found = pricing(Endpoint(model=model.id, base_url=address))
        except (RecipeError, ValidationError):
            continue  # a pattern that is no address
        theirs = genai_prices.calc_price(usage, model.id, provider_api_url=address, genai_request_timestamp=at)
        assert found.cost(Usage(1_234, 1_000, 77), round(at.timestamp() * 1e6)) == theirs.total_price, (
            model.id,
            address,
        )
        compared += 1
    assert compared > 500


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-4o", LOCAL),  # a known name at an unknown address may be anything
        ("no-such-model", "https://api.openai.com/v1"),
    ],
)
def test_what_the_list_does_not_know_is_an_error(model: str, base_url: str) -> None:
    with pytest.raises(RecipeError, match=f"The price of {model}"):
        pricing(Endpoint(model=model, base_url=base_url))


def test_a_price_of_ones_own() -> None:
    price = Price.model_validate({"input_per_million": 0.55, "output_per_million": "2.19", "cached_per_million": 0.14})
    found = pricing(Endpoint(model="m", base_url=LOCAL, price=price))
    assert usd(found.cost(Usage(1000, 400, 10), 0)) == "0.0004079"
    assert usd(found.cost(Usage(1000, None, 10), 0)) == "0.0005719"
    assert usd(found.most(1000, 10, 0)) == "0.0005719"
    assert usd(found.cost(Usage(0, 0, 0), 0)) == "0"
    assert found.cost(Usage(None, None, 10), 0) is None


def test_a_price_for_each_call() -> None:
    price = Price.model_validate({"input_per_million": 0, "output_per_million": 1, "per_call": "0.002"})
    found = pricing(Endpoint(model="m", base_url=LOCAL, price=price))
    assert usd(found.cost(Usage(1000, 400, 10), 0)) == usd(found.most(1, 10, 0)) == "0.00201"


@pytest.mark.parametrize("name", ["messages", "n", "stream", "stream_options"])
def test_extra_fields_that_decide_how_a_reply_is_read_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} does not belong here"):
        Endpoint(model="m", base_url=LOCAL, extra_body={name: 1})


def test_no_price_is_no_cost_and_not_zero() -> None:
    found = pricing(Endpoint(model="m", base_url=LOCAL, price="none"))
    assert (found.price_id, found.cost(Usage(1000, 0, 10), 0), found.most(9, 9, 0)) == (None, None, None)


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_body": {"max_tokens": -1}},
        {"extra_body": {"max_completion_tokens": "8000"}},
        {"extra_body": {"max_tokens": True}},
        {"extra_body": {"model": "dearer"}},
        {"extra_body": {"best_of": 4}},
        {"replicas": [LOCAL]},
        {"timeout_s": 1e300},
        {"price": {"input_per_million": 1e300, "output_per_million": 1}},
    ],
    ids=str,
)
def test_what_would_make_a_bill_unforeseeable_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Endpoint.model_validate({"model": "m", "base_url": LOCAL} | settings)


def test_the_worst_case_is_the_dearer_of_cached_and_other_tokens() -> None:
    price = Price.model_validate({"input_per_million": 1, "output_per_million": 1, "cached_per_million": 50})
    assert usd(pricing(Endpoint(model="m", base_url=LOCAL, price=price)).most(1000, 0, 0)) == "0.05"
