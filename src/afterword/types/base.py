"""Types and descriptions that all structs share, and the base classes of inputs and outputs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Value: TypeAlias = bool | int | float
Moment: TypeAlias = str | int | float
Message: TypeAlias = dict[str, Any]
"""A message as sent: `role`, `content` (text or a list of parts), and any further members."""
Kind: TypeAlias = Literal["scalar", "bool"]
ScoringType: TypeAlias = Literal["higher_is_better", "lower_is_better"]
Source: TypeAlias = Literal["LIVE", "OFFLINE", "AUTOMATION", "DATASET", "EVALUATION"]
Role: TypeAlias = Literal["admin", "member", "inference", "ingest", "viewer"]
LoggedOperation: TypeAlias = Literal[
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "speech",
    "transcriptions",
    "translations",
    "image_generations",
    "image_edits",
    "image_variations",
]
State: TypeAlias = Literal["open", "complete", "failed", "cancelled", "interrupted"]
Tie: TypeAlias = Literal["good", "bad"]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
SessionId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
"""A caller's name of a session: a UUID, or a text from which one is derived (`ids.id_of_text`)."""
PAGE_ROWS = 50
"""The default number of rows on a page of a list."""
MAX_PAGE_ROWS = 500
PageRows: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE_ROWS)]
Days: TypeAlias = Annotated[int, Meta(ge=0, le=36_500)]
"""A retention time in days; 0 means for ever."""

MOMENT_FORMS = (
    "A time on input: RFC 3339, a bare date, a number, or words such as `now - 1 month | Europe/Paris`. "
    "A number is the time since 1970 in seconds, milliseconds, microseconds or nanoseconds: its size tells which."
)
# Descriptions that several structs share.
BETTER_WAY = Meta(description="Which way is better.")
CALL_ID = Meta(description="The id of a call: Afterword's `request_id`, the provider's, or that of its answer.")
COMPARISON_ID = Meta(description="The id of a preference.")
COMPLETION_ID = Meta(
    description="The id of a completion: all later facts refer to it. Where you give one, the `id` of an answer of "
    "Afterword that has one choice is taken for it, too: `chatcmpl-UUID`."
)
CONDITION_TREE = Meta(description="A tree of conditions, as for searching interactions; everything without one.")
CREATED_AT = Meta(description="When it was created.")
CURSOR = Meta(description="Where to go on: the `next` or `previous` of an earlier answer.")
DEFAULT_NAME = Meta(description="The default is the key.")
END_USER = Meta(description="The end user of your product: any string.")
FEEDBACK_ID = Meta(description="The id of a feedback.")
HAPPENED_AT = Meta(description=f"When it happened. The default is now. {MOMENT_FORMS}")
IMAGES = Meta(
    description="`links`: images as `/images/...`, audio and files as `/media/...`. `inline`: as the data URIs or "
    "base64 that were sent."
)
OPERATION = Meta(
    description="What the model was asked for: `chat` (in whatever form it was called), `completions` (the older "
    "completions of texts), `embeddings`, `moderations`, `speech`, `transcriptions`, `translations` (of speech), "
    "`image_generations`, `image_edits` or `image_variations`."
)
MEDIA = Meta(
    description="`inline`: images, audio and files as the data URIs or base64 that were sent, as `images=inline` does; "
    "`links`: as `images` says."
)
INTERVAL = Meta(description="How long each point is.")
KEY_OWNER = Meta(description="The address of the user whose key it is; null for a key of no user's.")
LEVEL = Meta(
    description="What the values are on: `interaction` (feedback), or `session` (outcomes of sessions that "
    "have an interaction which the filters find)."
)
MAX = Meta(description="The greatest value.")
METRIC = Meta(description="A feedback key, by key or id.")
METRIC_KEY = Meta(description="The feedback key.")
METRIC_KIND = Meta(description="`bool`: true or false. `scalar`: any finite number.")
MODEL = Meta(description="A model, by key or id.")
NEXT_CURSOR = Meta(description="The `cursor` of the page after this one; null where the list ends.")
ORDER = Meta(description="`-created_at`: the newest first. `created_at`: the oldest first.")
OUTCOME_ID = Meta(description="The id of an outcome.")
PAGE_LIMIT = Meta(description="How many a page holds.")
PARENT = Meta(
    description="The completion_id of the interaction that this one is a step of, in the same project. It may be "
    "logged later, or have been deleted."
)
PROJECT = Meta(description="A project, by key or id. The default is the key's own single project, else `default`.")
PROJECT_KEY = Meta(description="The key of its project.")
ROLE = Meta(
    description="`admin`: everything. `member`: read, call models, log, rate, register. `inference`: call "
    "models, log and rate, read nothing. `ingest`: log and rate, read nothing. `viewer`: read."
)
REPEATS = Meta(
    description="Whether words are found also in later turns of a session, which send them again; otherwise they are "
    "found only in the turn in which they came."
)
SEARCH_WORDS = Meta(
    description="Words to find in all that the messages and the completion say, tool calls, file names and reasoning "
    "included, and in the details of feedback and preferences: all of them; "
    '"in quotes" next to each other; with * their beginnings.'
)
SESSION = Meta(description="The session: its id, or what the caller named it.")
SESSION_ID = Meta(
    description="The session that the interaction belongs to: a UUID, or any text of up to 200 characters, "
    "for which a UUID then stands. Made when none is given."
)
SPLIT_BY = Meta(description="`model` or `label:KEY`: for each model, or each value of the label, too.")
STEP = Meta(description="The name of the step of an agent's turn, such as `plan`: up to 200 characters.")
TIMEZONE = Meta(description="The zone whose hours, days and weeks count, such as `Europe/Paris`.")
TRACE_ID = Meta(description="The trace that the caller's `traceparent` named.")
UPLOAD_ID = Meta(description="The id of the upload.")
USAGE = Meta(description="Token counts and the like: any JSON object, kept as sent.")
VIEW = Meta(
    description='`short`: prompt and completion in words, such as `weather(city: "Paris")` or `[image]`, cut to 300 '
    "characters; messages left out. `full`: everything."
)


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A struct that a caller sends. Unknown fields are refused by name."""


class Output(msgspec.Struct, kw_only=True):
    """A struct that the server answers with."""
