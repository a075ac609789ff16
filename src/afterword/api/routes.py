"""The route tables: `ROUTES`, served by rest.py, and `MODEL_CALL_ROUTES`, served by calls.py.

openapi.py describes both; the docs and the tests read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from afterword import types as t
from afterword.gateway.call_format import CallFormat
from afterword.gateway.formats import FORMATS
from afterword.gateway.formats.generate_content import ContentTokenCountFormat
from afterword.gateway.formats.messages.messages_format import TokenCountFormat
from afterword.gateway.provider import Body, Operation
from afterword.service import access, projects, views
from afterword.service.cluster import status
from afterword.service.context import Context
from afterword.service.feedback import feedback, metrics, outcomes, pairs
from afterword.service.interactions import (
    batches,
    facets,
    images,
    litellm_calls,
    live,
    recorded_calls,
    recording,
    responses,
    search,
    sessions,
)
from afterword.service.models import models
from afterword.service.people import people, web_sessions
from afterword.service.studies import ab_tests, analytics, dataset_downloads, dataset_sources, datasets
from afterword.types import queries as q

JSON = "application/json"
FORM = "multipart/form-data"
BASES = ("/api/v1", "/v1", "/openai/v1", "/openai", "/api/v1/v1")
"""The base addresses under which models are called and listed: clients guess the others. Anthropic's add /v1 to any,
Azure's add /openai."""
DEPLOYMENT_BASE = "/openai/deployments/{model}"
"""Below it Azure's clients call a model in OpenAI's own forms."""
GOOGLES_BASES = ("/v1beta", "/v1", "/api/v1/v1beta", "/api/v1/v1")
"""The same for Google's clients, which add a version to what they are given."""

