"""The gateways that are compared, each in front of the same server."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import yaml
from benchmarks.ask_contenders.contender import MODEL
from benchmarks.ask_contenders.environments import Environment, environment
from benchmarks.serve_contenders.running import Running, free_port, post, process_of

from stillroom.serve.accounts.by_hand import make_admin
from stillroom.serve.settings import read_settings

LITELLM = ("litellm[proxy]==1.108.7",)
BARE = (
    "starlette==1.10.0", "granian==2.8.7", "uvicorn==0.54.0", "httptools==0.9.0", "uvloop==0.23.0",
    "pyreqwest==0.15.1", "aiohttp==3.14.5",
)  # fmt: skip
LIMITS = {
    "requests_per_minute": 100_000_000,
    "tokens_per_minute": 2_000_000_000,
    "concurrent": 100_000,
    "usd_per_day": "1000000",
    "usd_per_month": "10000000",
}
"""All of them are counted, and none is reached."""
PRICE = {"input_per_million": 1, "output_per_million": 10}

Start = Callable[[str], AbstractContextManager[Running]]
"""With the base URL of the server behind it."""


def contenders(chosen: list[str]) -> dict[str, Start]:
    """By name. Environments that are missing are made now, before anything is measured."""
    made: dict[str, Start] = {}
    bare = environment("bare_gateway", BARE, counts_tokens=False)
    for server, client in (("granian", "pyreqwest"), ("uvicorn", "pyreqwest"), ("uvicorn", "aiohttp")):
        made[f"bare {server}+{client}"] = partial(bare_gateway, bare, server, client)
    if "litellm" in chosen:
        made["LiteLLM"] = partial(litellm_proxy, environment("litellm", LITELLM, counts_tokens=False))
    for workers in (1, 2):
        made[f"stillroom, {workers} worker{'s' * (workers > 1)}"] = partial(stillroom_gateway, workers)
    return made


@contextmanager
def bare_gateway(its: Environment, server: str, client: str, upstream: str) -> Iterator[Running]:
    port = free_port()
    command = [str(its.python), str(Path(__file__).with_name("bare.py")), server, client, str(port), upstream]
    with (
        tempfile.TemporaryDirectory() as folder,
        process_of(command, Path(folder), f"http://127.0.0.1:{port}/ready") as pid,
    ):
        version = ", ".join(_version(its, package) for package in ("starlette", server, client))
        yield Running(f"http://127.0.0.1:{port}/v1", "key", pid, version)


@contextmanager
def litellm_proxy(its: Environment, upstream: str) -> Iterator[Running]:
    """One worker with a master key, no database, set up as its guide for production says."""
    port, key = free_port(), "sk-benchmark"
    settings = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "none"},
            }
        ],
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": False, "telemetry": False},
        "general_settings": {"master_key": key},
    }
    variables = {
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        # It would ask the internet for the prices of models otherwise.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(yaml.safe_dump(settings))
        program = str(its.python.with_name("litellm"))
        command = [program, "--config", str(path), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        url = f"http://127.0.0.1:{port}"
        with process_of(command, Path(folder), f"{url}/health/liveliness", variables) as pid:
            yield Running(f"{url}/v1", key, pid, _version(its, "litellm"))


@contextmanager
def stillroom_gateway(workers: int, upstream: str) -> Iterator[Running]:
    """As an owner would run it: a key, every limit, the call log with its prints and sketches, and receipts."""
    port, admin_port = free_port(), free_port()
    settings = {
        "owner": "Benchmark",
        "state": "state",
        "listen": {"port": port},
        "admin": {"port": admin_port},
        "workers": workers,
        "models": [
            {"name": MODEL, "upstreams": [{"base_url": upstream}], "routes": ["chat"], "price": PRICE},
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gateway.yaml")
        path.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "stillroom", "serve", "--config", str(path)]
        url = f"http://127.0.0.1:{port}"
        with process_of(command, Path(folder), f"{url}/ready") as pid:
            admin_key = make_admin(read_settings(path), "benchmark", "owner", None)["key"]
            key = _new_key(f"http://127.0.0.1:{admin_port}/v1", admin_key)
            yield Running(f"{url}/v1", key, pid, f"stillroom {importlib.metadata.version('stillroom')}")


def _new_key(admin_url: str, admin_key: str) -> str:
    organisation = json.loads(post(f"{admin_url}/organisations", {"name": "Benchmark"}, admin_key))["id"]
    account = {"organisation": organisation, "name": "benchmark", "limits": LIMITS}
    account_id = json.loads(post(f"{admin_url}/accounts", account, admin_key))["id"]
    made = json.loads(post(f"{admin_url}/accounts/{account_id}/keys", {}, admin_key))
    return str(made["key"])


def _version(its: Environment, package: str) -> str:
    program = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    shown = subprocess.run([its.python, "-c", program], capture_output=True, text=True, check=True)
    return f"{package} {shown.stdout.strip()}"
