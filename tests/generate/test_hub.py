"""What a person reads when a model of the hub cannot be had. The hub here is a server on loopback, or nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stillroom.base.errors import ModelError
from stillroom.generate.hub import fetch_model


class Hub(BaseHTTPRequestHandler):
    refusal = (404, "RepoNotFound")

    def do_GET(self) -> None:
        status, code = self.refusal
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((404, "RepoNotFound"), "There is no model some/model: no folder here is called so, and the hub has none"),
        ((403, "GatedRepo"), "gives the model some/model only to those who have accepted its terms"),
        ((400, "Other"), "There is no model some/model here, and the hub cannot be reached to fetch it"),
    ],
)
def test_the_hub_refuses(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, refusal: tuple[int, str], words: str
) -> None:
    assert hub.server_port
    monkeypatch.setattr(Hub, "refusal", refusal)
    with pytest.raises(ModelError) as caught:
        fetch_model("some/model")
    assert words in caught.value.what
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["a--b/c", "a/b.git", "a/.."])
def test_a_name_that_the_hubs_library_refuses(hub: ThreadingHTTPServer, name: str) -> None:
    assert hub.server_port
    with pytest.raises(ModelError, match="There is no model"):
        fetch_model(name)


def test_nobody_answers(hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.server_port
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"no model some/model here, and the hub cannot be reached.*Name a model's"):
        fetch_model("some/model")


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "not a name at all", "", "a/b?x=1", "models/é"])
def test_what_is_no_name_of_the_hub(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        fetch_model(name)
    assert caught.value.what == f"There is no model {name!r} here."
    assert "owner/name" in caught.value.remedy
