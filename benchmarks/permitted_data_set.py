"""A data set that `ask` makes through a real gateway under a permit: how long it takes, and whether each row verifies.

    python -m benchmarks.permitted_data_set [--rows 100000] [--workers 2] [--folder DIR]

nginx (Debian: nginx-light) plays the model, and the gateway before it does all that it does for an owner. `ask`,
`check` and `verify` are the commands as anybody runs them. Then a hundred rows each have another answer, another
question, no receipt, or another row's; and the whole is verified without its permit. `verify_receipts` knows 26 ways of
altering a row; here it is about the way from the gateway to the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from benchmarks.ask_contenders.local_nginx import local_nginx
from benchmarks.verify_alterations import Row, finish_data_set
from tests.serve.gateway.conftest import RunningGateway, running_gateway

from stillroom import pipeline
from stillroom.admin_api import AdminApi
from stillroom.check.published import write_rejected, write_split
from stillroom.check.receipts.run import verify_receipts
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.text.plain_yaml import write_yaml

_KEY, _ALTERED = "KEY_OF_THE_BENCHMARK", 100
_RIGHT = {
    "another answer": {"altered_answer"},
    "another question": {"altered_user"},
    "no receipt": {"missing"},
    # Every reply here says the same, so that only the question gives it away.
    "another row's receipt": {"altered_user", "other_reply", "used_twice"},
}
_WAYS = list(_RIGHT)
"""Of altering a row, and the reasons that are right for it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where everything is made, and stays; temporary without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        with local_nginx() as nginx:
            gateway_folder = folder / "gateway"
            gateway_folder.mkdir()
            with running_gateway(
                gateway_folder, nginx.base_url.removesuffix("/v1"), workers=arguments.workers
            ) as gateway:
                _ask(gateway, arguments.rows)
                _verify(folder, gateway, arguments.rows)
                _timed("The gateway ends, and seals its log", lambda: print(gateway.stop(), end=""))
                print(f"  {len(gateway.calls()):,} calls in the log")


def _ask(gateway: RunningGateway, rows: int) -> None:
    key = gateway.key(usd_per_month="1000000")
    os.environ[_KEY] = key.key
    with changing(gateway.engine, "benchmark") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="benchmark", role="operator", organisation=None)
    permit = AdminApi(gateway.admin_url, admin.text).post(
        "/v1/permits",
        {
            "organisation": gateway.organisations["Acme"],
            "accounts": [key.account],
            "models": ["m"],
            "purpose": "a benchmark",
            "student": "small",
            "calls": rows,
            "expires_at": int(time.time() + 86_400) * 1_000_000,
        },
    )
    Path("permit.jws").write_text(permit["token"])
    with Path("questions.jsonl").open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"question": f"How much are {number} and seven, and why?"}) + "\n")
    teacher = {"model": "m", "base_url": f"{gateway.url}/v1", "api_key_env": _KEY, "price": "none"}
    recipe = {
        "name": "permitted",
        "teacher": {**teacher, "permit": "permit.jws"},
        "questions": [{"from": "file", "path": "questions.jsonl"}],
    }
    Path("recipe.yaml").write_text(write_yaml(recipe))
    time.sleep(2)  # until every worker has heard of the permit
    took_s = _timed(f"{rows:,} questions are asked", lambda: pipeline.ask("recipe.yaml"))
    print(f"  {rows / took_s:,.0f} a second")
    _timed("They are checked", lambda: pipeline.check("recipe.yaml"))


def _verify(folder: Path, gateway: RunningGateway, rows: int) -> None:
    keys = folder / "keys.json"
    keys.write_bytes(gateway.get("/.well-known/jwks.json")[1])
    data_set = folder / "runs/permitted/dataset"
    facts: dict[str, Any] = {}
    took_s = _timed("The data set is verified", lambda: facts.update(verify_receipts(data_set, str(keys))))
    print(f"  {facts['rows']:,} rows, {facts['rows'] / took_s:,.0f} a second, {facts['bad']} bad")
    assert facts["bad"] == 0
    # Some questions differ by a digit alone: the check keeps one of them.
    assert facts["rows"] > 0.999 * rows
    altered = folder / "altered"
    expected = _alter(data_set, altered)
    out = folder / "altered.jsonl"
    verify_receipts(altered, str(keys), out=out)
    with out.open("rb") as file:
        found = {bad["row"]: bad["reason"] for bad in map(json.loads, file)}
    print(f"Of {len(expected)} altered rows:")
    rightly = Counter(way for row, way in expected.items() if found.get(row) in _RIGHT[way])
    for way, number in rightly.items():
        print(f"  {way}: {number} found")
    print(f"  honest rows called bad: {len(found.keys() - expected.keys())}")
    assert rightly.total() == len(expected) == len(found)
    manifest = data_set / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), "permits": []}))
    without = verify_receipts(data_set, str(keys))
    print(f"Without its permit: {without['bad']:,} of {without['rows']:,} rows refused ({without['reasons']})")
    assert without["bad"] == facts["rows"]


def _alter(data_set: Path, altered: Path) -> dict[int, str]:
    """A copy with a hundred rows altered in each way, and its manifest made anew. Returns which, and what is wrong."""
    expected: dict[int, str] = {}

    def rows() -> Iterator[Row]:
        before: Row = {}
        for number, row in enumerate(_rows(data_set)):
            way = number % 20
            if way < 4 and 1 <= number // 20 <= _ALTERED:
                expected[number] = _WAYS[way]
                if way == 0:
                    row["messages"][-1]["content"] += " Or 13."
                elif way == 1:
                    row["messages"][-2]["content"] += " Say it briefly."
                elif way == 2:
                    row["receipt"] = None
                else:
                    row["receipt"] = before["receipt"]
            else:
                before = row
            yield row

    altered.mkdir()
    write_split(altered, "train", rows(), with_tools=False)
    write_rejected(altered, [], with_tools=False)
    permits = json.loads((data_set / "manifest.json").read_bytes())["permits"]
    finish_data_set(altered, [permit["jws"] for permit in permits])
    return expected


def _rows(data_set: Path) -> Iterator[Row]:
    for path in sorted(data_set.rglob("train*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(2048):
            yield from batch.to_pylist()


def _timed(words: str, work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    took_s = time.monotonic() - began
    print(f"{words}: {took_s:.1f} s", flush=True)
    return took_s


if __name__ == "__main__":
    main()
