"""The report of one run: a single HTML page that holds its styles, its charts and its data, and loads nothing.

Whatever comes from a model or a file is untrusted. The template escapes it (autoescape is on, and every expression goes
through `_shown`), data inside a script element is escaped by `script_json`, and the page's Content-Security-Policy lets
no script run but the ones written here, named by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stillroom import __version__
from stillroom.report import charts, words
from stillroom.report.run_files import Comparison, RunFiles, read_run
from stillroom.report.samples import read_samples
from stillroom.report.summary import print_summary, summarise, summary_of
from stillroom.store.files import write_atomically

__all__ = ["print_summary", "summarise", "write_report"]

REPORT = "report.html"
SCRIPTS = ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-embed.min.js", "page.js")
VERSIONS_OF = ("torch", "transformers", "math-verify", "reasoning-gym", "pyarrow", "duckdb", "pydantic")


def write_report(folder: Path) -> Path:
    """Write `report.html` from whatever files the stages have left in the folder; the same files give the same page.

    Raises DataError where there is no such folder, StoreError for a damaged file.
    """
    path = folder / REPORT
    write_atomically(path, render(read_run(folder)))
    return path


def render(run: RunFiles) -> str:
    answers = run.folder / "exam" / "answers.parquet"
    examined = run.examined
    takers = {name: examined.takers[name] for name in words.in_order(list(examined.takers))} if examined else {}
    scripts = [_script(name) for name in SCRIPTS] if takers or run.trained else []
    summary = summary_of(run)
    page = _environment().get_template("page.html.j2")
    return page.render(
        run=run,
        summary=summary,
        headline=words.headline(summary),
        sentence=words.result_sentence(summary),
        takers=takers,
        families=list(dict.fromkeys(family for taker in takers.values() for family in taker.families)),
        findings=_findings(examined.comparisons) if examined else [],
        charts=_charts(run),
        samples=read_samples(answers) if examined and answers.exists() else [],
        absent=_absent(run),
        versions=_versions(),
        style=Markup(_text("page.css")),
        scripts=[script.text for script in scripts],
        script_sources=" ".join(script.source for script in scripts) or "'none'",
    )


@dataclass(frozen=True, slots=True)
class Script:
    text: Markup
    source: str
    """How the Content-Security-Policy names it."""


@cache
def _script(name: str) -> Script:
    # A source map is a file beside the script, which a self-contained page has not.
    text = re.sub(r"^//# sourceMappingURL=.*$", "", _text(name), flags=re.MULTILINE)
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return Script(Markup(text), f"'sha256-{digest}'")


def _text(name: str) -> str:
    return resources.files("stillroom.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("percent", "interval", "count", "money", "duration", "short", "reason", "taker_name")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.filters |= {"script_json": script_json, "without_credentials": without_credentials}
    environment.globals |= {"TAKERS_EXPLAINED": words.TAKERS_EXPLAINED}
    return environment


def _shown(value: Any) -> Any:
    """Every expression of the template goes through here on its way to being escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.visible(value)
    return value


def script_json(value: Any) -> Markup:
    """JSON that cannot end the script element around it, nor open a comment in it.

    Raises ValueError for NaN and infinities, which are not JSON.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def without_credentials(text: str) -> str:
    """URLs in the text without the user name and password that may stand before their host."""
    return re.sub(r"(\w://)[^/\s@]+@", r"\1", text)


def _charts(run: RunFiles) -> dict[str, charts.Spec]:
    takers = run.examined.takers if run.examined else {}
    drawn = {
        "accuracy": charts.accuracy_chart(takers) if takers else None,
        "families": charts.family_chart(takers) if takers else None,
        "curves": charts.curve_chart(run.trained),
    }
    return {name: spec for name, spec in drawn.items() if spec is not None}


def _findings(comparisons: tuple[Comparison, ...]) -> list[tuple[str | None, list[dict[str, Any]]]]:
    """The comparisons with what they mean: those of the student in plain view, the others behind a title."""
    with_student = [one for one in comparisons if "student" in (one.a, one.b)]
    others = [one for one in comparisons if one not in with_student]
    groups = [(None, with_student), ("The other pairs", others)] if with_student else [(None, others)]
    return [(title, [_finding(comparison) for comparison in group]) for title, group in groups if group]


def _finding(comparison: Comparison) -> dict[str, Any]:
    n = comparison.both_right + comparison.only_a + comparison.only_b + comparison.both_wrong
    return {"counts": comparison, "n": n, "said": words.compare(comparison)}


def _absent(run: RunFiles) -> list[tuple[str, str]]:
    """The parts that this page cannot have yet, each with the file that it would be read from."""
    method = run.recipe.method if run.recipe else "sft"
    parts = [
        ("what was asked", "ask.json", run.asked),
        ("what was kept", "check.json", run.checked),
        ("the training", f"train/{method}/train.json", run.trained or not run.has("train")),
        ("the examination", "exam.json", run.examined or not run.has("exam")),
        ("the recipe", "recipe.yaml", run.recipe),
    ]
    return [(part, file) for part, file, there in parts if not there]


def _versions() -> dict[str, str]:
    """Of the installation that writes this page. A library that is not installed is left out."""
    found = {"stillroom": __version__, "Python": platform.python_version()}
    for name in VERSIONS_OF:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
