"""Data sets of the Hugging Face hub, read from a stand-in for it, with the real library in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stillroom.text.plain_yaml import read_yaml

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it holds, `owner/name` -> path -> bytes, and what it was asked for."""

    data_sets: Mapping[str, Mapping[str, bytes]]
    refuses: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Data sets that it does not give: status and error code. What a gated one consists of is told to everyone."""
    fetched: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(with_body=True)

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def answer(self, *, with_body: bool) -> None:
            about = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/(.+))?", self.path.split("?")[0])
            file = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
            name, revision = (about or file or re.match("()()", "")).group(1, 2)  # type: ignore[union-attr]
            if name in hub.refuses and (file or hub.refuses[name][1] != "GatedRepo"):
                self.refuse(*hub.refuses[name])
            elif name not in hub.data_sets:
                self.refuse(404, "RepoNotFound")
            elif revision not in (None, "main", COMMIT):
                self.refuse(404, "RevisionNotFound")
            elif about:
                siblings = [{"rfilename": path} for path in hub.data_sets[name]]
                body = {"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "gated": False, "tags": []}
                self.send(json.dumps(body).encode(), with_body, {"Content-Type": "application/json"})
            elif file and file[3] in hub.data_sets[name]:
                if with_body:
                    hub.fetched.append(file[3])
                body_bytes = hub.data_sets[name][file[3]]
                etag = hashlib.sha256(body_bytes).hexdigest()
                self.send(body_bytes, with_body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
            else:
                self.refuse(404, "EntryNotFound")

        def send(self, body: bytes, with_body: bool, headers: Mapping[str, str]) -> None:
            self.send_response(200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


CARD = b"""---
license: other
license_name: gsm-terms
configs:
- config_name: main
  default: true
  data_files:
  - {split: train, path: main/train-*}
  - {split: test, path: [main/test.jsonl]}
- config_name: socratic
  data_files: socratic/**/*.csv
---
# A data set
"""
GSM = {
    "README.md": CARD,
    "main/train-00000.jsonl": b'{"question": "a", "answer": "#### 1"}\n{"question": "b", "answer": "#### 2"}\n',
    "main/train-00001.jsonl": b'{"question": "c", "answer": "#### 3"}\n',
    "main/test.jsonl": b'{"question": "d", "answer": "#### 4"}\n',
    "socratic/deep/x.csv": b"problem,answer\ne,5\n",
}
READ = """
import json, sys
from pathlib import Path
from stillroom.ask.source_settings import HuggingFaceSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import StillroomError

for settings in json.loads(sys.argv[1]):
    try:
        found = read_questions(HuggingFaceSource(**settings), base_folder=Path())
        print(json.dumps([question.model_dump(mode="json") for question in found]))
    except StillroomError as error:
        print(json.dumps(str(error)))
"""


def read(url: str, home: Path, *settings: Mapping[str, object]) -> list[Any]:
    """For each source its questions, or the error in words."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment.pop("HF_TOKEN", None)
    command = [sys.executable, "-c", READ, json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_config_and_split_choose_the_files_and_only_those_are_fetched(tmp_path: Path) -> None:
    with running(Hub({"some/gsm": GSM})) as hub:
        train, first, other, pinned = read(
            hub.url,
            tmp_path,
            {"name": "some/gsm", "split": "train"},
            {"name": "some/gsm", "split": "train", "count": 1},
            {"name": "some/gsm", "config": "socratic", "question": "problem", "licence": "CC0-1.0"},
            {"name": "some/gsm", "config": "main", "split": "test", "revision": COMMIT},
        )
    assert [(row["messages"][0]["content"], row["answer"], row["kind"]) for row in train] == [
        ("a", "1", "number"), ("b", "2", "number"), ("c", "3", "number"),
    ]  # fmt: skip
    assert {(row["source"], row["licence"], row["split"]) for row in train} == {
        ("some/gsm@0123456789ab", "gsm-terms", "train")
    }
    assert train[2]["meta"] == {"source_place": "some/gsm/main/train-00001.jsonl line 1"}
    assert first == train[:1]
    assert [(row["messages"][0]["content"], row["answer"], row["licence"]) for row in other] == [("e", "5", "CC0-1.0")]
    assert [row["messages"][0]["content"] for row in pinned] == ["d"]
    # Each file once: what is in the library's cache is not fetched again.
    assert sorted(hub.fetched) == sorted(GSM)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"- (\{from: huggingface, name:.*\})", page)
    settings = read_yaml(example).value
    with running(Hub({settings["name"]: GSM})) as hub:
        (questions,) = read(hub.url, tmp_path, settings)
    assert [question["answer"] for question in questions] == ["1", "2", "3"]
    assert {question["source"] for question in questions} == {f"openai/gsm8k@{COMMIT[:12]}"}


def test_a_file_is_fetched_when_its_turn_comes(tmp_path: Path) -> None:
    with running(Hub({"some/gsm": GSM})) as hub:
        read(hub.url, tmp_path, {"name": "some/gsm", "split": "train", "count": 2})
    assert hub.fetched == ["README.md", "main/train-00000.jsonl"]


def test_what_the_hub_does_not_give_is_said_in_words(tmp_path: Path) -> None:
    cases = {
        "has no data set some/none, or it is a private one": {"name": "some/none"},
        "gives the data set some/gated only to those who accepted its conditions": {"name": "some/gated"},
        "has no revision 'v9'": {"name": "some/gsm", "revision": "v9"},
        "'some gsm' is no name of a data set": {"name": "some gsm"},
        "did not give the data set some/broken: Server error": {"name": "some/broken"},
        "has no config 'mian'. Did you mean main?": {"name": "some/gsm", "config": "mian"},
        "has no split 'tset'. Did you mean test?": {"name": "some/gsm", "split": "tset"},
        "has the splits train, test. Choose one: split: train.": {"name": "some/gsm"},
        "there is no column 'problm'. Did you mean problem?": {
            "name": "some/gsm", "config": "socratic", "question": "problm",
        },
        "some/script has no data files that can be read": {"name": "some/script"},
    }  # fmt: skip
    refuses = {"some/gated": (401, "GatedRepo"), "some/broken": (500, "")}
    data_sets = {"some/gsm": GSM, "some/gated": GSM, "some/broken": GSM, "some/script": {"load.py": b"print()"}}
    with running(Hub(data_sets, refuses)) as hub:
        errors = read(hub.url, tmp_path, *cases.values())
    for expected, error in zip(cases, errors, strict=True):
        assert expected in error
    # The port is free again: nobody listens there.
    (error,) = read(hub.url, tmp_path, {"name": "some/gsm"})
    assert "The hub did not give the data set some/gsm" in error
    assert "give the data set's folder: path" in error
