"""The small tables, which the catalog holds in memory: projects, metrics, models, API keys, people and their roles."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from afterword.store.schema.base import CLUSTERED, Id, metadata

projects = Table(
    "projects",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived", Boolean, nullable=False),
    # The metric that is shown first.
    Column("default_metric", Integer),
    # The days for which interactions and their payloads are kept. 0: for ever. Null: the server's setting.
    Column("retention_days", Integer),
    Column("payload_retention_days", Integer),
)

metrics = Table(
    "metrics",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    # 0: the metric belongs to no project; `metric_links` has the projects that use it.
    Column("project", Integer, nullable=False),
    Column("key", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("scoring_type", String(20), nullable=False),
    Column("description", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # A deleted metric keeps its row, because feedback refers to it. Its key can be registered again.
    Column("deleted_at", BigInteger),
    Index(None, "project", "key"),
)

models = Table(
    "models",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text),
    # Null: the model cannot be called. It is only logged, or was deleted and keeps its row for its interactions.
    Column("provider", String(20)),
    Column("external_model_id", Text),
    Column("endpoint", Text),
    # JSON {api_key, headers}, encrypted with the server's secret.
    Column("secret", LargeBinary),
    # JSON: parameters that are added to each call.
    Column("extra_params", Text),
    # The number of the model that is called if this one fails.
    Column("fallback", Integer),
)

# Which projects may call which models.
project_models = Table(
    "project_models",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("model", Integer, primary_key=True, autoincrement=False),
    Column("is_default", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    **CLUSTERED,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("prefix", String(20), nullable=False),
    # SHA-256 of the key. A key has 190 random bits, so that no slow hash is needed.
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    # JSON list of project numbers; null: all projects.
    Column("projects", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    # The user whose key it is: the key has the permissions of the user's teams. Null: a key without a user, with its
    # own projects.
    Column("user", Integer),
    # The number of the key that created it; 0 for the administrator's. Null: created before this column existed.
    Column("created_by", Integer),
)

# When API keys were last used. This is not a column of `api_keys`: each change there makes all servers reload the
# catalog.
key_uses = Table(
    "key_uses",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("last_used_at", BigInteger, nullable=False),
)

# The people and service accounts that work with Afterword.
users = Table(
    "users",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("email", String(320), nullable=False),
    Column("name", Text, nullable=False),
    # Whether it is a service account: a user with keys, but without a person.
    Column("is_system", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # A deleted user keeps the row: their feedback keeps their name.
    Column("deleted_at", BigInteger),
)

teams = Table(
    "teams",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

roles = Table(
    "roles",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # JSON list of permissions, such as project:read.
    Column("permissions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

team_members = Table(
    "team_members",
    metadata,
    Column("team", Integer, primary_key=True, autoincrement=False),
    Column("user", Integer, primary_key=True, autoincrement=False),
    Column("role", Integer, nullable=False),
    **CLUSTERED,
)

# The teams that work in a project, each with the role that bounds what its members may do there.
project_shares = Table(
    "project_shares",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("team", Integer, primary_key=True, autoincrement=False),
    Column("role", Integer, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    **CLUSTERED,
)

# The metrics that a project uses but does not own.
metric_links = Table(
    "metric_links",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("metric", Integer, primary_key=True, autoincrement=False),
    **CLUSTERED,
)

# Filters that people have saved under a name. `search` is the query string of the page's address.
views = Table(
    "views",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("search", Text, nullable=False),
    # The number of the API key that created it; 0 for the administrator's.
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "name", unique=True),
)
