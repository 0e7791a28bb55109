"""The families: each needs several steps, each has an answer that can be checked, none can be guessed."""

from __future__ import annotations

from stillroom.classroom.families import clock, legs, shop, sums
from stillroom.classroom.problem import Family

FAMILIES: dict[str, Family] = {family.name: family for family in (legs.FAMILY, sums.FAMILY, clock.FAMILY, shop.FAMILY)}
