"""Where the columns lie in sources whose form is known: LiteLLM's spend logs, and combined access logs.

LiteLLM's table is `LiteLLM_SpendLogs` of its schema.prisma; what its fields hold was read in its
proxy/spend_tracking/spend_tracking_utils.py (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.watch.importing.mapping import Columns, ImportMapping
from stillroom.watch.importing.record import Record

_AGENT_TAG = "User-Agent: "
_LITELLM = {
    "at": "startTime",
    "id": "request_id",
    "account": ["api_key", "metadata.user_api_key"],
    "key_id": ["api_key", "metadata.user_api_key"],
    # Only what LiteLLM knows from the key. `user` was the client's own word in its earlier versions; and the keys that
    # an administrator makes for everybody all belong to `default_user_id`.
    "organisation": {
        "from": [
            "organization_id",
            "metadata.user_api_key_org_id",
            "team_id",
            "metadata.user_api_key_team_id",
            "metadata.user_api_key_user_id",
        ],
        "unknown": ["default_user_id", "litellm-dashboard"],
    },
    "model": ["model_group", "model"],
    "route": {
        "from": "call_type",
        "values": {
            **dict.fromkeys(("completion", "acompletion"), "chat"),
            **dict.fromkeys(("text_completion", "atext_completion"), "completions"),
            **dict.fromkeys(("responses", "aresponses", "_aresponses_websocket"), "responses"),
            **dict.fromkeys(("embedding", "aembedding"), "embeddings"),
            "anthropic_messages": "messages",
        },
    },
    "status": {"from": ["status", "metadata.status"], "values": {"success": "ok", "failure": "failed"}},
    "http_status": "metadata.error_information.error_code",
    # A count of 0 is LiteLLM's default, also where nobody counted.
    "prompt_tokens": {"from": "prompt_tokens", "unknown": 0},
    "completion_tokens": {"from": "completion_tokens", "unknown": 0},
    "cached_tokens": {
        "from": [
            "metadata.usage_object.prompt_tokens_details.cached_tokens",
            "metadata.additional_usage_values.prompt_tokens_details.cached_tokens",
            "metadata.additional_usage_values.cache_read_input_tokens",
        ],
    },
    "reasoning_tokens": {
        "from": [
            "metadata.usage_object.completion_tokens_details.reasoning_tokens",
            "metadata.additional_usage_values.completion_tokens_details.reasoning_tokens",
        ],
        "unknown": 0,
    },
    "cost_usd": {"from": "spend", "unknown": 0},
    "latency": {"from": "endTime", "since": "startTime"},
    "agent": "user_agent",
    "address": ["requester_ip_address", "metadata.requester_ip_address"],
    "user": "end_user",
    "messages": "messages",
    "request": "proxy_server_request",
}
_COMBINED = {
    "at": {"from": "time", "format": "%d/%b/%Y:%H:%M:%S %z"},
    "account": "user",
    "address": "address",
    "agent": "agent",
    "route": "path",
    "http_status": "status",
}
_PRESETS: Mapping[str, Mapping[str, Any]] = {"litellm": _LITELLM, "combined": _COMBINED}
NO_CALLS = (
    "image",
    "moderation",
    "transcription",
    "speech",
    "rerank",
    "search",
    "batch",
    "file",
    "ocr",
    "mcp",
    "video",
)
"""What stands in LiteLLM's `call_type` where no language model was called."""


def with_preset(mapping: ImportMapping) -> Columns:
    """The columns of the source's form, of which those that the mapping names are as it says."""
    preset = Columns.model_validate(_PRESETS.get(mapping.format, {}))
    return preset.model_copy(update=dict(mapping.columns.given()))


def is_no_call(record: Record, mapping: ImportMapping) -> bool:
    """Whether it is, by the source's form, about something else than a call of a language model."""
    if mapping.format == "combined":
        return str(record.fields["method"]) != "POST"
    kind = record.fields.get("call_type") if mapping.format == "litellm" else None
    return isinstance(kind, str) and any(part in kind for part in NO_CALLS)


def with_agent(record: Record, mapping: ImportMapping) -> Record:
    """LiteLLM keeps what the client's program calls itself among the tags: the name, and the whole of it."""
    if mapping.format == "litellm" and "user_agent" not in record.fields:
        tags = record.fields.get("request_tags")
        tags = record.parsed("request_tags", tags) if isinstance(tags, str) else tags
        agents = (
            [tag for tag in tags if isinstance(tag, str) and tag.startswith(_AGENT_TAG)]
            if isinstance(tags, list)
            else []
        )
        agent = max(agents, key=len, default="").removeprefix(_AGENT_TAG)
        record.fields = {**record.fields, "user_agent": agent or record.get("metadata.user_agent")}
    return record
