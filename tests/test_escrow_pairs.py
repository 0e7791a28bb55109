"""From an escrow to pairs: what is kept, what is left out and why, and what anyone can check of it with public keys."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.escrowed_calls import EscrowingGateway, escrowing_gateway
from tests.probe.bodies import ROUTES, request, streamed, whole
from tests.store.authority import Authority, answering

from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.escrow_commitment import Coin
from stillroom.base.signatures import PublicKey, PublicKeys, SigningKey
from stillroom.escrow_pairs import gather_pairs
from stillroom.probe.log_times import log_times
from stillroom.probe.logged_call import LoggedCall, read_calls
from stillroom.probe.pairs import Gathered, evidence_problems, read_gathered, write_gathered
from stillroom.serve.escrow.escrow import FOLDER
from stillroom.serve.keyring import FOLDER as KEYS
from stillroom.serve.meter.forgetting import forget
from stillroom.serve.meter.time_stamps import stamp_log
from stillroom.store.siblings import Opening, Pair


def gather(gateway: EscrowingGateway, accounts: list[str] | None = None) -> Gathered:
    return gather_pairs(gateway.state, gateway.settings, accounts, "ada")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> EscrowingGateway:
    """Two accounts, in segments of four rows and two."""
    with escrowing_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        for number in range(5):
            coin: Coin = 1 if number % 2 else 0
            gateway.serve(f"Question {number}", f"First {number}", f"Second {number}", coin, account="acct_1")
            gateway.serve(f"Private {number}", f"My own {number}", f"Another {number}", coin, account="acct_2")
            if number % 2:
                gateway.next_segment()
    return gateway


def test_pairs_stand_in_the_order_drawn_and_openings_say_the_coin(served: EscrowingGateway) -> None:
    gathered = gather(served, ["acct_1"])
    assert [(pair.first, pair.second) for pair in gathered.pairs] == [(f"First {n}", f"Second {n}") for n in range(5)]
    assert [opening.coin for opening in gathered.openings] == [0, 1, 0, 1, 0]
    assert [pair.pair_id for pair in gathered.pairs] == served.ids[::2]
    assert gathered.by_account == Counter({"acct_1": 5})
    assert (gathered.found, gathered.left_out.total(), gathered.without_sibling.total()) == (5, 0, 0)
    assert gather(served).by_account == Counter({"acct_1": 5, "acct_2": 5})


def test_no_more_are_taken_than_were_asked_for(served: EscrowingGateway) -> None:
    some = gather_pairs(served.state, served.settings, None, "ada", most=2)
    assert some.by_account == Counter({"acct_1": 2, "acct_2": 2})
    assert (some.found, some.left_out) == (10, Counter({"not_needed": 6}))
    every = gather(served)
    openings = {opening.pair_id: opening for opening in every.openings}
    assert some.openings == [openings[pair.pair_id] for pair in some.pairs]
    assert some.pairs == [pair for pair in every.pairs if pair in some.pairs]  # in their order
    assert gather_pairs(served.state, served.settings, None, "ada", most=5).left_out.total() == 0


def test_nothing_in_pairs_parquet_says_which_was_served(tmp_path: Path) -> None:
    """Under the other coins, the same file."""
    files = []
    for name, coins in (("one", [0, 1, 0]), ("other", [1, 1, 0])):
        (tmp_path / name).mkdir()
        with escrowing_gateway(tmp_path / name) as gateway:
            for number, coin in enumerate(coins):
                gateway.serve(f"Question {number}", f"First {number}", "Second", 1 if coin else 0)
        gathered = gather(gateway)
        gathered.pairs = [replace(pair, pair_id="") for pair in gathered.pairs]  # ids are random
        write_gathered(tmp_path / name / "probe", gathered)
        files.append((tmp_path / name / "probe" / "pairs.parquet").read_bytes())
    assert files[0] == files[1]


def test_what_was_written_is_read(served: EscrowingGateway, tmp_path: Path) -> None:
    gathered = gather(served, ["acct_1"])
    write_gathered(tmp_path / "probe", gathered)
    assert read_gathered(tmp_path / "probe") == gathered
    assert (tmp_path / "probe").stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="there already"):
        write_gathered(tmp_path / "probe", gathered)


def test_of_other_customers_nothing_is_in_any_file(served: EscrowingGateway, tmp_path: Path) -> None:
    write_gathered(tmp_path / "probe", gather(served, ["acct_1"]))
    files = list((tmp_path / "probe").iterdir())
    assert len(files) == 4
    # Not the compressed bytes alone: what a reader of the files gets.
    read = read_gathered(tmp_path / "probe")
    told = [repr(read).encode(), *(path.read_bytes() for path in files)]
    rows = [call.row for call in read.calls]
    assert all(row["account"] == "acct_1" for row in rows)
    for text in (b"acct_2", b"org of acct_2", b"key of acct_2", b"Private", b"My own", b"Another"):
        assert not any(text in each for each in told)
    # Of the others' calls there are hashes in the paths; and the two ids that a segment's signed record begins and
    # ends with, which say when a call came and nothing else.
    others = set(served.ids[1::2])
    named = {name for name in others if any(name.encode() in each for each in told)}
    assert named <= {call.record[end] for call in read.calls for end in ("first_call", "last_call")}
    assert named < others


def test_the_escrow_notes_who_opened_what(served: EscrowingGateway) -> None:
    before = (served.state / FOLDER / "actions.jsonl").read_text().splitlines()
    gather_pairs(served.state, served.settings, ["acct_2"], "grace")
    (line,) = (served.state / FOLDER / "actions.jsonl").read_text().splitlines()[len(before) :]
    noted = json.loads(line)
    assert (noted["action"], noted["by"], noted["accounts"], noted["records"]) == ("pairs", "grace", ["acct_2"], 5)


def test_every_call_is_kept_or_left_out_for_a_reason(tmp_path: Path) -> None:
    with escrowing_gateway(tmp_path) as gateway:
        for route in ROUTES:
            gateway.serve(f"Of {route}", whole(route, "one"), streamed(route, "two"), 1, route=route)
        gateway.serve("Alike", "the same", "the same")
        gateway.serve("Of chat", "asked again", "of the same account")
        gateway.serve("Of chat", "asked first", "by this account", account="acct_2")
        gateway.serve("Nothing", "", "something")
        gateway.serve("Broken", whole("chat", "one"), streamed("chat", "half", ends=False))
        gateway.serve("?", "one", "two", sent=b"no JSON")
        history = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
        gateway.serve("?", "one", "two", sent=json.dumps({"messages": history}).encode())
        gateway.serve("Unlogged", "one", "two", in_log=False)
        gone = gateway.serve("Gone", "one", "two")
        damaged = gateway.serve("Damaged", "one", "two")
        for _ in range(2):
            gateway.serve("Greedy", "one", None, temperature=0.0)
        gateway.serve("Several", "one", None, n=3)
        gateway.serve("Hung up", "one", None, status="hung_up")
        gateway.serve("Failed", "one", None, status="failed")
        gateway.serve("Not drawn", "one", None)
        gateway.serve("Vectors", "one", None, route="embeddings")
    (record,) = (gateway.state / FOLDER).glob(f"*/*/*-{gone}.sealed")
    record.unlink()
    (record,) = (gateway.state / FOLDER).glob(f"*/*/*-{damaged}.sealed")
    record.write_bytes(record.read_bytes()[:-1] + b"x")
    gathered = gather(gateway)
    assert gathered.by_account == Counter({"acct_1": 4, "acct_2": 1})
    assert {opening.route for opening in gathered.openings} == set(ROUTES)
    once = "identical asked_again empty failed unreadable_request assistant_turn not_in_log record_gone damaged"
    assert gathered.left_out == Counter(once.split())
    assert gathered.found == len(gathered.pairs) + 9 == 14
    assert gathered.without_sibling == Counter(
        {"temperature_zero": 2, "several_replies": 1, "hung_up": 1, "not_ok": 1, "not_drawn": 1}
    )


def test_a_question_that_was_left_out_may_have_been_asked_before(tmp_path: Path) -> None:
    """The later call's coin decided nothing of whether it is here."""
    with escrowing_gateway(tmp_path) as gateway:
        gateway.serve("Again", "", "something")
        kept = gateway.serve("Again", "one", "two")
        gateway.serve("Again", "three", "four")
    gathered = gather(gateway)
    assert [pair.pair_id for pair in gathered.pairs] == [kept]
    assert gathered.left_out == Counter(["empty", "asked_again"])


