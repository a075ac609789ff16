"""GraphQL documents that do not fit the schema: an old form of one field, and features that Afterword lacks.

adaptive-sdk up to 0.1.12 selects no members of `deployModel`; today its result is an object. One field cannot have both
types, so the old form is renamed before the document is validated. It keeps its key in the answer.
"""

from __future__ import annotations

from typing import Any

LEGACY_FIELDS = {"deployModel": "deployModelLegacy"}

UNSERVED_FIELDS_BY_AREA = {
    "training": "trainingJob trainingJobs createTrainingJob cancelTrainingJob createCustomRecipeTrainingJob",
    "evaluation": "evaluationJob evaluationJobs createEvaluationJob cancelEvaluationJob",
    "jobs": "job jobs createJob cancelJob updateJob deleteJob",
    "recipes": "customRecipe customRecipes createCustomRecipe updateCustomRecipe deleteCustomRecipe customScripts "
    "createCustomScript",
    "graders": "grader graders createGrader updateGrader deleteGrader lockGrader validateFunctionGrader",
    "judges": "judge judges judgeVersions createJudge createPrebuiltJudge updateJudge deleteJudge",
    "reward servers": "remoteEnvs addRemoteEnv removeRemoteEnv testRemoteEnv",
    "compute pools": "computePools partitions resizeInferencePartition harmonyGroups",
    "integrations": "integration integrations provider providers createIntegration updateIntegration deleteIntegration "
    "testNotification",
    "models that run here": "addModel importHfModel",
    "datasets that a model generates": "generateDataset",
}
"""Features that Afterword lacks but the servers of these clients have, with the root fields of each."""
_AREAS = {field: area for area, fields in UNSERVED_FIELDS_BY_AREA.items() for field in fields.split()}


def unserved(document: Any) -> str | None:
    """Return a message if a document asks for a feature that Afterword lacks; None for any other document."""
    for field in _root_fields(document):
        area = _AREAS.get(field.name.value) if field.kind == "field" else None
        if area is not None:
            return (
                f"{field.name.value} is not served: Afterword has no {area}. It stores interactions and feedback, and "
                "calls models that run elsewhere; what it does of this API is told in its guide Coming from Adaptive."
            )
    return None


def document(document: Any) -> Any:
    """Return a parsed document with its root fields of the old form renamed."""
    if not any(_is_old(field) for field in _root_fields(document)):
        return document
    from graphql import DocumentNode, FieldNode, NameNode, OperationDefinitionNode, SelectionSetNode

    def lifted_field(field: Any) -> Any:
        if not _is_old(field):
            return field
        name = field.name.value
        return FieldNode(
            name=NameNode(value=LEGACY_FIELDS[name]),
            alias=field.alias or NameNode(value=name),
            arguments=field.arguments,
            directives=field.directives,
        )

    def rewritten_definition(definition: Any) -> Any:
        if not isinstance(definition, OperationDefinitionNode):
            return definition
        selections = tuple(lifted_field(field) for field in definition.selection_set.selections)
        members = {name: getattr(definition, name) for name in definition.keys}
        return OperationDefinitionNode(**{**members, "selection_set": SelectionSetNode(selections=selections)})

    return DocumentNode(definitions=tuple(rewritten_definition(definition) for definition in document.definitions))


def _root_fields(document: Any) -> list[Any]:
    operations = (definition for definition in document.definitions if definition.kind == "operation_definition")
    return [field for operation in operations for field in operation.selection_set.selections]


def _is_old(field: Any) -> bool:
    return field.kind == "field" and field.name.value in LEGACY_FIELDS and field.selection_set is None
