"""stillroom's whole stage: questions.parquet in, ask.sqlite, replies.parquet, attempts.parquet and ask.json out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey
from benchmarks.ask_contenders.with_engine import BUDGET_USD, PRICE

from stillroom.ask.run import ask
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.records import Message, Question
from stillroom.store.tables import count_rows, write_questions


def prepare(order: Order) -> Callable[[], int]:
    write_questions(
        order.folder / "questions.parquet",
        (
            Question(
                id=f"q{number}", messages=(Message(role="user", content=question),), kind="none", source="benchmark"
            )
            for number, question in enumerate(order.questions(), order.first)
        ),
    )
    teacher = TeacherSettings(model=MODEL, base_url=order.base_url, price=PRICE)
    settings = AskSettings(max_tokens=MAX_TOKENS, concurrency=order.concurrency, budget_usd=BUDGET_USD)

    def asks() -> int:
        ask(order.folder, teacher, settings)
        return count_rows(order.folder / "replies.parquet")

    return asks


if __name__ == "__main__":
    obey(prepare, f"stillroom {version('stillroom')}")
