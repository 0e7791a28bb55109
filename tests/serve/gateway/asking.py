"""Request bodies for the model's server of these tests."""

from __future__ import annotations

import json
from typing import Any


def chat(plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": json.dumps(plan)}], **more}
