"""From an agent's calls to a training set: logged by the openai client, found, read as one session, used by TRL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.thorough, pytest.mark.xdist_group("training")]

Run = Callable[..., Any]
AGENT = """
from openai import OpenAI

client = OpenAI()
messages = [{"role": "system", "content": "You plan travels."}, {"role": "user", "content": "Ten days in Norway?"}]
ids = []
for turn in range(10):
    call = {"model": given["model"], "messages": messages, "tools": given["tools"]}
    extra_body = {"session_id": given["session"]}
    if turn % 2:
        with client.chat.completions.stream(**call, extra_body=extra_body) as stream:
            events = [event for event in stream]
            choice = stream.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**call, extra_body=extra_body).choices[0]
    ids.append(choice.completion_id)
    calls = choice.message.tool_calls or []
    messages.append({"role": "assistant", "content": choice.message.content, **({"tool_calls": [
        {"id": call.id, "type": "function",
         "function": {"name": call.function.name, "arguments": call.function.arguments}} for call in calls
    ]} if calls else {})})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "result of " + call.id} for call in calls]
print(json.dumps({"ids": ids, "messages": messages}))
"""
CHECK = """
import tempfile
from datasets import load_dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from trl.data_utils import is_conversational, maybe_apply_chat_template

TEMPLATE = (
    "{% for tool in tools or [] %}[{{ tool.function.name }} {{ tool.function.parameters | tojson }}]{% endfor %}"
    "{% for message in messages %}<{{ message.role }}>{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments }}){% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"x": 0}, unk_token="x")))
tokenizer.chat_template = TEMPLATE
TRAINED = ("messages", "prompt", "completion", "chosen", "rejected", "label")

def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value

rows, texts = {}, {}
for name, (kind, path) in given["files"].items():
    with tempfile.TemporaryDirectory() as cache:
        loaded = load_dataset(kind, data_files=path, split="train", cache_dir=cache).to_list()
    rows[name] = [without_nulls(row) for row in loaded]
    if name.startswith("trl"):
        assert all(is_conversational(row) for row in loaded)
        texts[name] = [
            maybe_apply_chat_template(
                {key: row[key] for key in TRAINED if key in row}, tokenizer, tools=json.loads(row["tools"])
            )
            for row in loaded
        ]
print(json.dumps({"rows": rows, "texts": texts}))
"""


def tool(name: str, *parameters: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {parameter: {"type": "string"} for parameter in parameters}}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": schema}}


TOOLS = [tool("search", "query"), tool("weather", "city", "day"), tool("book", "hotel")]
KINDS = ("completion", "feedback", "preference")
FORMATS = ("trl", "openai", "sharegpt", "recipe")
LOADERS = {"jsonl": "json", "parquet": "parquet"}
CALLED = ["search", "weather", "book", "search", "weather", "book", "search", "weather", "book"]


@pytest.fixture
def agent(run_with: Run, gateway: Any) -> dict[str, Any]:
    """Ten turns of an agent: the ids of their completions, and the whole conversation."""
    model = gateway.model("agent")
    ran = run_with("openai", AGENT, model=model, tools=TOOLS, session="travel-1")
    gateway.wait_until_quiet()
    return ran


def test_an_agents_turns_are_found_read_as_one_session_and_trained_on(
    run_with: Run, gateway: Any, agent: dict[str, Any], tmp_path: Path
):
    http, where, ids = gateway.http, {"project": gateway.project}, agent["ids"]

    def found(**query: Any) -> list[str]:
        page = http.get("/api/v1/interactions", params={**where, "order": "created_at", "limit": 50, **query})
        rows = page.raise_for_status().json()["interactions"]
        assert all(row["prompt"].strip() and row["completion"].strip() for row in rows)
        return [row["completion_id"] for row in rows]

    assert found() == ids
    assert found(tool="weather") == [ids[1], ids[4], ids[7]]
    assert found(tool="book") == [ids[2], ids[4], ids[5], ids[8]]
    assert found(q="city7")[0] == ids[7]

    session = http.get("/api/v1/sessions/travel-1", params=where).raise_for_status().json()
    assert [turn["completion_id"] for turn in session["turns"]] == ids
    read = [message for turn in session["turns"] for message in turn["messages"]]
    answers = [turn["message"] or {"role": "assistant", "content": turn["completion"]} for turn in session["turns"]]
    sent = [message for message in agent["messages"] if message["role"] != "assistant"]
    assert [message for message in read if message["role"] != "assistant"] == sent
    called = [[call["function"]["name"] for call in answer.get("tool_calls") or []] for answer in answers]
    assert called == [*([name] for name in CALLED[:4]), ["weather", "book"], *([name] for name in CALLED[5:]), []]

    files = training_files(gateway, agent, tmp_path)
    loaded = run_with("training", CHECK, files=files)
    check_rows(loaded, agent, files)


def training_files(gateway: Any, agent: dict[str, Any], folder: Path) -> dict[str, tuple[str, str]]:
    """Rate the turns, and download what they become: the loader and the path of each file by its name."""
    http, project = gateway.http, gateway.project
    http.post("/api/v1/metrics", json={"key": "good", "kind": "bool", "project": project}).raise_for_status()
    for number, completion_id in enumerate(agent["ids"]):
        body = {"completion_id": completion_id, "metric": "good", "value": number != 3}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    worse = gateway.logged(agent["ids"][4])
    body = {
        "project": project,
        "messages": worse["messages"],
        "parameters": worse["parameters"],
        "completion": "I would not know.",
    }
    other = http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]
    pair = {"metric": "good", "preferred_completion": agent["ids"][4], "other_completion": other}
    http.post("/api/v1/preferences", json=pair).raise_for_status()
    files: dict[str, tuple[str, str]] = {}
    for kind in KINDS:
        body = {"project": project, "kind": kind, "key": kind, "completion_ids": agent["ids"]}
        made = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()
        for form in FORMATS:
            for file, loader in LOADERS.items():
                path = folder / f"{form}-{kind}.{file}"
                query = {"format": form, "provenance": False, "file": file}
                path.write_bytes(http.get(made["download_url"], params=query).raise_for_status().content)
                if file == "parquet" or form in ("trl", "openai"):
                    files[path.name] = (loader, str(path))
    return files


def check_rows(loaded: dict[str, Any], agent: dict[str, Any], files: dict[str, tuple[str, str]]) -> None:
    """Check that what `datasets` loads are the rows of the files, and that TRL makes texts of them with all calls."""
    for name, (_, path) in files.items():
        written = [json.loads(line) for line in Path(path).with_suffix(".jsonl").read_text().splitlines()]
        rows = [as_written(row) for row in loaded["rows"][name]]
        assert rows == [as_written(without_nulls(row)) for row in written], name
        assert rows, name
        for row in rows:
            tools = row["tools"] if "tools" in row else row["input"]["tools"]
            functions = [tool["function"] for tool in TOOLS]
            assert (json.loads(tools) if isinstance(tools, str) else tools) == (
                functions if name.startswith("sharegpt") else TOOLS
            ), name
    for suffix in LOADERS:
        check_texts({name: loaded["texts"][f"trl-{name}.{suffix}"] for name in KINDS}, agent)


def as_written(value: Any, name: str = "") -> Any:
    """Return a value of either file in one shape: schemas of tools as values, answers as lists of messages."""
    if name == "parameters" and isinstance(value, str):
        return json.loads(value)
    if name in ("completion", "preferred_completion", "other_completion") and not isinstance(value, list):
        value = [{"role": "assistant", "content": value} if isinstance(value, str) else value]
    if isinstance(value, dict):
        return {key: as_written(part, key) for key, part in value.items()}
    return [as_written(part) for part in value] if isinstance(value, list) else value


def check_texts(texts: dict[str, list[dict[str, Any]]], agent: dict[str, Any]) -> None:
    """Check that the texts that TRL made of each kind of dataset have all tools and calls."""
    whole = texts["completion"][0]["text"]
    assert all(json.dumps(tool["function"]["parameters"]) in whole for tool in TOOLS)
    for message in agent["messages"]:
        for call in message.get("tool_calls", ()):
            assert f"{call['function']['name']}({call['function']['arguments']})" in whole
    thumbs = texts["feedback"]
    assert sorted(row["label"] for row in thumbs) == [False] + [True] * 9
    assert "Pack a raincoat." in {row["completion"] for row in thumbs}
    [pair] = texts["preference"]
    assert "weather(" in pair["chosen"]
    assert "book(" in pair["chosen"]
    assert pair["rejected"].endswith("I would not know.")


def without_nulls(value: Any) -> Any:
    """Return a value without members that are null, which `datasets` fills in."""
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value
