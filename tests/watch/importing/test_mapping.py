"""A mapping that is wrong is told with its line, before a row is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillroom.base.errors import UsageError
from stillroom.watch.importing.mapping import ImportMapping, load_mapping

GOOD = "name: s\nformat: csv\ncolumns:\n  at: time\n  account: who\n"


def load(folder: Path, text: str) -> ImportMapping:
    path = folder / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def test_short_forms(tmp_path: Path) -> None:
    mapping = load(tmp_path, GOOD + "  model: [a.b, c]\nonly: {status: 200}\nunknown: 0\ntrusted_proxies: 10.0.0.0/8\n")
    assert mapping.columns.at is not None
    assert mapping.columns.at.from_ == ("time",)
    assert mapping.columns.model is not None
    assert mapping.columns.model.from_ == ("a.b", "c")
    assert (mapping.only, mapping.unknown) == ({"status": (200,)}, (0,))
    assert len(mapping.proxies) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not keys and values"),
        ("[1]", "is not keys and values"),
        ("name: s\nformat: csv\n", "columns.at is missing"),
        ("name: s\nformat: jsonl\ncolumns: {at: t}\n", "columns.account is missing"),
        ("format: litellm\n", "name"),
        ("name: s\nformat: excel\n", "line 2"),
        ("name: S/../x\nformat: litellm\n", "line 1"),
        ("name: ''\nformat: litellm\n", "small letters"),
        (GOOD + "  acount: x\n", "line 6"),
        (GOOD + "colums: {}\n", "colums"),
        (GOOD + "  model: {form: x}\n", "form"),
        (GOOD + "  model: {}\n", "needs `from` or `value`"),
        (GOOD + "  model: {from: a, value: b}\n", "not both"),
        (GOOD + "  model: {value: a, values: {b: c}}\n", "about what `from` holds"),
        (GOOD + "  model: []\n", "columns.model"),
        (GOOD + "  model: ['']\n", "columns.model"),
        (GOOD + "  latency: {from: a}\n", "needs a `unit`"),
        (GOOD + "  latency: {from: a, unit: s, since: b}\n", "needs a `unit`"),
        (GOOD + "  latency: {from: a, unit: h}\n", "unit"),
        (GOOD.replace("at: time", "at: {from: time, format: unix}"), "no format of times"),
        (GOOD + "timezone: Mars/Base\n", "no time zone"),
        (GOOD + "timezone: ../../etc/passwd\n", "no time zone"),
        (GOOD + "encoding: utf-16\n", "no encoding"),
        (GOOD + "encoding: base64\n", "no encoding"),
        (GOOD + "encoding: nonsense\n", "no encoding"),
        (GOOD + "delimiter: ','\ndelimiter: ';'\n", "twice"),
        (GOOD + "delimiter: ''\n", "delimiter"),
        (GOOD + "delimiter: '\"'\n", "sign that separates"),
        (GOOD + "trusted_proxies: [everywhere]\n", "everywhere"),
        (GOOD + "only: {kind: []}\n", "only"),
        ("name: {", "mapping.yaml, line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert words in str(refused.value)
    assert "mapping.yaml" in refused.value.what


def test_a_mapping_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")


def test_a_mapping_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"name: \xff")
    with pytest.raises(UsageError, match="UTF-8"):
        load_mapping(tmp_path / "m.yaml")
