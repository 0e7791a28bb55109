"""A model that `stillroom probe` asks, behind an address or in a folder of this machine; for how much and how fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from stillroom.base.errors import RecipeError, UsageError
from stillroom.base.progress import Progress, loading
from stillroom.cli_arguments import FLAG

if TYPE_CHECKING:
    from stillroom.client import settings
    from stillroom.client.settings import Endpoint
    from stillroom.probe.asking import AskingSettings

Made = TypeVar("Made")

BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="Where it is reached, up to /v1; not for a folder.")
]
ApiKeyEnv = Annotated[
    str | None, typer.Option("--api-key-env", metavar="VARIABLE", help="The variable that holds the key.")
]
Price = Annotated[
    str | None,
    typer.Option(
        "--price",
        metavar="IN/OUT",
        help="USD for a million tokens, such as 0.15/0.60, or `none`; else the price list has to know it.",
    ),
]
Budget = Annotated[
    float | None, typer.Option("--budget-usd", min=0, metavar="USD", help="What the answers may cost at most.")
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Calls at the same time, at most.")]
PerMinute = Annotated[int | None, typer.Option("--requests-per-minute", min=1, help="Calls a minute, at most.")]
Stream = Annotated[
    bool, typer.Option("--stream", metavar=FLAG, help="Have answers sent as they are written: for long reasoning.")
]


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model behind an address, or one in a folder."""

    name: str
    """As its API calls it; of a folder, the folder's with the first digits of its digest."""
    endpoint: Endpoint | None
    folder: Path | None

    @classmethod
    def of(
        cls, model: str, base_url: str | None, api_key_env: str | None, price: str | None, stream: bool
    ) -> AskedModel:
        """Raises UsageError where there is no such folder and no address, or nobody knows the price; RecipeError where
        the key's variable is not set."""
        from stillroom.client.price import pricing
        from stillroom.client.settings import Endpoint
        from stillroom.client.transport import read_api_key
        from stillroom.local_models import served_name

        if base_url is None:
            folder = Path(model)
            if not folder.exists():
                raise UsageError(
                    f"There is no folder or file {model}.", "Name one, or say with --base-url where the model is asked."
                )
            return cls(served_name(folder.resolve().name, folder), None, folder)
        endpoint = checked(
            lambda: Endpoint(
                model=model, base_url=base_url, api_key_env=api_key_env, price=_price(price), stream=stream
            )
        )
        try:
            pricing(endpoint)
        except RecipeError as error:
            raise UsageError(error.what, "Give --price 0.15/0.60, or --price none if it costs nothing.") from error
        read_api_key(api_key_env)  # before a tokenizer is loaded, or a base is served
        return cls(model, endpoint, None)

    @contextmanager
    def served(self, progress: Progress) -> Iterator[Endpoint]:
        """Where it is asked while the body runs."""
        if self.endpoint is not None:
            yield self.endpoint
            return
        assert self.folder is not None
        from stillroom.client.settings import Endpoint
        from stillroom.run_folder import importing_extra

        with ExitStack() as server:
            with loading(progress, self.name):
                with importing_extra("serve"):
                    from stillroom.serve.spawn import serving
                url = server.enter_context(serving({self.name: self.folder}))
            yield Endpoint(model=self.name, base_url=url, price="none")


def asking_settings(concurrency: int, requests_per_minute: int | None, budget_usd: float | None) -> AskingSettings:
    from stillroom.client.budget import BudgetLimits
    from stillroom.client.pacing import PaceLimits
    from stillroom.probe.asking import AskingSettings

    budget = None if budget_usd is None else Decimal(str(budget_usd))
    limits = checked(lambda: BudgetLimits(budget_usd=budget))
    return AskingSettings(PaceLimits(concurrency, requests_per_minute), limits)


def _price(text: str | None) -> Literal["none"] | settings.Price | None:
    from stillroom.client.settings import Price

    if text is None or text == "none":
        return None if text is None else "none"
    given, _, written = text.partition("/")
    try:
        return Price(input_per_million=Decimal(given), output_per_million=Decimal(written))
    except InvalidOperation as error:
        raise UsageError(f"{text!r} is no price.", "Write USD for a million tokens in and out: 0.15/0.60.") from error


def checked(make: Callable[[], Made]) -> Made:
    """Raises UsageError where a value is one that settings refuse."""
    from pydantic import ValidationError

    from stillroom.base.validation import first_problem

    try:
        return make()
    except ValidationError as error:
        raise UsageError(f"{first_problem(error)}.", "--help says what each takes.") from error
