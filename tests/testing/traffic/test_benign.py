from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stillroom.store.calls import SCHEMAS, call_dataset
from stillroom.testing.traffic import BANKS, START_AT, TWINS, Traffic, bank_texts, benign
from stillroom.testing.traffic.twins.groups import LABELLERS, PEOPLE, TENANTS

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000


def of_role(traffic: Traffic, role: str) -> pa.Table:
    accounts = traffic.truth.filter(pc.field("role") == role)["account"].combine_chunks()
    return traffic.calls.filter(pc.is_in(traffic.calls["account"], value_set=accounts))


def different(calls: pa.Table, column: str) -> int:
    return int(pc.count_distinct(calls[column]).as_py())


def hours(calls: pa.Table) -> Any:
    return calls["at"].to_numpy() // HOUR_US % 24


def test_tables_are_a_gateways(twins: Traffic) -> None:
    assert twins.calls.schema.equals(SCHEMAS["calls"], check_metadata=True)
    assert twins.sketches.schema.equals(SCHEMAS["sketches"], check_metadata=True)
    assert len(twins.earlier_prints) == 0
    assert different(twins.calls, "call_id") == len(twins.calls)
    at = twins.calls["at"].to_numpy()
    assert (np.diff(at) >= 0).all()
    assert twins.start_at <= at.min() <= at.max() < twins.end_at
    assert {*twins.calls["account"].to_pylist()} <= {*twins.truth["account"].to_pylist()}
    assert {*twins.sketches["call_id"].to_pylist()} == {
        call_id
        for call_id, prompt in zip(
            *(twins.calls[name].to_pylist() for name in ("call_id", "prompt_print")), strict=True
        )
        if prompt is not None
    }


def test_what_was_cut_short_has_neither_prints_nor_tokens(twins: Traffic) -> None:
    unknown = twins.calls.filter(pc.field("status") == "unknown")
    assert len(unknown) > 20
    for column in ("prompt_print", "ip_print", "tls_print", "prompt_tokens", "cost_usd", "latency_us", "http_status"):
        assert unknown[column].null_count == len(unknown), column


def test_each_twin_is_there_and_can_be_left_out(twins: Traffic, customers: Traffic) -> None:
    assert {*twins.truth["role"].to_pylist()} == {"benign", *TWINS}
    assert {*customers.truth["role"].to_pylist()} == {"benign"}
    one = benign(4, organisations=60, calls_per_organisation=30, twins=("reseller",))
    # A twin is the same whatever is beside it.
    assert of_role(one, "reseller")["at"].to_pylist() == of_role(twins, "reseller")["at"].to_pylist()
    with pytest.raises(ValueError, match="no twin is called offices"):
        benign(1, twins=("offices",))


def test_customers_share_no_cards_and_few_texts(customers: Traffic) -> None:
    calls = customers.calls
    for column, most in (("billing_print", 0.0), ("prompt_print", 0.01), ("skeleton_print", 0.01), ("ip_print", 0.03)):
        by = calls.group_by(column).aggregate([("organisation", "count_distinct")])
        organisations = by.filter(pc.is_valid(by[column]))["organisation_count_distinct"].to_numpy()
        assert (organisations > 1).mean() <= most, column


