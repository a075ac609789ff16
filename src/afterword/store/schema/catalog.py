"""The small tables, which the catalog holds in memory: projects, metrics, models, keys, and who may what."""

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
    # The metric that the project is judged by first.
    Column("default_metric", Integer),
    # How long interactions, and what was said in them, are kept. 0: for ever. Null: as the server's settings say.
    Column("retention_days", Integer),
    Column("payload_retention_days", Integer),
)

metrics = Table(
    "metrics",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    # 0: of no project; those that use it are linked to it.
    Column("project", Integer, nullable=False),
    Column("key", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("scoring_type", String(20), nullable=False),
    Column("description", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # A deleted metric keeps its row: feedback refers to it. Its key can be registered anew.
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
    # Null: logged-only, for completions made elsewhere; also what was deleted, for interactions refer to it.
    Column("provider", String(20)),
    Column("external_model_id", Text),
    Column("endpoint", Text),
    # JSON {api_key, headers}, encrypted with the server's secret.
    Column("secret", LargeBinary),
    # JSON: what every call of it is sent with.
    Column("extra_params", Text),
    # The number of the model that is called when this one fails.
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
    # Whose key it is: it may what the user's teams may. Null: a key of no user's, with projects of its own.
    Column("user", Integer),
    # The number of the key that made it; 0: the administrator's. Null: made before this was noted.
    Column("created_by", Integer),
)

# When API keys were last used. Not a part of `api_keys`, whose every change makes all servers read the small tables.
key_uses = Table(
    "key_uses",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("last_used_at", BigInteger, nullable=False),
)

# Who works with Afterword, besides those who hold a key of no user's.
users = Table(
    "users",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("email", String(320), nullable=False),
    Column("name", Text, nullable=False),
    # A service account: it has keys and no one behind it.
    Column("is_system", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # What they gave stays under their name.
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
    # JSON list of words such as project:read.
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

# Which teams work in a project, and what their members may do there at most.
project_shares = Table(
    "project_shares",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("team", Integer, primary_key=True, autoincrement=False),
    Column("role", Integer, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    **CLUSTERED,
)

# Metrics that a project uses without owning them.
metric_links = Table(
    "metric_links",
    metadata,
    Column("project", Integer, primary_key=True, autoincrement=False),
    Column("metric", Integer, primary_key=True, autoincrement=False),
    **CLUSTERED,
)

# Filters that people have given a name to: the address of a page, as its query string.
views = Table(
    "views",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("search", Text, nullable=False),
    # The number of the API key that made it; 0 is the administrator's.
    Column("actor", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "name", unique=True),
)
