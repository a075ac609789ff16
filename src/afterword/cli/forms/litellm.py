"""Calls as LiteLLM's generic logger writes them: logged as the server's own route for them does, with the same ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from afterword.call_forms.limits import fit_to_limits
from afterword.call_forms.litellm import LITELLM_MEMBERS, interactions_of_litellm
from afterword.cli.import_labels import DEFAULTS
from afterword.json_text import LineError
from afterword.types import LiteLLMCall


def is_call_of_litellm(line: Mapping[str, Any]) -> bool:
    """Tell whether this is LiteLLM's standard logging payload. Members that are null may be missing."""
    return line.keys() >= LITELLM_MEMBERS


def interactions_of_call(
    line: Mapping[str, Any], *, project: str, model: str | None, labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the bodies of the interactions of a call. Its own model and labels win. Raises `LineError`."""
    try:
        call = msgspec.convert(line, LiteLLMCall)
    except msgspec.ValidationError as error:
        raise LineError(f"is no call of LiteLLM that can be read: {error}") from None
    interactions = interactions_of_litellm(call, project)
    if not interactions:
        raise LineError(f"is a call of LiteLLM's {call.call_type}, which has no completion")
    bodies: list[dict[str, Any]] = []
    for interaction in interactions:
        body = msgspec.structs.replace(
            interaction,
            model=interaction.model or model,
            labels={**labels, **(interaction.labels or {})} or None,
        )
        members = msgspec.to_builtins(fit_to_limits(body, DEFAULTS))
        bodies.append({name: value for name, value in members.items() if value is not None})
    return bodies
