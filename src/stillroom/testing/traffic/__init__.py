"""Made traffic of a gateway, to test detectors on: customers, hard benign cases, and campaigns laid over them.

    traffic = benign(seed=1)
    spied_on = traffic.with_traffic(campaign(Campaign("plain", families=frozenset({"network", "payment"})), 1, traffic))
    spied_on.write(Path("calls"))  # as a gateway would have sealed it

It is made without knowledge of any detector. docs/testing.md says what is modelled and what is not.
"""

from stillroom.testing.traffic.benign import START_AT, benign
from stillroom.testing.traffic.campaign import Campaign, campaign
from stillroom.testing.traffic.keys import TRAFFIC_VERSION
from stillroom.testing.traffic.sources import BANKS, TRAFFIC_SECRET, bank_texts
from stillroom.testing.traffic.traffic import Traffic
from stillroom.testing.traffic.twins import TWINS

__all__ = [
    "BANKS", "START_AT", "TRAFFIC_SECRET", "TRAFFIC_VERSION", "TWINS", "Campaign", "Traffic", "bank_texts", "benign",
    "campaign",
]  # fmt: skip
