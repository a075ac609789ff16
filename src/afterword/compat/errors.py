"""Messages by which clients of adaptive-sdk recognize that something was not found.

They search the text of an error for `EntityNotFound:` and the noun after it. Over GraphQL they take the first noun they
know anywhere in the text, so the message must contain no other noun.
"""

from __future__ import annotations

# The oldest clients know projects as use cases, and look for that word.
_OLD_NOUNS = {"project": "project (use_case)"}
_NOUNS_KNOWN_BY_GRAPHQL = frozenset({"project", "metric", "model", "user", "integration"})


def not_found_message(noun: str, predicate: str) -> str:
    """Return the message for something that was not found, such as `EntityNotFound: metric 'CSAT' does not exist.`"""
    return f"{_entity(noun)} {predicate}"


def lone_not_found_message(noun: str) -> str | None:
    """Return the message for old GraphQL clients, with no noun but this one; None for a noun unknown to them."""
    return _entity(noun) if noun in _NOUNS_KNOWN_BY_GRAPHQL else None


def _entity(noun: str) -> str:
    return f"EntityNotFound: {_OLD_NOUNS.get(noun, noun)}"
