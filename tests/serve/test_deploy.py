"""deploy/: its files fit each other, the gateway's settings and the repository. deploy/check.py tries the rest."""

from __future__ import annotations

import re
import shlex
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from stillroom.base.permit import MAX_PERMIT_BYTES
from stillroom.serve.gateway.protocol import uvicorn_settings
from stillroom.serve.receipts import MOST_BYTES_IN_HEADER
from stillroom.serve.settings import Bounds, GatewaySettings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "stillroom.service").read_text()
NGINX = (DEPLOY / "nginx.conf.template").read_text()
README = (DEPLOY / "README.md").read_text()


def filled_in(gateway: str, name: str) -> str:
    """nginx's template as its image fills it in."""
    return NGINX.replace("${GATEWAY}", gateway).replace("${SERVER_NAME}", name)


def with_command(program: str) -> str:
    """The unit with another program, for a machine that has no gateway in its place."""
    return re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNIT, flags=re.MULTILINE)


def settings() -> GatewaySettings:
    return read_settings(DEPLOY / "gateway.yaml")


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_the_settings_are_a_gateways() -> None:
    assert settings().database == "DATABASE_URL"
    assert settings().state == Path("/var/lib/stillroom")
    assert settings().models


def test_what_the_image_is_made_of_is_there() -> None:
    copied = [source for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()]
    assert copied
    assert all((ROOT / source).exists() for source in copied)
    allowed = re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(allowed) == sorted(copied)
    project = (ROOT / "pyproject.toml").read_text()
    assert re.search(r"pip install .*'\.\[gateway\]'", DOCKERFILE)
    assert re.search(r"^gateway = \[", project, re.MULTILINE)
    needed = re.findall(r'^(?:readme|license-files) = \[?"(.*?)"', project, re.MULTILINE)
    assert set(needed) <= set(copied)


def test_what_services_name_is_declared() -> None:
    for kind in ("networks", "secrets"):
        named = {name for service in SERVICES.values() for name in service.get(kind, ())}
        assert named == set(COMPOSE[kind])
    mounted = [volume.split(":") for service in SERVICES.values() for volume in service["volumes"]]
    assert {source for source, *_ in mounted if not source.startswith(".")} == set(COMPOSE["volumes"])
    of_the_operator = {"./tls"}
    assert all(
        (DEPLOY / source).exists() for source, *_ in mounted if source[0] == "." and source not in of_the_operator
    )
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert all(SERVICES[other]["healthcheck"]["test"] for other in service.get("depends_on", ()))
        assert service["restart"] == "unless-stopped"
    assert (DEPLOY / SERVICES["gateway"]["build"]["context"] / SERVICES["gateway"]["build"]["dockerfile"]).exists()


def test_the_secrets_are_those_that_are_made_and_read(tmp_path: Path) -> None:
    script = (DEPLOY / "prepare.sh").read_text().replace("chown 10001", "echo")
    (tmp_path / "prepare.sh").write_text(script)
    for _ in range(2):
        subprocess.run(["sh", tmp_path / "prepare.sh"], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"./secrets/{name}" for name in made} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())
    database = SERVICES["database"]["environment"]
    assert made["DATABASE_URL"] == (
        f"postgresql://{database['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@database/{database['POSTGRES_DB']}"
    )
    assert re.fullmatch("[0-9a-f]{48}", made["POSTGRES_PASSWORD"])
    assert database["POSTGRES_PASSWORD_FILE"] == "/run/secrets/POSTGRES_PASSWORD"
    assert f"uid {re.findall('chown (.*?) ', (DEPLOY / 'prepare.sh').read_text())[0]} " in DOCKERFILE


