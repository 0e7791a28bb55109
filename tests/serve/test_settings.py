"""A gateway's settings: what a person may write wrong, and is told once."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from stillroom.base.errors import UsageError
from stillroom.serve.settings import GatewaySettings, read_settings, with_changes


def settings_with(folder: Path, line: str) -> GatewaySettings:
    file = folder / "gateway.yaml"
    file.write_text(f"owner: Abacus Models\nstate: state\n{line}\n", encoding="utf-8")
    return read_settings(file)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set: write 10.0.0.0/8, or 10.0.0.1 for one address."),
        ("fe80::1/10", "fe80::1/10 has host bits set: write fe80::/10, or fe80::1 for one address."),
        ("nginx", "'nginx' is no network: write 10.0.0.0/8, or 10.0.0.7 for one address."),
        ("10", "a network is text: write 10.0.0.0/8, or 10.0.0.7 for one address."),
    ],
)
def test_a_wrong_network_is_one_mistake(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_with(tmp_path, f"trusted_proxies: [{given}]")
    assert caught.value.what == f"{tmp_path / 'gateway.yaml'}: trusted_proxies.0 (line 3): {said}"


def test_networks_of_both_kinds_and_single_addresses(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, 'trusted_proxies: [10.0.0.0/8, 127.0.0.1, "::1"]')
    wanted = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("::1/128"))
    assert settings.trusted_proxies == wanted
    # As a worker is told them, on a pipe.
    changed = with_changes(settings, {}, port=1)
    assert GatewaySettings.model_validate(changed.model_dump(mode="json")).trusted_proxies == wanted


def test_a_folder_is_beside_the_file_or_embedded(tmp_path: Path) -> None:
    lines = "models: [{name: a, folder: classroom}, {name: b, folder: models/b}]"
    assert [model.folder for model in settings_with(tmp_path, lines).models] == [
        tmp_path / "classroom",
        tmp_path / "models/b",
    ]
    read = read_settings(tmp_path / "gateway.yaml", {"classroom": Path("/embedded")})
    assert [model.folder for model in read.models] == [Path("/embedded"), tmp_path / "models/b"]
