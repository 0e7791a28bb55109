"""The mapping file: which field of a source becomes which column of a call. docs/import.md has every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from stillroom.base.errors import UsageError
from stillroom.text.connections import Proxies
from stillroom.text.plain_yaml import read_yaml_file
from stillroom.text.problems import describe

Format = Literal["litellm", "csv", "jsonl", "parquet", "combined"]
NOT_KNOWN = frozenset({"", "-", "null", "NULL", "None", "none", "nil", "undefined", "N/A", "n/a", "NaN", "nan", "\\N"})
"""How sources write that they do not know."""
_EPOCHS = ("unix_s", "unix_ms", "unix_us", "unix_ns")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str | int | float) else value


Fields = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""Fields of the source, of which the first that is known counts; `a.b` is the field b within a."""
Scalar = str | bool | int | float
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(_as_tuple)]


class Column(_Settings):
    """Where one column comes from: some field, or one value for all rows."""

    from_: Fields | None = Field(default=None, alias="from")
    value: Scalar | None = None
    values: dict[str, Scalar] | None = None
    """What the source's words mean; any other word means nothing known."""
    unknown: Scalars = ()
    """Values of this column that mean: not known."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"from": given} if isinstance(given, str | list | tuple) else given

    @model_validator(mode="after")
    def _has_a_source(self) -> Column:
        if (self.from_ is None) == (self.value is None):
            raise ValueError("needs `from` or `value`, and not both")
        if self.from_ is None and (self.values is not None or self.unknown):
            raise ValueError("`values` and `unknown` are about what `from` holds")
        return self

    def fields(self) -> Iterator[str]:
        """All fields of the source that it is read from."""
        yield from self.from_ or ()


class TimeColumn(Column):
    format: str = "iso"

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        return _time_format(value)


class DurationColumn(Column):
    unit: Literal["s", "ms", "us"] | None = None
    since: Fields | None = None
    """Where `from` is a time: the field with the time from which on."""
    format: str = "iso"

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        return _time_format(value)

    @model_validator(mode="after")
    def _has_a_unit(self) -> DurationColumn:
        if (self.unit is None) == (self.since is None):
            raise ValueError("needs a `unit` (s, ms or us), or `since` where it is a time")
        return self

    def fields(self) -> Iterator[str]:
        yield from super().fields()
        yield from self.since or ()


class AddressColumn(Column):
    forwarded: Fields | None = None
    """X-Forwarded-For, which is read where `from` is one of the trusted proxies."""

    def fields(self) -> Iterator[str]:
        yield from super().fields()
        yield from self.forwarded or ()


class Columns(_Settings):
    """One for each column of a call that a source may give. `at` and `account` have to be there."""

    at: TimeColumn | None = None
    account: Column | None = None
    organisation: Column | None = None
    id: Column | None = None
    key_id: Column | None = None
    model: Column | None = None
    route: Column | None = None
    status: Column | None = None
    http_status: Column | None = None
    stream: Column | None = None
    turns: Column | None = None
    max_tokens: Column | None = None
    temperature: Column | None = None
    n: Column | None = None
    asks_reasoning: Column | None = None
    asks_logprobs: Column | None = None
    asks_grading: Column | None = None
    prompt_tokens: Column | None = None
    cached_tokens: Column | None = None
    completion_tokens: Column | None = None
    reasoning_tokens: Column | None = None
    cost_usd: Column | None = None
    latency: DurationColumn | None = None
    permit_id: Column | None = None
    agent: Column | None = None
    # Printed, and never kept:
    address: AddressColumn | None = None
    tls: Column | None = None
    billing: Column | None = None
    user: Column | None = None
    prompt: Column | None = None
    system: Column | None = None
    messages: Column | None = None
    request: Column | None = None

    def given(self) -> Iterator[tuple[str, Column]]:
        """Those that are set, by their names."""
        for name in type(self).model_fields:
            column = getattr(self, name)
            if column is not None:
                yield name, column


class ImportMapping(_Settings):
    name: str
    """Of the source: where its rows are kept, and what its ids are unique in."""
    format: Format
    columns: Columns = Columns()
    only: dict[str, Annotated[Scalars, Field(min_length=1)]] = {}
    """Rows are taken whose fields hold one of these values."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    timezone: str = "UTC"
    """Of times that do not say which they are of."""
    unknown: Scalars = ()
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()

    @field_validator("name")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("should be small letters, digits, - and _, and 63 at most: a folder is called so")
        return value

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, value: str) -> str:
        if value in '"\r\n\0 ':
            raise ValueError("should be a sign that separates, such as a comma, a semicolon or \\t")
        return value

    @field_validator("encoding")
    @classmethod
    def _is_an_encoding(cls, value: str) -> str:
        try:
            if "\n".encode(value) == b"\n":
                return value
        except (LookupError, ValueError):
            pass
        raise ValueError(f"{value!r} is no encoding of text whose lines can be told apart; write utf-8 or cp1252")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            if value != "UTC":
                ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone; write Europe/Berlin, say") from error
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ip_network(each)
        return value

    @property
    def zone(self) -> tzinfo:
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)  # a small machine may know no zones

    @property
    def proxies(self) -> Proxies:
        return tuple(ip_network(each) for each in self.trusted_proxies)

    @property
    def not_known(self) -> frozenset[str]:
        return NOT_KNOWN.union(map(str, self.unknown))


def load_mapping(path: Path) -> ImportMapping:
    """Read a mapping file. Raises UsageError, naming the line, for whatever is wrong in it."""
    try:
        document = read_yaml_file(path, UsageError)
    except OSError as error:
        what = f"The mapping {path} cannot be read: {error.strerror}."
        raise UsageError(what, "Name the file that says which field is which column; docs/import.md.") from error
    if not isinstance(document.value, dict):
        raise UsageError(f"The mapping {path} is not keys and values.", "docs/import.md shows some.")
    try:
        mapping = ImportMapping.model_validate(document.value)
    except ValidationError as error:
        what, _ = describe(error, ImportMapping, document.value, document.lines, str(path), whole="the mapping")
        raise UsageError(what, "docs/import.md has every key.") from error
    if mapping.format in ("csv", "jsonl", "parquet"):
        missing = [name for name in ("at", "account") if getattr(mapping.columns, name) is None]
        if missing:
            what = f"{path}: columns.{missing[0]} is missing."
            raise UsageError(what, "Every call needs its time and its account; docs/import.md.")
    return mapping


def _time_format(value: str) -> str:
    if value == "iso" or value in _EPOCHS or "%" in value:
        return value
    raise ValueError(f"{value!r} is no format of times; write iso, {', '.join(_EPOCHS)}, or a pattern such as %d/%m/%Y")