def test_a_record_under_another_calls_digest_is_left_out(tmp_path: Path) -> None:
    with escrowing_gateway(tmp_path) as gateway:
        gateway.serve("One", "a", "b")
        other = gateway.escrow.open(gateway.ids[0], "ada")
        assert other is not None
        gateway.serve("Two", "c", None, escrow_digest=other.escrow_digest)
    # A record that was made after the fact, for the call of the same id:
    one, other_reply = whole("chat", "x"), whole("chat", "y")
    later = gateway.escrow.seal(
        gateway.ids[1], "acct_1", served=one, sealed=other_reply, request=request("chat", "Two"), coin=0
    )
    asyncio.run(later)
    assert gather(gateway).left_out == Counter(["log_differs"])


def test_accounts_that_are_forgotten_are_not_gathered(tmp_path: Path) -> None:
    with escrowing_gateway(tmp_path) as gateway:
        gateway.serve("One", "a", "b")
        gateway.serve("Two", "a", "b", account="acct_2")
    forget(gateway.state / "calls", "acct_1", None)
    gathered = gather(gateway)
    assert gathered.by_account == Counter({"acct_2": 1})
    assert gathered.left_out == Counter(["not_in_log"])
    assert evidence_problems(gathered.pairs, gathered.openings, gathered.calls, gateway.keyring.public_keys()) == []


