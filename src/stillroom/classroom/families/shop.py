"""Word problems: somebody has some things, buys, finds and gives away more. How many are left?"""

from __future__ import annotations

from random import Random
from typing import Any

from stillroom.classroom.families.words import NAMES, THINGS
from stillroom.classroom.problem import Family, Problem

NAME = "shop"
PACKS = ("bags", "boxes", "packs")


def draw(random: Random) -> Problem:
    while True:
        start = random.randint(5, 60)
        events = [_event(random) for _ in range(3)]
        if sum(event["times"] > 1 for event in events) and all(0 <= total < 100 for total in _totals(start, events)):
            break
    name, friend = random.sample(NAMES, 2)
    things = random.choice(THINGS)
    return Problem(
        family=NAME,
        parameters={"start": start, "changes": [_change(event) for event in events]},
        text=" ".join(
            [
                f"{name} has {start} {things}.",
                *(_sentence(event, name, friend, things) for event in events),
                f"How many {things} does {name} have now?",
            ]
        ),
        answer=str(_totals(start, events)[-1]),
        kind="number",
        meta={"events": events},
    )


def _event(random: Random) -> dict[str, Any]:
    verb = random.choice(["buys", "finds", "gives", "loses", "buys packs", "gives packs"])
    if verb.endswith("packs"):
        pack = random.choice(PACKS)
        return {"verb": verb[:-6], "times": random.randint(2, 6), "each": random.randint(2, 9), "pack": pack}
    return {"verb": verb, "times": 1, "each": random.randint(2, 40), "pack": ""}


def _change(event: dict[str, Any]) -> int:
    sign = 1 if event["verb"] in ("buys", "finds") else -1
    return int(sign * event["times"] * event["each"])


def _totals(start: int, events: list[dict[str, Any]]) -> list[int]:
    totals = [start]
    for event in events:
        totals.append(totals[-1] + _change(event))
    return totals


def _sentence(event: dict[str, Any], name: str, friend: str, things: str) -> str:
    amount = f"{event['times']} {event['pack']} of {event['each']}" if event["pack"] else f"{event['each']}"
    to = f" to {friend}" if event["verb"] == "gives" else ""
    return f"{name} {event['verb']} {amount} {things}{to}."


def solve(problem: Problem, random: Random) -> str:
    start, events = problem.parameters["start"], problem.meta["events"]
    totals = _totals(start, events)
    named = random.random() < 0.5
    lines = [restate(problem)]
    for event, before, after in zip(events, totals[:-1], totals[1:], strict=True):
        if event["pack"]:
            lines.append(f"{event['times']}*{event['each']}={event['times'] * event['each']}")
        change = f"{before}{_change(event):+d}={after}"
        lines.append(f"{event['verb']}: {change}" if named else change)
    return "\n".join(lines)


def restate(problem: Problem) -> str:
    told = [
        f"{event['verb']} {event['times']}*{event['each']}" if event["pack"] else f"{event['verb']} {event['each']}"
        for event in problem.meta["events"]
    ]
    return ", ".join([str(problem.parameters["start"]), *told])


FAMILY = Family(NAME, draw, solve, restate)
