"""Customers who look like a campaign and are none. Each function makes the accounts of one kind, with their calls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.twins.evaluation import benchmark_runner, researcher_with_permit, tutoring
from stillroom.testing.traffic.twins.groups import labelling_firm, office, reseller, subsidiaries, template_application
from stillroom.testing.traffic.twins.programs import agent_loop, new_model_customer, nightly_batch
from stillroom.testing.traffic.world import World

TWINS: dict[str, Callable[[np.random.Generator, World], Draft]] = {
    function.__name__: function
    for function in (
        benchmark_runner, nightly_batch, agent_loop, tutoring, template_application, office, labelling_firm,
        researcher_with_permit, new_model_customer, reseller, subsidiaries,
    )
}  # fmt: skip
