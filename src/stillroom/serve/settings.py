"""What a gateway is told in its YAML file: where it listens, what it keeps where, and which models stand behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_interface
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator, model_validator

from stillroom.base.errors import UsageError
from stillroom.base.records import Route
from stillroom.base.validation import VariableName, first_problem
from stillroom.client.settings import Price
from stillroom.text.plain_yaml import read_yaml_file
from stillroom.text.problems import describe

_LONGEST_S = 86400
_EVERY_ROUTE: tuple[Route, ...] = get_args(Route)


def _network(value: object) -> IPv4Network | IPv6Network:
    """Of text. Pydantic's own, of two kinds, would say twice of each mistake what it is not."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("a network is text: write 10.0.0.0/8, or 10.0.0.7 for one address")
    try:
        interface = ip_interface(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no network: write 10.0.0.0/8, or 10.0.0.7 for one address") from error
    if interface.ip != interface.network.network_address:
        raise ValueError(f"{value} has host bits set: write {interface.network}, or {interface.ip} for one address")
    return interface.network


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(_Settings):
    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    """0: any port that is free."""


class UpstreamSettings(_Settings):
    """One server that has the model. The first healthy one in the list is asked; the next ones where it fails."""

    base_url: str
    """Up to and without `/chat/completions`; most end in `/v1`. The addresses come from this file alone."""
    api_key_env: VariableName | None = None
    """The environment variable that holds the upstream's key."""
    model: str | None = None
    """What the model is called there; None: as here."""
    health_path: str | None = Field(default=None, pattern="^/")
    """Asked with GET, beside `base_url`, to see whether the server is back; None: `/models`."""

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address must look like https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("an address must hold no user, password, query or fragment; keys go into api_key_env")
        return value.rstrip("/")


class WatermarkSettings(_Settings):
    """How the replies of a model in a folder are marked, see `stillroom.text.green_list`."""

    strength: float = Field(gt=0, le=20)
    """Added to the logits of green tokens, in nats: the more, the surer the mark is found, and the worse the reply."""
    share: float = Field(default=0.25, ge=0.01, le=0.9)
    """Of the vocabulary that is green after each token."""
    per: Literal["account", "owner"] = "account"
    """Whether each account has a key of its own, or all have one."""


class ModelSettings(_Settings):
    """A model that accounts may ask for: behind other servers, or a folder that this gateway serves itself."""

    name: str = Field(min_length=1, max_length=200)
    upstreams: tuple[UpstreamSettings, ...] = ()
    folder: Path | None = None
    routes: tuple[Route, ...] = ("chat", "completions")
    """What the upstreams speak: nothing is translated from one API to another."""
    price: Literal["none"] | Price = "none"
    """USD for a million tokens, which budgets are counted in; `none`: it costs nothing."""
    max_output_tokens: int = Field(default=4096, ge=1, le=2**31)
    """Reserved for a reply whose request names no limit of its own."""
    watermark: WatermarkSettings | None = None
    """Of a model in a folder; None: its replies are not marked."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.upstreams) == (self.folder is not None):
            raise ValueError("a model has either upstreams or a folder")
        if self.folder is not None and not set(self.routes) <= {"chat", "completions"}:
            raise ValueError("a folder is served on the routes chat and completions only")
        if self.folder is None and self.watermark is not None:
            raise ValueError("only a folder's replies can be marked, as its tokens are drawn here")
        return self


class Bounds(_Settings):
    """How much of the gateway one client can take up, and for how long."""

    body_bytes: int = Field(default=16 << 20, ge=1024, le=1 << 30)
    body_s: float = Field(default=30, gt=0, le=_LONGEST_S)
    """Seconds in which a request's head and body have to be there."""
    reply_bytes: int = Field(default=64 << 20, ge=1024, le=1 << 30)
    connect_s: float = Field(default=10, gt=0, le=_LONGEST_S)
    idle_s: float = Field(default=300, gt=0, le=_LONGEST_S)
    """Seconds without a byte from an upstream after which it counts as failed."""
    call_s: float = Field(default=1800, gt=0, le=_LONGEST_S)
    stalled_s: float = Field(default=60, gt=0, le=_LONGEST_S)
    """Seconds that a client may leave a reply unread before it counts as gone."""
    connections: int = Field(default=2048, ge=1, le=100_000)
    """Open at once, for each worker."""
    drain_s: float = Field(default=30, gt=0, le=_LONGEST_S)
    """Seconds that calls in flight are given when the gateway is told to stop."""


class Segments(_Settings):
    """When a part of the call log is sealed."""

    rows: int = Field(default=50_000, ge=1, le=10_000_000)
    age_s: float = Field(default=3600, gt=0, le=30 * _LONGEST_S)
    reserve_bytes: int = Field(default=64 << 20, ge=1 << 20)
    """Kept free on the disk: with less, no further call is let in."""


class EscrowSettings(_Settings):
    """Second replies that are kept sealed, as evidence for later. Off unless `share` says otherwise."""

    share: float = Field(default=0, ge=0, le=1)
    """Of the calls of accounts that accepted it, to models asked at a temperature above zero."""
    days: float = Field(default=90, gt=0, le=3650)


class GatewaySettings(_Settings):
    owner: str = Field(min_length=1, max_length=200)
    """Who signs receipts and permits: a name, or the address of the API."""
    state: Path
    """The folder of the database, the call log, the keys. Relative to the settings file."""
    database: str | None = None
    """`postgresql+psycopg://...`, or the name of an environment variable that holds such an address, where that has a
    password; None: SQLite, in the state folder."""
    listen: Address = Address(port=8000)
    admin: Address = Address(port=8001)
    workers: int = Field(default=1, ge=1, le=256)
    trusted_proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For (its last entry) and X-TLS-Print headers are believed; nobody else's are."""
    terms_version: str | None = None
    """The version of the terms that an account must have accepted; None: none."""
    models: tuple[ModelSettings, ...] = ()
    bounds: Bounds = Bounds()
    segments: Segments = Segments()
    escrow: EscrowSettings = EscrowSettings()

    @field_validator("models")
    @classmethod
    def _each_model_once(cls, models: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
        names = [model.name for model in models]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two are called {name}")
        return models


def with_changes(
    settings: GatewaySettings,
    folders: Mapping[str, Path],
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
) -> GatewaySettings:
    """What a command line says beside the file. Raises UsageError where it can't be."""
    listen = {"host": host or settings.listen.host, "port": settings.listen.port if port is None else port}
    more = [ModelSettings(name=name, folder=folder.absolute()) for name, folder in folders.items()]
    for model in more:
        if any(model.name == other.name for other in settings.models):
            raise UsageError(f"The file has a model {model.name} already.", "Write --model OTHERNAME=DIR.")
    changes = {"listen": listen, "workers": workers or settings.workers, "models": [*settings.models, *more]}
    try:
        return GatewaySettings.model_validate({**dict(settings), **changes})
    except ValidationError as error:
        raise UsageError(f"{first_problem(error)}.", "stillroom serve --help shows what there is.") from error


def read_settings(path: Path, embedded: Mapping[str, Path] | None = None) -> GatewaySettings:
    """Of a YAML file. Paths in it are relative to it; `embedded` are folders that it may name otherwise.

    Raises UsageError that names the key and the line.
    """
    try:
        document = read_yaml_file(path, UsageError)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Name the gateway's YAML file.") from error
    data = document.value if document.value is not None else {}
    try:
        settings = GatewaySettings.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        what, _ = describe(error, GatewaySettings, data, document.lines, str(path), whole="the settings")
        raise UsageError(what, "The keys and their values are listed in docs/serve.md.") from error
    folder = path.absolute().parent
    named = embedded or {}
    models = tuple(
        model
        if model.folder is None
        else model.model_copy(update={"folder": named.get(str(model.folder), folder / model.folder)})
        for model in settings.models
    )
    return settings.model_copy(update={"state": folder / settings.state, "models": models})
