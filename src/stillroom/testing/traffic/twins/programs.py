"""Programs that call by themselves: nightly batches, an agent in a loop, a customer who tries each new model."""

from __future__ import annotations

import numpy as np

from stillroom.testing.traffic.accounts import AGAIN, NEW, PIECES, TEMPLATE
from stillroom.testing.traffic.calls import Draft, draw_calls
from stillroom.testing.traffic.twins.shaping import asking_only, customers, within_hours
from stillroom.testing.traffic.world import DAY_US, NEW_MODEL, World


def nightly_batch(generator: np.random.Generator, world: World) -> Draft:
    """Ten customers put thousands of their own texts through one template, in the same hours of every night."""
    accounts = customers(generator, world, "nightly_batch", 10, 3_000, 0.6)
    accounts.with_values(
        templates=1, later_turns=0.0, second_agent=-1, temperature=0.0, growth=0.0,
        template_share=generator.uniform(0.3, 0.8, len(accounts)),
        template_is_quoting=np.arange(len(accounts)) % 2 == 0,
    )  # fmt: skip
    draft = draw_calls(generator, world, asking_only(accounts, (TEMPLATE, 1.0)))
    within_hours(generator, draft, generator.uniform(19, 26, len(accounts)), 3)
    return draft


def agent_loop(generator: np.random.Generator, world: World) -> Draft:
    """Eight customers run agents: long conversations in bursts, with one system prompt, over their own documents."""
    accounts = customers(generator, world, "agent_loop", 8, 2_500, 0.6)
    accounts.with_values(
        later_turns=generator.uniform(0.9, 0.97, len(accounts)), asks_reasoning=0.8, templates=2,
        systems=accounts.systems[:, :1], second_agent=-1,
    )  # fmt: skip
    shares = (NEW, 0.55), (PIECES, 0.1), (TEMPLATE, 0.25), (AGAIN, 0.1)
    return draw_calls(generator, world, asking_only(accounts, *shares))


def new_model_customer(generator: np.random.Generator, world: World) -> Draft:
    """Eight customers move all of their work to a new model within hours of its launch."""
    accounts = customers(generator, world, "new_model_customer", 8, 800)
    accounts.moves_on = world.launch_day + generator.uniform(0.02, 0.25, len(accounts))
    draft = draw_calls(generator, world, accounts)
    moved = (draft.calls.at - world.start_at) / DAY_US >= accounts.moves_on[draft.calls.caller]
    draft.calls.model[moved] = NEW_MODEL
    return draft
