"""What docs/watermark.md says: commands that there are, files that are written, numbers of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml
from typer.main import get_command

from stillroom.cli_probe import probe_commands
from stillroom.probe.watermark import evidence
from stillroom.probe.watermark.green_test import FEWEST_PAIRS, RANDOM_KEYS
from stillroom.serve.settings import ModelSettings, WatermarkSettings
from stillroom.text.green_list import WIDTH
from stillroom.text.mark_commitments import FILE, FOLDER

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "watermark.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_settings_are_settings() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (model,) = yaml.safe_load(block)["models"]
    assert ModelSettings.model_validate_json(_json(model)).watermark == WatermarkSettings(strength=2)


def test_the_commands_are_commands() -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
    shown = "".join(block for language, block in blocks if not language).replace("\\\n", " ")
    commands = [shlex.split(line) for line in shown.splitlines()]
    assert [words[:3] for words in commands] == [["stillroom", "probe", words[2]] for words in commands]
    told = set()
    for words in commands:
        group = get_command(probe_commands)
        named, options = words[2:], [word for word in words if word.startswith("--")]
        while hasattr(group, "commands"):
            group = group.commands[named.pop(0)]
        known = {option for parameter in group.params for option in parameter.opts}
        assert set(options) <= known, words
        told.add(group.name)
    told |= set(re.findall(r"`stillroom probe watermark\s+(\w+)", PAGE))
    assert told >= set(get_command(probe_commands).commands["watermark"].commands)  # type: ignore[attr-defined]


def test_the_files_are_the_folder_s() -> None:
    table = PAGE.partition("| file | |")[2].partition("\n\n")[0]
    names = {value for name, value in vars(evidence).items() if name.isupper() and str(value).count(".") == 1}
    assert set(re.findall(r"`([\w.]+)`", table)) == names - {evidence.SOFTWARE}


def test_its_numbers_are_the_codes() -> None:
    assert f"{RANDOM_KEYS:,} keys, drawn at random" in WORDS
    assert f"No p-value is below {1 / (RANDOM_KEYS + 1):.4f}" in WORDS
    assert f"Fewer than {FEWEST_PAIRS} different pairs" in WORDS
    assert f"`state/{FOLDER}/{FILE}`" in WORDS
    assert WIDTH == 1
    assert "left-hash of one token" in WORDS


def test_its_links() -> None:
    for file, _, place in re.findall(r"\]\(([\w./]*)(#([\w-]+))?\)", PAGE):
        page = (DOCS / file).read_text(encoding="utf-8") if file else PAGE
        headings = {
            re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
            for line in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        }
        assert not place or place in headings, (file, place)


def _json(value: object) -> str:
    import json

    return json.dumps(value)
