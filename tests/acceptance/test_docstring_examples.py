"""The examples in the client's docstrings run, against a real server, in the order in which they stand."""

from __future__ import annotations

import doctest
import inspect
from typing import Any

import pytest

from afterword import Afterword
from afterword.client.sync.ab_tests import ABTests
from afterword.client.sync.administration import Keys, Labels, Projects
from afterword.client.sync.chat import Chat, Embeddings
from afterword.client.sync.datasets import Datasets
from afterword.client.sync.feedback import Feedback
from afterword.client.sync.interactions import Interactions
from afterword.client.sync.models import Models
from afterword.client.sync.sessions import Sessions

RESOURCES = (
    Afterword,
    Projects,
    Feedback,
    Interactions,
    Sessions,
    Labels,
    Keys,
    Chat,
    Embeddings,
    Models,
    ABTests,
    Datasets,
)
MESSAGES = [{"role": "user", "content": "Hello!"}]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.__name__)
def test_examples_run(resource: type, new_server: Any, tmp_path: Any) -> None:
    running = new_server()
    client = Afterword(running.url, running.api_key)
    client.feedback.register_key("CSAT")
    first, second = (client.interactions.create(MESSAGES, text) for text in ("Hi!", "Go away."))
    file = tmp_path / "lines.jsonl"
    file.write_text('{"prompt": "Hello!", "completion": "Hi!"}\n')
    names = {
        "file_path": file,
        "dataset": client.datasets.upload(file, "to-delete").key,
        "client": client,
        "completion_id": first.completion_id,
        "other_completion_id": second.completion_id,
        "session_id": first.session_id,
        "feedback_id": client.feedback.log_metric(5, first.completion_id, "CSAT").feedback_id,
        "model": client.models.register("to-delete", "echo").key,
        "key_id": client.keys.create("old").id,
        "project": client.projects.create("to-archive").key,
    }
    for name, member in vars(resource).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            for example in doctest.DocTestParser().get_examples(member.__doc__ or ""):
                exec(compile(example.source, f"{resource.__name__}.{name}", "exec"), names)


def test_every_call_has_an_example() -> None:
    without = [
        f"{resource.__name__}.{name}"
        for resource in RESOURCES[1:]
        for name, member in vars(resource).items()
        if inspect.isfunction(member) and not name.startswith("_") and ">>>" not in (member.__doc__ or "")
    ]
    assert without == []
