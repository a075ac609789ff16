"""Datasets: uploading, creating from interactions, listing, deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, SelectionSetNode
from starlette.datastructures import UploadFile

from afterword.api.graphql.filters import filter_of, project_of, refuse_feedback_filter
from afterword.api.graphql.interactions import selected_ids
from afterword.api.graphql.request_context import RequestContext
from afterword.errors import Invalid, NotFound
from afterword.service.context import Context
from afterword.service.studies import dataset_sources, datasets
from afterword.types import Dataset, DatasetOfInteractions, DatasetOfUpload, Project, Sample
from afterword.types.queries import DatasetQuery, NewDatasetQuery

CHUNK_BYTES = 1 << 20
KINDS = {
    "prompt": "PROMPT",
    "completion": "PROMPT_COMPLETION",
    "feedback": "PROMPT_COMPLETION_FEEDBACK",
    "preference": "PREFERENCE",
}
"""The schema's names of the kinds of datasets. Clients from 0.14.0 on call the third PROMPT_COMPLETION_SCORE."""
NEW_MEMBERS = {"downloadUrl", "scoreCount"}


def _dataset_query(project: str | None, use_case: str | None, version: int | None = None) -> DatasetQuery:
    input_fields = {"project": project} if project else {"useCase": use_case} if use_case else {}
    return DatasetQuery(project=project_of(input_fields), version=version)


async def all_datasets(context: Context, project: str | None = None, use_case: str | None = None) -> list[Dataset]:
    """Return the datasets of a project."""
    return (await datasets.list_datasets(context, query=_dataset_query(project, use_case))).datasets


async def dataset(
    context: Context,
    id_or_key: str,
    project: str | None = None,
    use_case: str | None = None,
    version: int | None = None,
) -> Dataset | None:
    """Return a dataset; null if it does not exist."""
    try:
        return await datasets.get_dataset(context, id_or_key, query=_dataset_query(project, use_case, version))
    except NotFound as error:
        if error.code != "dataset_not_found":
            raise
        return None