def test_a_gateway_that_passed_on_nothing(tmp_path: Path) -> None:
    with escrowing_gateway(tmp_path) as gateway:
        pass
    assert gather(gateway).found == 0
    (gateway.state / KEYS).rename(tmp_path / "keys")
    with pytest.raises(StoreError, match="has no signing keys"):
        gather(gateway)
    assert not (gateway.state / KEYS).exists()
    shutil.rmtree(gateway.state / "calls")
    with pytest.raises(StoreError, match="has not passed on a call yet"):
        gather(gateway)


def test_an_altered_log_is_not_taken_as_evidence(served: EscrowingGateway, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(served.state, state)
    path = state / "calls" / "w0" / "00000001" / "calls.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["model"] = "another"
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    with pytest.raises(StoreError, match="is not what was sealed"):
        gather_pairs(state, served.settings, ["acct_1"], "ada")


# --- what anyone can check ---


@pytest.fixture(scope="module")
def evidence(served: EscrowingGateway) -> tuple[Pair, Opening, LoggedCall]:
    gathered = gather(served, ["acct_1"])
    return gathered.pairs[1], gathered.openings[1], gathered.calls[1]


@pytest.fixture(scope="module")
def keys(served: EscrowingGateway) -> PublicKeys:
    return served.keyring.public_keys()


def test_all_of_it_holds(served: EscrowingGateway, keys: PublicKeys, tmp_path: Path) -> None:
    write_gathered(tmp_path / "probe", gather(served))
    gathered = read_gathered(tmp_path / "probe")
    assert evidence_problems(gathered.pairs, gathered.openings, gathered.calls, keys) == []
    for call in gathered.calls:
        assert call.signed_at(keys) == call.record["at"]


def test_each_part_is_held_to_what_was_committed(evidence: tuple[Pair, Opening, LoggedCall], keys: PublicKeys) -> None:
    pair, opening, call = evidence
    assert opening.served is not None
    assert opening.sealed is not None
    row = dict(call.row)
    other = SigningKey.generate()
    altered = [
        (replace(pair, first=pair.second, second=pair.first), opening, call),
        (replace(pair, first=pair.first + "!"), opening, call),
        (replace(pair, question_id="sha256:0"), opening, call),
        (replace(pair, messages="[]"), opening, call),
        (pair, replace(opening, coin=0), call),
        (replace(pair, first=pair.second, second=pair.first), replace(opening, coin=0), call),
        (pair, replace(opening, served=opening.sealed, sealed=opening.served), call),
        (pair, replace(opening, served=opening.served + b" "), call),
        (pair, replace(opening, request=b"{}"), call),
        (pair, replace(opening, salt=bytes(16)), call),
        (pair, replace(opening, account="acct_2"), call),
        (pair, replace(opening, served=None), call),
        (pair, replace(opening, escrow_digest="escrow1:0:0:0:0"), call),
        (pair, opening, replace(call, row={**row, "escrow_digest": "escrow1:0:0:0:0"})),
        (pair, opening, replace(call, row={**row, "account": "acct_2"})),
        (pair, opening, replace(call, row={**row, "status": "hung_up"})),
        (pair, opening, replace(call, row={**row, "at": row["at"] + 1})),
        (pair, opening, replace(call, row={**row, "route": "responses"})),
        (pair, opening, replace(call, row={"call_id": row["call_id"]})),
        (pair, opening, replace(call, salt=bytes(16))),
        (pair, opening, replace(call, place=call.place + 1)),
        (pair, opening, replace(call, path=call.path[:-1])),
        (pair, opening, replace(call, record={**call.record, "at": 0})),
        (pair, opening, replace(call, record={**call.record, "merkle_root": "0" * 64})),
        (pair, opening, replace(call, record={**call.record, "rows": None})),
        (pair, opening, replace(call, record={**call.record, "rows": 10**30})),
        (pair, opening, replace(call, jws=None)),
        (pair, opening, replace(call, jws=other.sign("stillroom-call-log+jws", dict(call.record)))),
    ]
    for number, (one_pair, one_opening, one_call) in enumerate(altered):
        (problem,) = evidence_problems([one_pair], [one_opening], [one_call], keys)
        assert pair.pair_id in problem, number
    assert evidence_problems([pair], [], [call], keys) == [f"Pair {pair.pair_id} has no opening."]
    assert evidence_problems([pair], [opening], [], keys) == [f"Pair {pair.pair_id} has no row of the call log."]
    strangers = PublicKeys([PublicKey(other.jwk, other.kid)])
    (problem,) = evidence_problems([pair], [opening], [call], strangers)
    assert "not among the owner's" in problem
    assert evidence_problems([pair], [opening], [replace(call, jws=None)], None) == []


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"row": {}, "salt": "", "place": 0, "path": [], "record": {}, "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "zz", "place": 0, "path": [], "record": {}, "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": "0", "path": [], "record": {}, "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [1], "record": {}, "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": [], "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": {}, "jws": 1}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": ['
        + b'"",' * 70
        + b'""], "record": {}, "jws": null}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": {}, "jws": null, "stamp": {}}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": {}, "jws": null, "stamp": 1}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": {}, "jws": null,'
        b' "stamp": {"later": [1], "response": ""}}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": {}, "jws": null,'
        b' "stamp": {"later": [], "response": "?"}}',
        b'{"row": {"call_id": "c"}, "salt": "", "place": 0, "path": [], "record": %b, "jws": null}'
        % (b'{"a":' * 900 + b"1" + b"}" * 900),
        b" " * (1 << 21),
    ],
)
def test_what_is_no_call_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(line)
    with pytest.raises(DataError, match="line 1"):
        read_calls(path)