Permission = Literal[
    "open",
    "key",
    "read",
    "list_models",
    "call",
    "write",
    "amend",
    "judge",
    "edit",
    "share",
    "administer",
    "administer_server",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the REST API.

    `run` is called with the context, the path's parameters by name, and `query` and `body` if the route has them. Its
    docstring describes the route. `needs` is the permission that the key must have: `key` stands for any key; `open`
    routes need no key, and get the `AppState` instead of a context. `streams` routes take the body's chunks and yield
    chunks of NDJSON. `raw` routes get the body's `chunks` undecoded.
    """

    name: str
    """The route's stable name, such as `interactions.record`. It becomes OpenAPI's operationId."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    run: Callable[..., Any]
    tag: str
    needs: Permission = "read"
    query: type[msgspec.Struct] | None = None
    body: Any = None
    answer: Any = None
    status: int = 200
    streams: bool = False
    raw: bool = False
    changes_nothing: bool = False
    """Whether a call only shows what another call would make, although it needs the permission to make it."""
    is_openais: bool = False
    """Whether clients of OpenAI's API call it: they expect 400 for a wrong value, not 422."""
    line: Any = None
    events: Any = None
    """The type of the answer's server-sent events, if the answer is a stream of them."""
    errors: tuple[int, ...] = field(default=())

    @property
    def only_reads(self) -> bool:
        """Whether a call can be cancelled at any moment without leaving anything half done."""
        return self.method == "GET" or self.needs == "read" or self.changes_nothing


ROUTES: tuple[Route, ...] = (
    # ---------------------------------------------------------------- interactions
    Route(name="interactions.record", method="POST", path="/api/v1/interactions", run=recording.record,
          tag="interactions", needs="write", body=t.NewInteraction, answer=t.Recorded, status=201, errors=(404, 409)),
    Route(name="batches.record_interactions", method="POST", path="/api/v1/interactions/batch",
          run=batches.record_interactions, tag="interactions", needs="write", query=q.BatchQuery, streams=True,
          body=t.NewInteraction, line=t.LineResult),
    Route(name="recorded_calls.record_calls", method="POST", path="/api/v1/ingest/calls",
          run=recorded_calls.record_calls, tag="interactions", needs="write", query=q.BatchQuery, streams=True,
          body=t.RecordedCall, line=t.LineResult),
    Route(name="litellm_calls.record_litellm_calls", method="POST", path="/api/v1/ingest/litellm",
          run=litellm_calls.record_litellm_calls, tag="interactions", needs="write", query=q.BatchQuery, streams=True,
          body=t.LiteLLMCall, line=t.LineResult),
    Route(name="finding.list_interactions", method="GET", path="/api/v1/interactions", run=search.list_interactions,
          tag="interactions", query=q.ListQuery, answer=t.InteractionPage | t.GroupPage, errors=(404,)),
    Route(name="finding.search", method="POST", path="/api/v1/interactions/search", run=search.search,
          tag="interactions", query=q.ExplainQuery, body=t.Search, answer=t.InteractionPage | t.GroupPage,
          errors=(404,)),
    Route(name="facets.count_facets", method="POST", path="/api/v1/interactions/facets", run=facets.count_facets,
          tag="interactions", body=t.NewFacets, answer=t.Facets, errors=(404,)),
    Route(name="analytics.count_over_time", method="GET", path="/api/v1/interactions/timeseries",
          run=analytics.count_over_time, tag="interactions", query=q.CountTrendQuery, answer=t.Trend, errors=(404,)),
    Route(name="analytics.count_filtered_over_time", method="POST", path="/api/v1/interactions/timeseries",
          run=analytics.count_filtered_over_time, tag="interactions", body=t.NewCountTrend, answer=t.Trend,
          errors=(404,)),
    Route(name="live.watch", method="GET", path="/api/v1/interactions/live", run=live.watch, tag="interactions",
          query=q.LiveQuery, events=t.Interaction, errors=(404,)),
    Route(name="live.watch_many", method="POST", path="/api/v1/interactions/live", run=live.watch_many,
          tag="interactions", body=t.Watches, events=t.WatchedInteraction, errors=(404,)),
    Route(name="interactions.get", method="GET", path="/api/v1/interactions/{completion_id}",
          run=recording.get_interaction, tag="interactions", query=q.InteractionQuery, answer=t.Interaction,
          errors=(404,)),
    Route(name="interactions.change_labels", method="PATCH", path="/api/v1/interactions/{completion_id}/labels",
          run=recording.update_labels, tag="interactions", needs="write", body=t.LabelChange, answer=t.Labels,
          errors=(404,)),
    Route(name="interactions.delete", method="DELETE", path="/api/v1/interactions/{completion_id}",
          run=recording.delete_interaction, tag="interactions", needs="edit", answer=t.Deleted, errors=(404,)),
    Route(name="finding.list_labels", method="GET", path="/api/v1/labels", run=search.list_labels,
          tag="interactions", query=q.ProjectQuery, answer=t.LabelList, errors=(404,)),
    # ---------------------------------------------------------------- responses of OpenAI's Responses API
    Route(name="responses.get", method="GET", path="/api/v1/responses/{response_id}", run=responses.get_response,
          tag="calls", query=q.ResponseQuery, answer=t.ResponseObject, errors=(404,), is_openais=True),
    Route(name="responses.delete", method="DELETE", path="/api/v1/responses/{response_id}",
          run=responses.delete_response, tag="calls", needs="edit", answer=t.DeletedResponse, errors=(404,),
          is_openais=True),
    Route(name="responses.list_input_items", method="GET", path="/api/v1/responses/{response_id}/input_items",
          run=responses.list_input_items, tag="calls", query=q.InputItemsQuery, answer=t.InputItems, errors=(404,),
          is_openais=True),
    Route(name="responses.cancel", method="POST", path="/api/v1/responses/{response_id}/cancel",
          run=responses.cancel_response, tag="calls", needs="call", answer=t.ResponseObject, is_openais=True),
    # ---------------------------------------------------------------- sessions of interactions
    Route(name="sessions.list_sessions", method="GET", path="/api/v1/sessions", run=sessions.list_sessions,
          tag="sessions", query=q.SessionsQuery, answer=t.SessionPage, errors=(404,)),
    Route(name="sessions.search", method="POST", path="/api/v1/sessions/search", run=sessions.search_sessions,
          tag="sessions", body=t.SessionSearch, answer=t.SessionPage, errors=(404,)),
    Route(name="sessions.get", method="GET", path="/api/v1/sessions/{session_id}", run=sessions.get_session,
          tag="sessions", query=q.TranscriptQuery, answer=t.SessionTranscript, errors=(404,)),
    Route(name="sessions.delete", method="DELETE", path="/api/v1/sessions/{session_id}", run=sessions.delete_session,
          tag="sessions", needs="edit", query=q.ProjectQuery, answer=t.Deleted, errors=(404,)),
    # ---------------------------------------------------------------- feedback
    Route(name="feedback.record", method="POST", path="/api/v1/feedback", run=feedback.record, tag="feedback",
          needs="write", body=t.NewFeedback, answer=t.FeedbackRecorded, status=201, errors=(404, 409)),
    Route(name="batches.record_feedback", method="POST", path="/api/v1/feedback/batch", run=batches.record_feedback,
          tag="feedback", needs="write", query=q.BatchQuery, streams=True, body=t.NewFeedback, line=t.LineResult),
    Route(name="feedback.get", method="GET", path="/api/v1/feedback/{feedback_id}", run=feedback.get_feedback,
          tag="feedback", answer=t.Feedback, errors=(404,)),
    Route(name="feedback.change", method="PATCH", path="/api/v1/feedback/{feedback_id}",
          run=feedback.update_feedback, tag="feedback", needs="amend", body=t.FeedbackChange, answer=t.Feedback,
          errors=(404,)),
    Route(name="feedback.delete", method="DELETE", path="/api/v1/feedback/{feedback_id}",
          run=feedback.delete_feedback, tag="feedback", needs="amend", answer=t.Deleted, errors=(404,)),
    Route(name="feedback.prefer", method="POST", path="/api/v1/comparison", run=feedback.prefer, tag="feedback",
          needs="write", body=t.NewPreference, answer=t.PreferenceRecorded, status=201, errors=(404, 409)),
    Route(name="feedback.prefer", method="POST", path="/api/v1/preferences", run=feedback.prefer, tag="feedback",
          needs="write", body=t.NewPreference, answer=t.PreferenceRecorded, status=201, errors=(404, 409)),
    Route(name="feedback.get_preference", method="GET", path="/api/v1/preferences/{comparison_id}",
          run=feedback.get_preference, tag="feedback", answer=t.Preference, errors=(404,)),
    Route(name="feedback.change_preference", method="PATCH", path="/api/v1/preferences/{comparison_id}",
          run=feedback.update_preference, tag="feedback", needs="amend", body=t.PreferenceChange,
          answer=t.Preference, errors=(404,)),
    Route(name="feedback.withdraw", method="DELETE", path="/api/v1/preferences/{comparison_id}",
          run=feedback.delete_preference, tag="feedback", needs="amend", answer=t.Deleted, errors=(404,)),
    Route(name="pairs.take", method="POST", path="/api/v1/preferences/next", run=pairs.take, tag="feedback",
          needs="judge", body=t.NextPairs, answer=t.PairPage, errors=(404,)),
    Route(name="batches.record_preferences", method="POST", path="/api/v1/preferences/batch",
          run=batches.record_preferences, tag="feedback", needs="write", query=q.BatchQuery, streams=True,
          body=t.NewPreference, line=t.LineResult),
    Route(name="outcomes.record", method="POST", path="/api/v1/outcome", run=outcomes.record, tag="feedback",
          needs="write", body=t.NewOutcome, answer=t.OutcomeRecorded, status=201, errors=(404, 409)),
    Route(name="outcomes.record", method="POST", path="/api/v1/outcomes", run=outcomes.record, tag="feedback",
          needs="write", body=t.NewOutcome, answer=t.OutcomeRecorded, status=201, errors=(404, 409)),
    Route(name="batches.record_outcomes", method="POST", path="/api/v1/outcomes/batch", run=batches.record_outcomes,
          tag="feedback", needs="write", query=q.BatchQuery, streams=True, body=t.NewOutcome, line=t.LineResult),
    Route(name="outcomes.list_outcomes", method="GET", path="/api/v1/outcomes", run=outcomes.list_outcomes,
          tag="feedback", query=q.OutcomesQuery, answer=t.OutcomePage, errors=(404,)),
    Route(name="outcomes.get", method="GET", path="/api/v1/outcomes/{outcome_id}", run=outcomes.get_outcome,
          tag="feedback", answer=t.Outcome, errors=(404,)),
    Route(name="outcomes.change", method="PATCH", path="/api/v1/outcomes/{outcome_id}", run=outcomes.update_outcome,
          tag="feedback", needs="amend", body=t.OutcomeChange, answer=t.Outcome, errors=(404,)),
    Route(name="outcomes.delete", method="DELETE", path="/api/v1/outcomes/{outcome_id}", run=outcomes.delete_outcome,
          tag="feedback", needs="amend", answer=t.Deleted, errors=(404,)),
    # ---------------------------------------------------------------- metrics
    Route(name="metrics.register", method="POST", path="/api/v1/metrics", run=metrics.register, tag="metrics",
          needs="edit", body=t.NewMetric, answer=t.Metric, status=201, errors=(404, 409)),
    Route(name="metrics.list_metrics", method="GET", path="/api/v1/metrics", run=metrics.list_metrics, tag="metrics",
          query=q.MetricsQuery, answer=t.MetricList, errors=(404,)),
    Route(name="metrics.get", method="GET", path="/api/v1/metrics/{metric}", run=metrics.get_metric, tag="metrics",
          query=q.ProjectQuery, answer=t.Metric, errors=(404,)),
    Route(name="metrics.change", method="PATCH", path="/api/v1/metrics/{metric}", run=metrics.update_metric,
          tag="metrics", needs="edit", query=q.ProjectQuery, body=t.MetricChange, answer=t.Metric, errors=(404, 409)),
    Route(name="metrics.delete", method="DELETE", path="/api/v1/metrics/{metric}", run=metrics.delete_metric,
          tag="metrics", needs="edit", query=q.ProjectQuery, answer=t.Deleted, errors=(404, 409)),
    Route(name="analytics.summarise", method="GET", path="/api/v1/metrics/{metric}/statistics",
          run=analytics.summarise, tag="metrics", query=q.SummaryQuery, answer=t.MetricSummary, errors=(404,)),
    Route(name="analytics.summarise_filtered", method="POST", path="/api/v1/metrics/{metric}/statistics",
          run=analytics.summarise_filtered, tag="metrics", body=t.NewSummary, answer=t.MetricSummary, errors=(404,)),
    Route(name="analytics.trend", method="GET", path="/api/v1/metrics/{metric}/timeseries", run=analytics.trend,
          tag="metrics", query=q.TrendQuery, answer=t.Trend, errors=(404,)),
    Route(name="analytics.trend_filtered", method="POST", path="/api/v1/metrics/{metric}/timeseries",
          run=analytics.trend_filtered, tag="metrics", body=t.NewTrend, answer=t.Trend, errors=(404,)),
    Route(name="analytics.rank", method="GET", path="/api/v1/preferences/ranking", run=analytics.rank, tag="metrics",
          query=q.RankingQuery, answer=t.Ranking, errors=(404,)),
    Route(name="analytics.rank_filtered", method="POST", path="/api/v1/preferences/ranking",
          run=analytics.rank_filtered, tag="metrics", body=t.NewRanking, answer=t.Ranking, errors=(404,)),
    Route(name="metrics.link", method="POST", path="/api/v1/projects/{project}/metrics", run=metrics.link,
          tag="metrics", needs="edit", body=t.LinkedMetric, answer=t.Metric, status=201, errors=(404, 409)),
    Route(name="metrics.unlink", method="DELETE", path="/api/v1/projects/{project}/metrics/{metric}",
          run=metrics.unlink, tag="metrics", needs="edit", answer=t.Deleted, errors=(404, 409)),
    # ---------------------------------------------------------------- projects
    Route(name="projects.create", method="POST", path="/api/v1/projects", run=projects.create_project,
          tag="projects", needs="administer_server", body=t.NewProject, answer=t.Project, status=201,
          errors=(404, 409)),
    Route(name="projects.list_projects", method="GET", path="/api/v1/projects", run=projects.list_projects,
          tag="projects", query=q.ProjectsQuery, answer=t.ProjectList),
    Route(name="projects.get", method="GET", path="/api/v1/projects/{project}", run=projects.get_project,
          tag="projects", answer=t.Project, errors=(404,)),
    Route(name="projects.change", method="PATCH", path="/api/v1/projects/{project}", run=projects.update_project,
          tag="projects", needs="administer", body=t.ProjectChange, answer=t.Project, errors=(404,)),
    Route(name="views.list_views", method="GET", path="/api/v1/projects/{project}/views", run=views.list_views,
          tag="projects", answer=t.SavedViewList, errors=(404,)),
    Route(name="views.create", method="POST", path="/api/v1/projects/{project}/views", run=views.create_view,
          tag="projects", needs="write", body=t.NewSavedView, answer=t.SavedView, status=201, errors=(404, 409)),
    Route(name="views.change", method="PATCH", path="/api/v1/projects/{project}/views/{view_id}",
          run=views.update_view, tag="projects", needs="write", body=t.SavedViewChange, answer=t.SavedView,
          errors=(404, 409)),
    Route(name="views.delete", method="DELETE", path="/api/v1/projects/{project}/views/{view_id}",
          run=views.delete_view, tag="projects", needs="write", answer=t.Deleted, errors=(404, 409)),
    # ---------------------------------------------------------------- models
    Route(name="models.register", method="POST", path="/api/v1/models", run=models.register, tag="models",
          needs="administer_server", body=t.NewModel, answer=t.Model, status=201, errors=(404, 409)),
    Route(name="models.list_models", method="GET", path="/api/v1/models", run=models.list_models, tag="models",
          needs="list_models", query=q.ModelsQuery, answer=t.ModelList, errors=(404,), is_openais=True),
    Route(name="models.status", method="GET", path="/api/v1/models/{model}/status", run=models.status, tag="models",
          answer=t.ModelStatus, errors=(404,)),
    Route(name="models.get", method="GET", path="/api/v1/models/{model}", run=models.get_model, tag="models",
          needs="list_models", answer=t.Model, errors=(404,), is_openais=True),
    Route(name="models.change", method="PATCH", path="/api/v1/models/{model}", run=models.update_model, tag="models",
          needs="administer_server", body=t.ModelChange, answer=t.Model, errors=(404,)),
    Route(name="models.delete", method="DELETE", path="/api/v1/models/{model}", run=models.delete_model,
          tag="models", needs="administer_server", answer=t.Deleted, errors=(404,)),
    Route(name="models.attach", method="POST", path="/api/v1/projects/{project}/models", run=models.attach,
          tag="models", needs="administer", body=t.NewProjectModel, answer=t.ProjectModel, status=201,
          errors=(404, 409)),
    Route(name="models.list_of_project", method="GET", path="/api/v1/projects/{project}/models",
          run=models.list_project_models, tag="models", query=q.ProjectModelsQuery, answer=t.ProjectModelList,
          errors=(404,)),
    Route(name="models.change_in_project", method="PATCH", path="/api/v1/projects/{project}/models/{model}",
          run=models.update_project_model, tag="models", needs="administer", body=t.ProjectModelChange,
          answer=t.ProjectModel, errors=(404, 409)),
    Route(name="models.detach", method="DELETE", path="/api/v1/projects/{project}/models/{model}", run=models.detach,
          tag="models", needs="administer", answer=t.Deleted, errors=(404, 409)),
    # ---------------------------------------------------------------- A/B tests
    Route(name="abtests.create", method="POST", path="/api/v1/ab-tests", run=ab_tests.create_test, tag="ab-tests",
          needs="edit", body=t.NewABTest, answer=t.ABTest, status=201, errors=(404, 409)),
    Route(name="abtests.list_tests", method="GET", path="/api/v1/ab-tests", run=ab_tests.list_tests, tag="ab-tests",
          query=q.ABTestsQuery, answer=t.ABTestList, errors=(404,)),
    Route(name="abtests.get", method="GET", path="/api/v1/ab-tests/{test}", run=ab_tests.get_test, tag="ab-tests",
          answer=t.ABTest, errors=(404,)),
    Route(name="abtests.cancel", method="POST", path="/api/v1/ab-tests/{test}/cancel", run=ab_tests.cancel,
          tag="ab-tests", needs="edit", answer=t.ABTest, errors=(404, 409)),
    # ---------------------------------------------------------------- keys
    Route(name="access.create_key", method="POST", path="/api/v1/keys", run=access.create_key, tag="keys",
          needs="administer", body=t.NewApiKey, answer=t.CreatedApiKey, status=201, errors=(404,)),
    Route(name="access.list_keys", method="GET", path="/api/v1/keys", run=access.list_keys, tag="keys",
          needs="administer", answer=t.ApiKeyList),
    Route(name="access.revoke_key", method="DELETE", path="/api/v1/keys/{key_id}", run=access.revoke_key, tag="keys",
          needs="administer", answer=t.ApiKey, errors=(404,)),
    # ---------------------------------------------------------------- sign-ins
    Route(name="sessions.sign_in", method="POST", path="/api/v1/session", run=web_sessions.sign_in, tag="keys",
          needs="open", body=t.NewSession, answer=t.Session, status=201, errors=(400, 401, 422)),
    Route(name="sessions.show", method="GET", path="/api/v1/session", run=web_sessions.show, tag="keys", needs="key",
          answer=t.Session),
    Route(name="sessions.sign_out", method="DELETE", path="/api/v1/session", run=web_sessions.sign_out, tag="keys",
          needs="open", answer=t.Deleted, errors=(400, 422)),
    # ---------------------------------------------------------------- datasets
    Route(name="datasets.create", method="POST", path="/api/v1/datasets", run=datasets.create_dataset,
          tag="datasets", needs="edit", query=q.NewDatasetQuery, raw=True, answer=t.Dataset, status=201,
          errors=(404, 409)),
    Route(name="dataset_sources.create_of_interactions", method="POST", path="/api/v1/datasets/from-interactions",
          run=dataset_sources.create_of_interactions, tag="datasets", needs="edit", body=t.DatasetOfInteractions,
          answer=t.Dataset, status=201, errors=(404, 409)),
    Route(name="dataset_sources.preview_of_interactions", method="POST", path="/api/v1/datasets/preview",
          run=dataset_sources.preview_of_interactions, tag="datasets", needs="edit", changes_nothing=True,
          query=q.DatasetPreviewQuery, body=t.DatasetOfInteractions, answer=t.DatasetPreview, errors=(404,)),
    Route(name="datasets.create_of_upload", method="POST", path="/api/v1/datasets/from-upload",
          run=datasets.create_of_upload, tag="datasets", needs="edit", body=t.DatasetOfUpload, answer=t.Dataset,
          status=201, errors=(404, 409)),
    Route(name="datasets.list_datasets", method="GET", path="/api/v1/datasets", run=datasets.list_datasets,
          tag="datasets", query=q.ProjectQuery, answer=t.DatasetList, errors=(404,)),
    Route(name="datasets.download", method="GET", path="/api/v1/datasets/{dataset}/download",
          run=dataset_downloads.download, tag="datasets", query=q.DownloadQuery, errors=(404,)),
    Route(name="datasets.get", method="GET", path="/api/v1/datasets/{dataset}", run=datasets.get_dataset,
          tag="datasets", query=q.DatasetQuery, answer=t.Dataset, errors=(404,)),
    Route(name="datasets.delete", method="DELETE", path="/api/v1/datasets/{dataset}", run=datasets.delete_dataset,
          tag="datasets", needs="edit", query=q.DatasetQuery, answer=t.Deleted, errors=(404,)),
    Route(name="datasets.begin_upload", method="POST", path="/api/v1/upload/init", run=datasets.begin_upload,
          tag="datasets", needs="edit", body=t.NewUpload, answer=t.UploadBegun),
    Route(name="datasets.put_part", method="POST", path="/api/v1/upload/part", run=datasets.put_part, tag="datasets",
          needs="edit", query=q.PartQuery, raw=True, answer=t.UploadStatus, errors=(404,)),
    Route(name="datasets.upload_status", method="GET", path="/api/v1/upload/status", run=datasets.upload_status,
          tag="datasets", needs="edit", query=q.UploadQuery, answer=t.UploadStatus, errors=(404,)),
    Route(name="datasets.abort_upload", method="DELETE", path="/api/v1/upload/abort", run=datasets.abort_upload,
          tag="datasets", needs="edit", body=t.UploadId, answer=t.Deleted, errors=(404,)),
    # ---------------------------------------------------------------- people
    Route(name="people.create_team", method="POST", path="/api/v1/teams", run=people.create_team, tag="people",
          needs="administer_server", body=t.NewTeam, answer=t.Team, status=201, errors=(409,)),
    Route(name="people.list_teams", method="GET", path="/api/v1/teams", run=people.list_teams, tag="people",
          answer=t.TeamList),
    Route(name="people.put_member", method="PUT", path="/api/v1/teams/{team}/members", run=people.put_member,
          tag="people", needs="administer_server", body=t.NewMember, answer=t.User, errors=(404,)),
    Route(name="people.remove_member", method="DELETE", path="/api/v1/teams/{team}/members/{user}",
          run=people.remove_member, tag="people", needs="administer_server", answer=t.Deleted, errors=(404, 409)),
    Route(name="people.create_role", method="POST", path="/api/v1/roles", run=people.create_role, tag="people",
          needs="administer_server", body=t.NewTeamRole, answer=t.TeamRole, status=201, errors=(409,)),
    Route(name="people.list_roles", method="GET", path="/api/v1/roles", run=people.list_roles, tag="people",
          answer=t.TeamRoleList),
    Route(name="people.list_permissions", method="GET", path="/api/v1/permissions", run=people.list_permissions,
          tag="people", answer=t.PermissionList),
    Route(name="people.create_user", method="POST", path="/api/v1/users", run=people.create_user, tag="people",
          needs="administer_server", body=t.NewUser, answer=t.User, status=201, errors=(404, 409)),
    Route(name="people.list_users", method="GET", path="/api/v1/users", run=people.list_users, tag="people",
          answer=t.UserList),
    Route(name="people.me", method="GET", path="/api/v1/users/me", run=people.me, tag="people", answer=t.User),
    Route(name="people.delete_user", method="DELETE", path="/api/v1/users/{user}", run=people.delete_user,
          tag="people", needs="administer_server", answer=t.Deleted, errors=(404,)),
    Route(name="people.list_shares", method="GET", path="/api/v1/projects/{project}/shares", run=people.list_shares,
          tag="people", answer=t.ShareList, errors=(404,)),
    Route(name="people.share", method="PUT", path="/api/v1/projects/{project}/shares", run=people.share,
          tag="people", needs="share", body=t.NewShareList, answer=t.ShareList, errors=(404, 409)),
    # ---------------------------------------------------------------- the server
    Route(name="images.get", method="GET", path="/images/{project}/{file}", run=images.get_image, tag="images",
          query=q.ImageQuery, errors=(404,)),
    Route(name="images.get_media", method="GET", path="/media/{project}/{file}", run=images.get_media, tag="images",
          errors=(404,)),
    Route(name="status.health", method="GET", path="/health", run=status.health, tag="server", needs="open",
          answer=t.Health),
    Route(name="status.ready", method="GET", path="/ready", run=status.ready, tag="server", needs="open",
          answer=t.Health),
)  # fmt: skip

Run = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCallRoute:
    """A path at which models are called. glossary.py describes it under `name`."""

    name: Operation
    path: str
    answer: Any
    body: Any = t.CallRequest
    """The type of the request, for the reference."""
    body_type: str = JSON
    """The content type of the request."""
    answer_type: str = JSON
    """The content type of a whole answer. Its type is `bytes` if it is not JSON."""
    chunk: Any = None
    """The type of each event of a stream; None if the call cannot be streamed."""
    format: CallFormat | None = None
    """The form of the call, if it is not OpenAI's."""
    prepare: Callable[[Context, Body], Awaitable[Body]] | None = None
    """Completes a request from the store, such as with the conversation that it continues."""
    session_headers: tuple[bytes, ...] = ()
    """Headers in which clients of the form name the session. A session in the request itself takes precedence."""
    logged_as: t.LoggedOperation = "chat"
    """The operation of its interactions."""

    @property
    def paths(self) -> list[str]:
        """All paths at which models are called so, the documented one first."""
        of_deployments = [] if self.format else [DEPLOYMENT_BASE + self.path.removeprefix(BASES[0])]
        return [*paths_of(self.path), *of_deployments]


MODEL_CALL_ROUTES: tuple[ModelCallRoute, ...] = (
    ModelCallRoute(name="chat", path="/api/v1/chat/completions", answer=t.ChatCompletion, chunk=t.ChatChunk),
    ModelCallRoute(
        name="completions",
        path="/api/v1/completions",
        answer=t.TextCompletion,
        chunk=t.TextCompletion,
        logged_as="completions",
    ),
    ModelCallRoute(
        name="responses",
        path="/api/v1/responses",
        body=t.ResponseRequest,
        answer=t.ResponseObject,
        chunk=t.ResponseEvent,
        format=FORMATS["responses"],
        prepare=responses.continued_request,
        session_headers=(b"session_id", b"session-id", b"conversation_id", b"thread-id"),
    ),
    ModelCallRoute(name="embeddings", path="/api/v1/embeddings", answer=t.EmbeddingList, logged_as="embeddings"),
    ModelCallRoute(
        name="messages",
        path="/api/v1/messages",
        body=t.MessageRequest,
        answer=t.MessageAnswer,
        chunk=t.MessageEvent,
        format=FORMATS["messages"],
        session_headers=(b"x-claude-code-session-id",),
    ),
    ModelCallRoute(
        name="count_tokens",
        path="/api/v1/messages/count_tokens",
        body=t.TokenCountRequest,
        answer=t.TokenCount,
        format=TokenCountFormat(),
    ),
    ModelCallRoute(
        name="count_content_tokens",
        path="/v1beta/models/{model}:countTokens",
        body=t.ContentTokenCountRequest,
        answer=t.ContentTokenCount,
        format=ContentTokenCountFormat(),
    ),
    ModelCallRoute(
        name="generate_content",
        path="/v1beta/models/{model}:{method}",
        body=t.ContentRequest,
        answer=t.ContentAnswer,
        chunk=t.ContentAnswer,
        format=FORMATS["generate_content"],
    ),
    ModelCallRoute(name="moderations", path="/api/v1/moderations", logged_as="moderations",
                   body=t.ModerationRequest, answer=t.Moderation),
    ModelCallRoute(name="speech", path="/api/v1/audio/speech", logged_as="speech",
                   body=t.SpeechRequest, answer=bytes, answer_type="audio/mpeg"),
    ModelCallRoute(name="transcriptions", path="/api/v1/audio/transcriptions", logged_as="transcriptions",
                   body=t.TranscriptionRequest, answer=t.Transcription, body_type=FORM),
    ModelCallRoute(name="translations", path="/api/v1/audio/translations", logged_as="translations",
                   body=t.TranslationRequest, answer=t.Transcription, body_type=FORM),
    ModelCallRoute(name="image_generations", path="/api/v1/images/generations", logged_as="image_generations",
                   body=t.ImageRequest, answer=t.ImageList),
    ModelCallRoute(name="image_edits", path="/api/v1/images/edits", logged_as="image_edits",
                   body=t.ImageEditRequest, answer=t.ImageList, body_type=FORM),
    ModelCallRoute(name="image_variations", path="/api/v1/images/variations", logged_as="image_variations",
                   body=t.ImageVariationRequest, answer=t.ImageList, body_type=FORM),
)  # fmt: skip


def paths_of(path: str) -> list[str]:
    """Return a path of the first base address under each of BASES, or under each of Google's."""
    bases = BASES if path.startswith(f"{BASES[0]}/") else GOOGLES_BASES
    return [base + path.removeprefix(bases[0]) for base in bases]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRoute:
    """A path that takes OTLP over HTTP, served by otlp.py; glossary.py describes `signal`."""

    signal: Literal["traces", "logs"]
    path: str


TELEMETRY_ROUTES: tuple[TelemetryRoute, ...] = tuple(
    TelemetryRoute(signal=signal, path=f"{prefix}/v1/{signal}")
    # The usual paths, those of Langfuse's SDK, and those beside Afterword's own.
    for prefix in ("", "/api/public/otel", "/api/v1/otlp")
    for signal in ("traces", "logs")
)