async def upload_status(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Return the progress of a dataset. Datasets are created at once, so one that exists is done."""
    ready_dataset = await datasets.get_dataset(
        context, str(input["datasetId"]), query=DatasetQuery(project=project_of(input))
    )
    return _done_status(ready_dataset)


def _done_status(ready_dataset: Dataset) -> dict[str, Any]:
    parts = {"total_parts": 1, "processed_parts": 1}
    return {"dataset_id": ready_dataset.id, "status": "DONE", "progress": 1.0, "error": None, **parts}


async def create_dataset(context: Context, input: dict[str, Any], file: Any) -> Dataset:
    """Create a dataset from a file."""
    if not isinstance(file, UploadFile):
        raise Invalid(
            "file is not a file of a form.",
            code="invalid_upload",
            param="file",
            hint="Send it as the GraphQL multipart request specification has it.",
        )

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await file.read(CHUNK_BYTES):
            yield chunk

    query = NewDatasetQuery(project=project_of(input), key=input.get("key"), name=input["name"])
    return await datasets.create_dataset(context, query=query, chunks=chunks())


async def create_of_upload(context: Context, input: dict[str, Any]) -> dict[str, Any]:
    """Create a dataset from a file that was uploaded in parts."""
    body = DatasetOfUpload(
        session_id=input["uploadSessionId"], key=input.get("key"), name=input["name"], project=project_of(input)
    )
    return _done_status(await datasets.create_of_upload(context, body=body))


async def create_of_filters(context: Context, input: dict[str, Any]) -> Dataset:
    """Create a dataset from interactions."""
    for name in ("feedbackFilters", "scoreFilters"):
        refuse_feedback_filter(f"input.{name}", input.get(name))
    query = input["completionQuery"]
    selection_arguments: dict[str, Any] = {}
    if "fromFilters" in query:
        selection_arguments = {
            "filter": filter_of(query["fromFilters"]["filters"]),
            "exclude": list(map(str, query["fromFilters"]["exclude"])),
        }
    else:
        selection_arguments = {"completion_ids": list(map(str, await selected_ids(context, project_of(input), query)))}
    kinds = {word: kind for kind, word in KINDS.items()} | {"PROMPT_COMPLETION_SCORE": "feedback"}
    sample = input.get("sampleConfig", {"selectionType": "all"})
    body = {
        "kind": kinds[input["kind"]],
        "key": input.get("key"),
        "name": input["name"],
        "project": project_of(input),
        "metrics": input.get("metrics"),
        "sample": Sample(type=sample["selectionType"], size=sample.get("sampleSize")),
        **_rules(input),
        **selection_arguments,
    }
    try:
        # Converting checks the numbers, as it does for REST.
        checked_body = msgspec.convert(body, DatasetOfInteractions)
    except msgspec.ValidationError as error:
        raise Invalid(f"input: {error}", code="invalid_value", param="input") from None
    return await dataset_sources.create_of_interactions(context, body=checked_body)


def _rules(input: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the request that say which rows there are."""
    rules = {name: input[name] for name in ("include", "votes", "ties", "split", "duplicates") if name in input}
    if "derivePairs" in input:
        rules["derive_pairs"] = input["derivePairs"]
    if "seed" in input:
        # A seed has up to 53 bits, and GraphQL's Int has 32, so that it comes as a Float.
        rules["seed"] = int(input["seed"]) if float(input["seed"]).is_integer() else input["seed"]
    if "thresholds" in input:
        rules["thresholds"] = {
            threshold["metric"]: {"true_from": threshold["trueFrom"], "false_to": threshold["falseTo"]}
            for threshold in input["thresholds"]
        }
    return rules


async def delete_dataset(
    context: Context,
    id_or_key: str,
    project: str | None = None,
    use_case: str | None = None,
    version: int | None = None,
) -> bool:
    """Delete a dataset."""
    await datasets.delete_dataset(context, id_or_key, query=_dataset_query(project, use_case, version))
    return True


# ------------------------------------------------------------------------------------------------ members


def _kind(dataset: Dataset, info: GraphQLResolveInfo) -> str:
    """Return the client's name of the kind. The other members that it selects show which client it is."""
    word = KINDS[dataset.kind]
    return "PROMPT_COMPLETION_SCORE" if dataset.kind == "feedback" and _asks_for_new_members(info) else word


def _asks_for_new_members(info: GraphQLResolveInfo) -> bool:
    def within(selections: SelectionSetNode | None) -> bool:
        for node in selections.selections if selections else ():
            if isinstance(node, FragmentSpreadNode):
                if within(info.fragments[node.name.value].selection_set):
                    return True
            elif (isinstance(node, FieldNode) and node.name.value in NEW_MEMBERS) or within(
                getattr(node, "selection_set", None)
            ):
                return True
        return False

    return within(info.operation.selection_set)


def _metrics_usage(dataset: Dataset, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    request: RequestContext = info.context
    return [
        {
            "metric": metric,
            "feedback_count": usage.values,
            "score_count": usage.values,
            "comparison_count": usage.preferences,
        }
        for usage in dataset.metrics
        if (metric := request.find_metric(dataset.project, usage.metric)) is not None
    ]


def _dataset_project(dataset: Dataset, info: GraphQLResolveInfo) -> Project | None:
    return info.context.find_project(dataset.project)


QUERY = {
    "datasets": ("read", all_datasets),
    "dataset": ("read", dataset),
    "datasetUploadProcessingStatus": ("read", upload_status),
}

MUTATION = {
    "createDataset": ("edit", create_dataset),
    "createDatasetFromMultipartUpload": ("edit", create_of_upload),
    "createDatasetFromFilters": ("edit", create_of_filters),
    "deleteDataset": ("edit", delete_dataset),
}

MEMBERS: dict[str, dict[str, Any]] = {
    "Dataset": {
        "kind": _kind,
        "records": lambda dataset, info: dataset.lines,
        "metricsUsage": _metrics_usage,
        "source": lambda dataset, info: dataset.source.upper(),
        "status": lambda dataset, info: "READY",
        "deleted": lambda dataset, info: False,
        "project": _dataset_project,
        "useCase": _dataset_project,
    }
}
