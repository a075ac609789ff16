"""The table of settings. A flag takes precedence over the environment, the environment over the default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MIB = 1 << 20
# 100 years.
MAX_DAYS = 36_500

Kind = Literal["text", "words", "integer", "size"]


class SettingError(ValueError):
    """A setting has an invalid value."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: `name` makes its flag (`--max-body`) and its variable (`AFTERWORD_MAX_BODY`).

    Sizes are bytes, or numbers with KB, MB, GB, KiB, MiB, GiB. Words are separated by commas. `secret` ones have no
    flag.
    """

    name: str
    kind: Kind
    default: str | int | None
    help: str
    minimum: int = 0
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"AFTERWORD_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The command line's flag."""
        return f"--{self.name.replace('_', '-')}"


SETTINGS: tuple[Setting, ...] = (
    Setting("host", "text", "127.0.0.1", "The address to listen on. 0.0.0.0 lets other machines in."),
    Setting("port", "integer", 7400, "The port to listen on; 0 takes a free one.", maximum=65535),
    Setting(
        "data", "text", "afterword-data", "The directory that holds the embedded store and the administrator's key."
    ),
    Setting(
        "database_url",
        "text",
        None,
        "A PostgreSQL database in place of the embedded store: postgresql://USER:PASSWORD@HOST/DATABASE.",
    ),
    Setting("workers", "integer", 1, "Server processes. The embedded store takes one.", minimum=1),
    Setting(
        "api_key",
        "text",
        None,
        "The administrator's key. Without it one is made at the first start, printed once, kept in the data directory.",
        secret=True,
    ),
    Setting(
        "secret_key",
        "text",
        None,
        "The secret that the API keys of providers are encrypted with. Without it one is made when first needed, and "
        "kept in the data directory.",
        secret=True,
    ),
    Setting(
        "session_lifetime",
        "integer",
        720,
        "Hours after which people must sign in to the web page again.",
        minimum=1,
    ),
    Setting("max_body", "size", 64 * MIB, "The largest request body.", minimum=1024),
    Setting("max_dataset", "size", 2048 * MIB, "The largest file of a dataset.", minimum=1024),
    Setting(
        "max_upload_part", "size", 100 * MIB, "The largest part of a file that is uploaded in parts.", minimum=1024
    ),
    Setting("max_image", "size", 10 * MIB, "The largest image, decoded.", minimum=1),
    Setting("max_media", "size", 25 * MIB, "The largest audio or file in a message, decoded.", minimum=1),
    Setting(
        "max_facts",
        "size",
        MIB,
        "The largest provider facts kept with each completion, as JSON: log probabilities, sources, filter results. "
        "Larger members are left out, and their names are kept.",
    ),
    Setting("max_labels", "integer", 64, "The most labels on an interaction."),
    Setting("max_label_key", "integer", 128, "The longest key of a label, in characters.", minimum=1),
    Setting("max_label_value", "size", 1024, "The longest value of a label, in bytes of UTF-8."),
    Setting("max_batch_lines", "integer", 10_000, "The most lines in a batch.", minimum=1),
    Setting(
        "max_waiting_writes",
        "integer",
        10_000,
        "Writes that may wait for their commit; beyond it calls get 503.",
        minimum=1,
    ),
    Setting("max_waiting_bytes", "size", 256 * MIB, "Bytes that waiting writes may hold in memory.", minimum=MIB),
    Setting(
        "store_timeout",
        "integer",
        30,
        "Seconds to wait for a read or a write; if the database does not answer in time, the call gets 503.",
        minimum=1,
    ),
    Setting(
        "provider_connect_timeout", "integer", 10, "Seconds in which a provider must accept a connection.", minimum=1
    ),
    Setting(
        "provider_first_byte_timeout",
        "integer",
        600,
        "Seconds in which a provider must begin to answer: for a call that is not streamed, the whole answer.",
        minimum=1,
    ),
    Setting("provider_idle_timeout", "integer", 120, "Seconds that may pass between two parts of a stream.", minimum=1),
    Setting(
        "stream_head_delay",
        "integer",
        3,
        "Seconds that a provider may be silent before a stream's head leaves without its first chunk. An error until "
        "then is answered with a status of its own, a later one as an event.",
        minimum=1,
    ),
    Setting(
        "stream_comment_interval",
        "integer",
        10,
        "Seconds of silence after which a comment is sent into a stream, so that no proxy on the way cuts it; 0 sends "
        "none.",
    ),
    Setting(
        "max_provider_calls",
        "integer",
        512,
        "Calls that may be under way at one provider; beyond it calls get 503.",
        minimum=1,
    ),
    Setting(
        "on_store_failure",
        "text",
        "refuse",
        "What becomes of a call to a model while the store cannot write: `refuse` answers 503, `pass` lets it through "
        "unlogged.",
        choices=("refuse", "pass"),
    ),
    Setting(
        "unlogged_operations",
        "words",
        "",
        "Operations of models of which nothing is logged, separated by commas, such as `embeddings,moderations`.",
        choices=(
            "embeddings",
            "moderations",
            "speech",
            "transcriptions",
            "translations",
            "image_generations",
            "image_edits",
            "image_variations",
        ),
    ),
    Setting(
        "retention_days",
        "integer",
        0,
        "Days after which interactions are deleted, with all that hangs on them; 0 keeps them for ever. A project's "
        "own value wins.",
        maximum=MAX_DAYS,
    ),
    Setting(
        "payload_retention_days",
        "integer",
        0,
        "Days after which what was said in interactions is deleted, while their labels, feedback and numbers stay; 0 "
        "keeps it for ever. A project's own value wins.",
        maximum=MAX_DAYS,
    ),
    Setting(
        "pair_lease",
        "integer",
        600,
        "Seconds for which a pair to judge stays with the sitting that was given it, after the last call of that "
        "sitting.",
        minimum=10,
    ),
    Setting(
        "max_leased_pairs",
        "integer",
        10_000,
        "Pairs to judge that may be given out at the same time; beyond it calls get 503.",
        minimum=100,
    ),
    Setting(
        "telemetry_wait",
        "integer",
        24,
        "Hours for which evaluations and messages that were sent by OpenTelemetry wait for the span of their call.",
        minimum=1,
        maximum=MAX_DAYS * 24,
    ),
    Setting(
        "max_waiting_telemetry",
        "integer",
        100_000,
        "Evaluations and messages that may wait so; beyond it the oldest are deleted.",
        minimum=1,
    ),
    Setting("max_live", "integer", 200, "Pages and programs that may watch interactions as they come.", minimum=1),
    Setting("shutdown_grace", "integer", 30, "Seconds that calls under way have to end when the server is stopped."),
    Setting(
        "log_level",
        "text",
        "info",
        "How much the server logs.",
        choices=("debug", "info", "warning", "error"),
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server, each as its table entry says."""

    host: str
    port: int
    data: str
    database_url: str | None
    workers: int
    api_key: str | None
    secret_key: str | None
    session_lifetime: int
    max_body: int
    max_dataset: int
    max_upload_part: int
    max_image: int
    max_media: int
    max_facts: int
    max_labels: int
    max_label_key: int
    max_label_value: int
    max_batch_lines: int
    max_waiting_writes: int
    max_waiting_bytes: int
    store_timeout: int
    provider_connect_timeout: int
    provider_first_byte_timeout: int
    provider_idle_timeout: int
    stream_head_delay: int
    stream_comment_interval: int
    max_provider_calls: int
    on_store_failure: str
    unlogged_operations: frozenset[str]
    retention_days: int
    payload_retention_days: int
    pair_lease: int
    max_leased_pairs: int
    telemetry_wait: int
    max_waiting_telemetry: int
    max_live: int
    shutdown_grace: int
    log_level: str


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all settings. Raises `SettingError` naming the setting, its value and what is allowed."""
    values = {}
    for setting in SETTINGS:
        configured_value = (flags or {}).get(setting.name)
        source_name = setting.flag
        if configured_value is None:
            configured_value, source_name = environment.get(setting.variable) or None, setting.variable
        value = setting.default if configured_value is None else configured_value
        is_parsed = configured_value is None and setting.kind != "words"
        values[setting.name] = value if is_parsed else parse_setting(setting, value, source_name)
    settings = Settings(**values)
    if settings.workers != 1 and settings.database_url is None:
        raise SettingError(
            f"workers is {settings.workers}: the embedded store takes one server process. "
            "Give a PostgreSQL database with --database-url for more, or leave workers out."
        )
    return settings


def parse_setting(setting: Setting, raw_value: Any, source_name: str) -> Any:
    """Read one value. Raises `SettingError`."""
    text = str(raw_value).strip()
    if setting.kind == "text":
        if setting.choices and text not in setting.choices:
            raise SettingError(f"{source_name} is {text!r}; allowed are {', '.join(setting.choices)}.")
        return text
    if setting.kind == "words":
        words = frozenset(word.strip() for word in text.split(",")) - {""}
        if unknown_words := words - set(setting.choices):
            raise SettingError(
                f"{source_name} has {min(unknown_words)!r}; allowed are {', '.join(setting.choices)}, by commas."
            )
        return words
    number = _size(text) if setting.kind == "size" else int(text) if re.fullmatch(r"-?\d{1,18}", text) else None
    if number is None:
        form = "bytes, or a number with KB, MB, GB, KiB, MiB or GiB" if setting.kind == "size" else "a whole number"
        raise SettingError(f"{source_name} is {text!r}; give {form}.")
    if number < setting.minimum or (setting.maximum is not None and number > setting.maximum):
        upper_limit = "" if setting.maximum is None else f" and at most {setting.maximum:,}"
        raise SettingError(f"{source_name} is {text!r}; it must be at least {setting.minimum:,}{upper_limit}.")
    return number


_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": MIB, "gib": 1024 * MIB}


def _size(text: str) -> int | None:
    size_match = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", text.lower())
    return int(size_match[1]) * _UNITS[size_match[2]] if size_match and size_match[2] in _UNITS else None