def test_the_images_first_program_makes_variables_of_secrets(tmp_path: Path) -> None:
    secrets, programs = tmp_path / "secrets", tmp_path / "programs"
    secrets.mkdir()
    programs.mkdir()
    (secrets / "DATABASE_URL").write_text("postgresql://a b$c'd\"@database/stillroom\n")
    (secrets / "lower").write_text("left out")
    program = programs / "stillroom"
    program.write_text('#!/bin/sh\nprintf "%s|%s|%s" "$DATABASE_URL" "${lower:-}" "$*"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "SECRETS": str(secrets), "LC_ALL": "C"}
    command = ["sh", str(DEPLOY / "entrypoint.sh"), "serve", "--config", "a b"]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert told == "postgresql://a b$c'd\"@database/stillroom||serve --config a b"
    assert 'ENTRYPOINT ["entrypoint.sh"]' in DOCKERFILE


def test_addresses_fit() -> None:
    proxy, gateway = (SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in ("nginx", "gateway"))
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert {ip_address(proxy), ip_address(gateway)} <= set(ip_network(subnet["subnet"]))
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for trusted in (proxy, "127.0.0.1"):
        assert any(ip_address(trusted) in network for network in settings().trusted_proxies)
    assert SERVICES["nginx"]["environment"]["GATEWAY"] == f"{gateway}:{settings().listen.port}"
    shared = set(SERVICES["nginx"]["networks"]) & set(SERVICES["gateway"]["networks"])
    assert shared == {"inside"}  # or nginx would come from another address, too
    assert "ports" not in SERVICES["gateway"]
    assert "ports" not in SERVICES["database"]
    assert f"127.0.0.1:{settings().listen.port}" in " ".join(SERVICES["gateway"]["healthcheck"]["test"])


@pytest.mark.parametrize(
    "given", [SERVICES["gateway"]["stop_grace_period"], re.findall("TimeoutStopSec=(.*)", UNIT)[0]]
)
def test_calls_in_flight_have_the_time_that_the_gateway_gives_them(given: str) -> None:
    assert seconds(given) > settings().bounds.drain_s + 10  # what the supervisor waits for


def test_the_proxy_has_the_gateways_bounds() -> None:
    def told(name: str) -> str:
        (value,) = set(re.findall(rf"^ +{name} ([^;]+);", NGINX, re.MULTILINE))
        return str(value)

    bounds = Bounds()
    assert int(told("client_max_body_size").removesuffix("m")) << 20 > bounds.body_bytes
    assert seconds(told("proxy_read_timeout")) > bounds.call_s
    assert seconds(told("client_body_timeout")) == bounds.body_s
    assert int(told("large_client_header_buffers").split()[1].removesuffix("k")) << 10 > MAX_PERMIT_BYTES
    assert int(told("proxy_buffer_size").removesuffix("k")) << 10 > 2 * MOST_BYTES_IN_HEADER
    assert uvicorn_settings(bounds)["timeout_keep_alive"] > 60  # nginx keeps a connection for so long
    assert told("proxy_buffering") == "off"
    assert told("access_log") == "off"
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in NGINX
    assert set(re.findall(r"\$\{(\w+)\}", NGINX)) == set(SERVICES["nginx"]["environment"])


def test_the_unit_runs_the_gateway() -> None:
    (command,) = re.findall("^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert command.split()[1:] == ["serve", "--config", "/etc/stillroom/gateway.yaml"]
    assert f"/var/lib/{re.findall('^StateDirectory=(.*)$', UNIT, re.MULTILINE)[0]}" == str(settings().state)
    assert "KillMode=mixed" in UNIT


def test_the_readme_names_what_is_here() -> None:
    table = README.partition("| file | |")[2].partition("\n\n")[0]
    named = {
        name for line in table.splitlines() for name in re.findall(r"`([\w.]+)`", line.split("|")[1] if line else "")
    }
    assert named == {path.name for path in DEPLOY.iterdir() if path.is_file()} - {"README.md"}
    for file, _, place in re.findall(r"\]\(([\w./]*)(#([\w-]+))?\)", README):
        headings = re.findall(r"^#+ (.*)$", (DEPLOY / file).read_text(), re.MULTILINE)
        assert not place or place in [re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings]


def test_the_readmes_commands_fit() -> None:
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    commands = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    (substitution,) = (command for command in commands if command.startswith("sed "))
    words = shlex.split(substitution.partition(" > ")[0])
    done = subprocess.run(words, cwd=DEPLOY, check=True, capture_output=True, text=True).stdout
    assert done == filled_in("127.0.0.1:8000", "gateway.example")
    for command in commands:
        if command.startswith(("install -m 0644 ", "sh ")):
            assert (DEPLOY / command.removeprefix("install -m 0644 ").removeprefix("sh ").split()[0]).exists(), command
    (program,) = re.findall("^ExecStart=(\\S+)", UNIT, re.MULTILINE)
    assert f"python3 -m venv {program.removesuffix('/bin/stillroom')}" in commands
    (environment,) = re.findall("^EnvironmentFile=(.*)$", UNIT, re.MULTILINE)
    assert f"install -m 0600 /dev/null {environment}" in [command.strip() for command in commands]
    executed = [command for command in commands if command.startswith("docker compose exec ")]
    assert executed
    assert all(" gateway stillroom " in command for command in executed)
