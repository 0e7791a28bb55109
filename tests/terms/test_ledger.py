"""The ledger: no verdict without a document that was read, and what a file of it may hold."""

from __future__ import annotations

from datetime import date

import pytest

from stillroom.terms.ledger import (
    STRICTNESS,
    Entry,
    entry_of_host,
    join_terms,
    parse_ledger,
    read_ledger,
    split_terms,
)

ENTRIES = list(read_ledger().values())
READ = """\
[[entry]]
id = "some-licence"
name = "Some licence"
kind = "licence"
source = "https://some.example/licence"
read_on = 2026-11-26
outputs_may_train = "allowed"
why = "It says so."
"""


def test_at_least_25_entries_have_been_read() -> None:
    read = [each for each in ENTRIES if each.read and each.outputs_may_train != "unknown"]
    assert len(read) >= 25
    assert {each.kind for each in read} == {"licence", "api"}
    assert {each.outputs_may_train for each in read} == {"allowed", "conditions", "forbidden"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_no_verdict_without_a_document_and_the_day_it_was_read(entry: Entry) -> None:
    if entry.outputs_may_train != "unknown":
        assert entry.read
        assert entry.source is not None
        assert entry.source.startswith("https://")
        assert entry.read_on is not None
        assert entry.read_on >= date(2026, 1, 1)
    asks = not entry.conditions.is_empty or entry.model_terms_apply
    assert entry.outputs_may_train in (("conditions", "unknown") if asks else ("allowed", "forbidden", "unknown"))
    for text in (entry.name, entry.why, *entry.conditions.in_words()):
        assert text.isprintable()


def test_ids_and_hosts_are_unique_and_each_host_finds_its_entry() -> None:
    hosts = [host for entry in ENTRIES for host in entry.hosts]
    assert len(set(hosts)) == len(hosts)
    for entry in ENTRIES:
        for host in entry.hosts:
            assert entry_of_host(host) == entry
            assert entry_of_host(f"EU.{host}.") == entry
            assert entry_of_host(f"not{host}") is None
    assert entry_of_host("127.0.0.1") is None


@pytest.mark.parametrize("entry", ["llama-3.1", "llama-3.2", "llama-3.3", "llama-4"])
def test_a_student_of_llama_is_called_llama(entry: str) -> None:
    assert list(read_ledger()[entry].conditions.unmet_by("abacus")) == ["has to begin with Llama"]
    assert not list(read_ledger()[entry].conditions.unmet_by("Llama-abacus"))


def test_the_ledger_of_a_file() -> None:
    ledger = parse_ledger(READ + READ.replace("some-licence", "another"))
    assert list(ledger) == ["some-licence", "another"]
    assert ledger["another"].read_on == date(2026, 11, 26)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('id = "some-licence"', 'id = "Some licence"', "an id is up to 64 small letters"),
        ('id = "some-licence"', 'id = "own"', "not own"),
        ("https://", "http://", "a source is an https address"),
        ("read_on = 2026-11-26\n", "", "read_on is the day of the reading"),
        ('source = "https://some.example/licence"\n', "", "what was read has a source"),
        ("read_on = 2026-11-26\n", "read = false\n", "no text read, no verdict"),
        ('"allowed"', '"conditions"', "the verdict `conditions` has some"),
        ('"allowed"', '"maybe"', "Input should be"),
        ('why = "It says so."', 'why = "It says so."\nconditions = {notice = "a"}', "conditions stand beside"),
        ('why = "It says so."', 'why = "It says so."\nhosts = ["some.example"]', "are of an api"),
        ('why = "It says so."', 'why = "It says so."\nconditions = {spells = "a"}', "Extra inputs"),
        ('"allowed"', '"conditions"\nconditions = {display_above = "a"}', "display_above goes with display"),
        ('"allowed"', '"conditions"\nconditions = {users_below = 0}', "greater than 0"),
        ('kind = "licence"', 'kind = "api"\nmodel_terms_apply = true', "the verdict is `conditions`"),
    ],
)
def test_what_is_no_entry(before: str, after: str, problem: str) -> None:
    assert before in READ
    with pytest.raises(ValueError, match=problem):
        parse_ledger(READ.replace(before, after))


def test_an_id_or_a_host_in_two_entries() -> None:
    with pytest.raises(ValueError, match="the id some-licence stands in two entries"):
        parse_ledger(READ + READ)
    api = READ.replace('kind = "licence"', 'kind = "api"\nhosts = ["some.example"]')
    with pytest.raises(ValueError, match=r"the host some\.example stands in two entries"):
        parse_ledger(api + api.replace("some-licence", "another"))


def test_terms_that_hold_together() -> None:
    assert split_terms(" together+ llama-3.3 +together") == ["together", "llama-3.3"]
    assert split_terms("+ ") == []
    assert join_terms(["together", "llama-3.3"]) == "together + llama-3.3"


def test_unknown_is_stricter_than_conditions() -> None:
    assert sorted(STRICTNESS, key=STRICTNESS.__getitem__) == ["allowed", "conditions", "unknown", "forbidden"]
