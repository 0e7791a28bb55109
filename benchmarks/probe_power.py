"""The sealed-sibling test on students that were trained here: whom it finds, and whom it accuses.

    python -m benchmarks.probe_power --make FOLDER              # hours on one core; a run that was stopped goes on
    python -m benchmarks.probe_power --judge FOLDER [--students FOLDER ...] [--answers answers_t07] [--out FILE]
    python -m benchmarks.probe_power --students FOLDER --by-samples     # what more answers to a question are worth

`--make` teaches students of the classroom, guilty and innocent ones, and asks them. `--judge` reads what they said, as
far as they are made, and prints Markdown tables; `--students` names further folders, each with a student's folders in
it. What is judged are questions by seeds of 1000 and more; nothing of the test was chosen on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.probe_students.making import make
from benchmarks.probe_students.suspects import Suspect, read_suspect
from benchmarks.probe_students.tables import of_powers, of_samples, of_shares, of_sizes, of_suspects, of_teacher

from stillroom.store.files import read_object


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of questions")
    parser.add_argument("--judge", type=Path, metavar="FOLDER")
    parser.add_argument("--students", type=Path, nargs="+", default=[], metavar="FOLDER")
    parser.add_argument("--answers", default="answers_t07", help="the table of answers that is judged")
    parser.add_argument("--samples", type=int, help="judge by so many answers to each question; otherwise by all")
    parser.add_argument("--by-samples", action="store_true", help="only the power by the number of answers")
    parser.add_argument("--out", type=Path, help="a file for the tables, besides the standard output")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make, scale=arguments.scale)
    if arguments.judge or arguments.students:
        rooms = [arguments.judge / "students"] if arguments.judge else []
        rooms += arguments.students
        made = folders(rooms, arguments.answers)
        if not made:
            raise SystemExit(f"No student there has {arguments.answers}.parquet and facts.json: --make makes them.")
        if arguments.by_samples:
            told: Iterable[str] = of_samples(made, arguments.answers)
        else:
            suspects = read_suspects(rooms, arguments.answers, arguments.samples)
            told = report(suspects, arguments.answers, [arguments.judge, *arguments.students])
        parts = []
        for part in told:
            print(part, end="\n\n", flush=True)
            parts.append(part)
        if arguments.out:
            arguments.out.write_text("\n\n".join(parts) + "\n")


def folders(rooms: Iterable[Path], answers_table: str) -> list[Path]:
    """Of the students that are made and were asked."""
    made = sorted(facts.parent for room in rooms for facts in room.glob("*/facts.json"))
    return [folder for folder in made if (folder / f"{answers_table}.parquet").exists()]


def read_suspects(rooms: Iterable[Path], answers_table: str, samples: int | None = None) -> list[Suspect]:
    return [read_suspect(folder, answers_table, samples) for folder in folders(rooms, answers_table)]


def report(suspects: Sequence[Suspect], answers_table: str, rooms: Sequence[Path | None]) -> Iterable[str]:
    for room in rooms:
        if room and (room / "teacher.json").exists():
            yield of_teacher(read_object(room / "teacher.json"))
    yield f"Table of answers that text is judged by: `{answers_table}`."
    yield of_suspects(suspects)
    yield of_sizes(suspects)
    yield from of_powers(suspects)
    yield of_shares(suspects)


if __name__ == "__main__":
    main()