def test_a_row_that_is_nested_without_end_is_no_row(tmp_path: Path) -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    line = b'{"row": {"call_id": "c", "a": %b}, "salt": "", "place": 0, "path": [], "record": {"rows": 1}, "jws": null}'
    (tmp_path / "calls.jsonl").write_bytes(line % deep)
    (call,) = read_calls(tmp_path / "calls.jsonl")
    assert not call.is_in_segment()


# --- by when it stood in the log ---


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def stamped(served: EscrowingGateway, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    """Of a log whose last record is stamped, the third of its segments."""
    state = tmp_path_factory.mktemp("stamped") / "state"
    shutil.copytree(served.state, state)
    with answering(authority) as url:
        stamp_log(state / "calls", url)
    gathered = gather_pairs(state, served.settings, ["acct_1"], "ada")
    assert {len(call.stamp.later) for call in gathered.calls if call.stamp} == {0, 1, 2}
    return gathered


def test_one_stamp_stands_for_the_segments_before_it(
    stamped: Gathered, served: EscrowingGateway, authority: Authority, tmp_path: Path
) -> None:
    write_gathered(tmp_path / "probe", stamped)
    read = read_gathered(tmp_path / "probe")
    assert read == stamped
    assert (tmp_path / "probe" / "calls.jsonl").read_bytes().count(b'"response"') == 3  # once for each segment
    for roots in (None, [authority.root]):
        times = log_times(read.calls, roots)
        assert (times.calls, times.stamped, times.problems) == (5, 5, ())
        assert times.sentence.startswith("All rows of the call log stood there by 20")
    some = log_times([*read.calls, *gather(served, ["acct_2"]).calls], None)
    assert some.sentence.startswith("5 of 10 rows of the call log stood there by 20")
    assert "the owner's word" in log_times(gather(served).calls, None).sentence


def test_a_stamp_that_is_none_is_named(stamped: Gathered) -> None:
    call = next(call for call in stamped.calls if call.stamp and len(call.stamp.later) == 2)
    assert call.stamp is not None
    later = call.stamp.later
    for stamp, words in (
        (replace(call.stamp, later=later[:1]), "not over this record"),
        (replace(call.stamp, later=later[1:]), "does not follow"),
        (replace(call.stamp, later=(later[1], later[0])), "does not follow"),
        (replace(call.stamp, later=({**later[0], "rows": 1}, later[1])), "does not follow"),
        (replace(call.stamp, later=(later[0], {**later[1], "rows": 1})), "not over this record"),
        (replace(call.stamp, response=b"no stamp"), "cannot be read"),
    ):
        times = log_times([replace(call, stamp=stamp)], None)
        assert (times.stamped, times.latest) == (0, None)
        (problem,) = times.problems
        assert words in problem
        assert call.call_id in problem
    (problem,) = log_times([replace(call, record={**call.record, "at": 0})], None).problems
    assert "does not follow" in problem
    (problem,) = log_times([call], [Authority().root]).problems
    assert "does not trace back" in problem
