"""What the APIs of OpenAI, Anthropic and Google have and Afterword does not serve: it answers that it does not."""

from __future__ import annotations

import re

from afterword.errors import NotFound

_FILES = "files: nothing is kept at a provider"
_BATCHES = "batches of calls: only calls that are answered at once are logged"
_ASSISTANTS = "assistants and threads"
UNSERVED: dict[str, str] = {
    "assistants": _ASSISTANTS,
    "batches": _BATCHES,
    "cachedContents": "caches of contents",
    "chatkit": "ChatKit",
    "complete": "Anthropic's older completions",
    "containers": "containers for code",
    "conversations": "conversations kept at a provider; sessions of interactions are at /api/v1/sessions",
    "corpora": "corpora of documents",
    "evals": "evals kept at a provider",
    "files": _FILES,
    "fine_tuning": "fine-tuning; training sets are made at /api/v1/datasets",
    "messages/batches": _BATCHES,
    "operations": "operations kept at a provider",
    "organization": "the administration of a provider's account",
    "realtime": "realtime sessions",
    "skills": "skills kept at a provider",
    "threads": _ASSISTANTS,
    "tunedModels": "tuned models",
    "uploads": _FILES,
    "vector_stores": "vector stores",
    "videos": "the generation of videos",
}
"""What each path below a base address stands for, in words."""

# Also below base addresses that lack their version.
_BASE = "/api/v1|/openai/v1|/v1|/v1beta|/api|/openai|/openai/deployments/.+?"
# The longest first: messages/batches, not messages.
_NAMES = "|".join(sorted(map(re.escape, UNSERVED), key=len, reverse=True))
_UNSERVED_PATH = re.compile(rf"(?:{_BASE})/({_NAMES})(?:[/:].*)?")


def find_unserved_error(path: str) -> NotFound | None:
    """Return the error for a path of another API that Afterword does not serve; None for any other path."""
    match = _UNSERVED_PATH.fullmatch(path)
    if match is None:
        return None
    return NotFound(
        f"Afterword does not serve {UNSERVED[match[1]]} ({path[:200]}).",
        code="not_served",
        hint="Call the provider itself for this. What Afterword serves is listed at /docs.",
    )
