"""Every document of the releases of adaptive-sdk: valid here as it is, or of what is not done here, which is said."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)


def documents(python: Path) -> Iterator[str]:
    """Yield the documents that are written in a release."""
    [place] = (python.parent.parent / "lib").glob("python3*/site-packages/adaptive_sdk/graphql_client")
    for name in ("client.py", "async_client.py"):
        for node in ast.walk(ast.parse((place / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "gql":
                [text] = node.args
                assert isinstance(text, ast.Constant)
                yield str(text.value)


def test_every_document_is_served_or_said_to_be_of_elsewhere(
    release: str, python_with: Callable[[str], Path], http: Any
):
    valid, elsewhere = 0, set()
    for document in set(documents(python_with(f"adaptive-sdk=={release}"))):
        answer = http.post("/api/graphql", json={"query": document}).json()
        error = answer.get("errors", [{"message": ""}])[0]
        if error.get("extensions", {}).get("code") == "not_served":
            elsewhere.add(error["message"].partition(" ")[0])
        else:
            # Without its variables a valid document is not executed.
            assert "of required type" in error["message"] or "data" in answer, f"{document}\n{error}"
            valid += 1
    assert valid >= 35
    assert {"computePools", "importHfModel"} <= elsewhere


def test_what_is_not_done_here_is_said_in_plain_words(seen: Any):
    said = [step for step in seen.steps if step.startswith("elsewhere ")]
    assert len(said) >= 4
    for step in said:
        # The client tells nothing of the answer to a download but its status.
        words = "404" if "artifacts" in step else "is not served: Afterword has no"
        assert words in seen.error(step)