def test_volumes_are_heavy_tailed(customers: Traffic) -> None:
    volume = np.sort([*Counter(customers.calls["organisation"].to_pylist()).values()])
    assert volume.mean() == pytest.approx(60, rel=0.25)
    assert np.median(volume) < volume.mean() / 2
    assert volume[-len(volume) // 100 :].sum() > 0.1 * volume.sum()


def test_calls_come_in_bursts_and_not_in_step(customers: Traffic) -> None:
    """As real clients' do: more unevenly than a Poisson process, and each customer in its own hours."""
    at = customers.calls["at"].to_numpy()
    ordered = customers.calls.sort_by([("account", "ascending"), ("at", "ascending")])
    account = np.array(ordered["account"].to_pylist())
    gaps = np.diff(ordered["at"].to_numpy())[account[1:] == account[:-1]]
    assert np.median(gaps) < gaps.mean() / 5  # of a Poisson process: 0.7
    busiest = Counter(((at - customers.start_at) // HOUR_US).tolist()).most_common(1)[0][1]
    assert busiest < 0.1 * len(at)


def test_a_benchmark_runner_asks_the_whole_test_split(twins: Traffic) -> None:
    calls = of_role(twins, "benchmark_runner")
    questions = min(len(bank_texts("word_problems")), 1_319)
    for organisation in pc.unique(calls["organisation"]).to_pylist():
        own = calls.filter(pc.field("organisation") == organisation)
        assert different(own, "prompt_print") > 0.98 * questions  # but for those that a kill cut short
        assert len(own) % questions == 0
    assert different(calls, "agent") <= 4
    assert set(calls["turns"].to_pylist()) == {1}


def test_an_office_sits_behind_one_address_with_cards_of_its_own(twins: Traffic) -> None:
    calls = of_role(twins, "office")
    networks = Counter(calls["ip_print"].drop_null().to_pylist())
    assert networks.most_common(1)[0][1] > 0.7 * len(calls)
    assert different(calls, "billing_print") == different(calls, "organisation") == PEOPLE
    day = (calls["at"].to_numpy() - twins.start_at) // DAY_US
    assert (day % 7 < 5).all()
    assert np.isin(hours(calls), range(5, 21)).mean() > 0.99


def test_tenants_share_a_program_and_templates_and_pay_for_themselves(twins: Traffic) -> None:
    calls = of_role(twins, "template_application")
    assert different(calls, "agent") == different(calls, "system_print") == 1
    assert different(calls, "organisation") == different(calls, "billing_print") == TENANTS
    skeletons = Counter(calls["skeleton_print"].drop_null().to_pylist())
    assert sum(count for _, count in skeletons.most_common(4)) > 0.9 * len(calls)
    assert different(calls, "prompt_print") > 0.9 * len(calls)


def test_a_batch_runs_at_night_over_texts_of_its_own(twins: Traffic) -> None:
    calls = of_role(twins, "nightly_batch")
    for account in pc.unique(calls["account"]).to_pylist():
        own = calls.filter(pc.field("account") == account)
        assert len({*hours(own).tolist()}) <= 4
        assert different(own, "prompt_print") > 0.97 * len(own)


def test_one_customer_has_one_organisation_or_some(twins: Traffic) -> None:
    firm = of_role(twins, "labelling_firm")
    assert different(firm, "account") == LABELLERS
    assert different(firm, "organisation") == different(firm, "billing_print") == 1
    assert firm["asks_grading"].to_numpy().mean() > 0.5
    companies = of_role(twins, "subsidiaries")
    by = companies.group_by("billing_print").aggregate(
        [("organisation", "count_distinct"), ("agent", "count_distinct")]
    )
    assert len(by) == 6
    assert {*by["organisation_count_distinct"].to_pylist()} <= {2, 3, 4}
    assert {*by["agent_count_distinct"].to_pylist()} == {1}


def test_a_permit_covers_the_researchers_bank_and_nothing_else(twins: Traffic) -> None:
    calls = of_role(twins, "researcher_with_permit")
    permitted = calls.filter(pc.is_valid(calls["permit_id"]))
    assert len(permitted) == 2 * 3_000
    assert 0 < len(calls) - len(permitted) < 1_000
    assert twins.calls["permit_id"].null_count == len(twins.calls) - len(permitted)


def test_resellers_and_tutors_send_labels_and_agents_talk_long(twins: Traffic) -> None:
    assert different(of_role(twins, "reseller"), "user_print") > 2_000
    pupils = of_role(twins, "tutoring")
    assert different(pupils, "user_print") > 500
    assert different(pupils, "prompt_print") < 0.9 * len(pupils)
    assert of_role(twins, "agent_loop")["turns"].to_numpy().mean() > 8


def test_a_new_model_is_asked_by_some_at_once_and_by_none_before(twins: Traffic) -> None:
    launch = twins.start_at + int(twins.world().launch_day * DAY_US)
    new = twins.calls.filter(pc.field("model") == "teacher-next")
    assert new["at"].to_numpy().min() >= launch
    eager = of_role(twins, "new_model_customer")
    after = eager.filter(pc.field("at") > launch + DAY_US // 2)
    assert {*after["model"].to_pylist()} == {"teacher-next"}
    assert 0.01 * len(twins.calls) < len(new) < 0.3 * len(twins.calls)


def test_what_is_written_is_what_a_gateway_seals(tmp_path: Path, twins: Traffic) -> None:
    twins.write(tmp_path / "calls")
    read = call_dataset(tmp_path / "calls").to_table()
    assert read.drop_columns(["row"]).equals(twins.calls.drop_columns(["row"]))
    assert read["row"].to_pylist()[:50_001] == [*range(50_000), 0]
    assert call_dataset(tmp_path / "calls", "sketches").to_table().equals(twins.sketches)
    assert call_dataset(tmp_path / "calls", "receipts").count_rows() == 0
    with pytest.raises(FileExistsError):
        twins.write(tmp_path / "calls")


def test_the_keys_turn_where_a_quarter_ends() -> None:
    start_at = int(datetime(2026, 9, 21, tzinfo=UTC).timestamp() * 1e6)
    turned = benign(5, organisations=60, calls_per_organisation=60, start_at=start_at, twins=())
    turn_at = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1e6)
    calls = turned.calls
    before, after = calls.filter(pc.field("at") < turn_at), calls.filter(pc.field("at") >= turn_at)
    assert different(before, "print_key_id") == different(after, "print_key_id") == 1
    assert not {*before["ip_print"].drop_null().to_pylist()} & {*after["ip_print"].drop_null().to_pylist()}
    overlap = after.filter((pc.field("at") < turn_at + 7 * DAY_US) & pc.field("prompt_print").is_valid())
    earlier = turned.earlier_prints
    assert earlier["call_id"].to_pylist() == overlap["call_id"].to_pylist()
    assert {*earlier["print_key_id"].to_pylist()} == {before["print_key_id"][0].as_py()}
    # The prints by the keys of before are those of before: whoever called in both weeks is recognised.
    assert len({*earlier["ip_print"].to_pylist()} & {*before["ip_print"].to_pylist()}) > 20


def test_the_bundled_texts_are_a_bank() -> None:
    assert START_AT % DAY_US == 0
    texts = bank_texts("word_problems")
    assert BANKS[-1] == "word_problems"
    assert len(texts) == len({*texts}) == 7_473


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"organisations": -1}, {"weeks": 0}, {"calls_per_organisation": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        benign(**{"seed": 1, "twins": (), **wrong})


def test_real_texts_and_client_models_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "servegen" / "pool").mkdir(parents=True)
    header = "start_s,rate_per_s,cv,arrival,shape,scale\n"
    one = tmp_path / "servegen" / "pool" / "client-0.csv"
    one.write_text(header + "36000,0.5,2,Gamma,0.25,8\n36600,0.2,1.5,Weibull,0.6,3\n")
    unknown = one.with_name("client-1.csv")  # whose lengths are not known
    unknown.write_text(header + "0,0.1,1,Gamma,1,10\n700000,0.1,1,Gamma,1,10\n")
    lengths = {"input_tokens": [500, 510, 520, 530, 540], "output_tokens": [1, 1, 1, 1, 1], "reason_ratio": [0.5] * 5}
    (tmp_path / "servegen" / "lengths.json").write_text(json.dumps({"pool/client-0": lengths}))
    for file, column, count in (
        ("gsm8k_train_part", "question", 100),
        ("gsm8k_test", "question", 80),
        ("math_problems", "problem", 50),
        ("arena_hard", "prompt", 20),
        ("seed_tasks", "instruction", 20),
    ):
        rows = [json.dumps({column: f"{file}: what is {number} things to you\u2028?"}) for number in range(count)]
        (tmp_path / f"{file}.jsonl").write_text("\n".join(rows) + "\n")
    found = benign(1, organisations=40, calls_per_organisation=20, data=tmp_path)
    assert {*found.truth["client_model"].to_pylist()} == {"pool/client-0", "pool/client-1"}
    tokens = found.calls["prompt_tokens"].drop_null().to_numpy()
    assert 300 < tokens.min() <= tokens.max() < 900
    runners = of_role(found, "benchmark_runner")
    assert different(runners, "prompt_print") == 80 + 50
    assert len(bank_texts("gsm8k_train", tmp_path)) == 100
