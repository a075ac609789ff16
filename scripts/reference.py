"""Write docs/reference: rest.md, graphql.md, settings.md, providers.md and errors.md, from the tables of the server.

python scripts/reference.py            write the pages that have changed
python scripts/reference.py --check    change nothing; fail if a page is stale
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from afterword import errors
from afterword.api import openapi
from afterword.compat.errors import not_found_message
from afterword.config import SETTINGS, Setting
from afterword.gateway.providers import SPECS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "afterword"
PAGES = ROOT / "docs" / "reference"

GENERATED_NOTE = (
    "<!-- Made by scripts/reference.py (make reference). Change the code that it reads, not this page. -->\n"
)


def main() -> int:
    """Write the pages, or check that they are up to date."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is stale")
    check = parser.parse_args().check
    stale = [PAGES / name for name, text in pages().items() if _page_text(PAGES / name) != text]
    for page in stale:
        print(f"{page.relative_to(ROOT)} {'is stale: run make reference' if check else 'is written'}")
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(pages()[page.name], encoding="utf-8")
    return 1 if check and stale else 0


def pages() -> dict[str, str]:
    """Return each generated page by its file name."""
    return {
        "rest.md": rest_page(),
        "graphql.md": graphql_page(),
        "settings.md": settings_page(),
        "providers.md": providers_page(),
        "errors.md": error_page(),
    }


def _page_text(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.exists() else None


# ------------------------------------------------------------------------------------------------ REST


def rest_page() -> str:
    """Return the page of the REST interface, made from the OpenAPI document."""
    document = openapi.document("")
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    lines = ["# REST", "", GENERATED_NOTE, openapi.ABOUT, _introduction(), "## Routes", ""]
    for tag in document["tags"]:
        tag_operations = [operation_row for operation_row in operations if tag["name"] in operation_row[2]["tags"]]
        rows = (
            [f"[`{method} {path}`](#{_anchor(operation['operationId'])})", operation["summary"]]
            for method, path, operation in tag_operations
        )
        lines += [f"**{tag['name']}** · {tag['description']}", "", *_table(("route", "what it does"), rows), ""]
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", ""]
        for method, path, operation in operations:
            if tag["name"] in operation["tags"]:
                lines += _operation(method, path, operation, schemas)
    lines += ["## Structs", "", "The objects that bodies and answers are made of, by name.", ""]
    for name, schema in sorted(schemas.items()):
        lines += _struct(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _introduction() -> str:
    return (
        "A running server shows this reference at `/docs`, and as an OpenAPI 3.1 document at `/openapi.json`. "
        "What each error code means is in [errors.md](errors.md).\n"
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield from (f'<a id="{_anchor(operation["operationId"])}"></a>', "", f"### {method} {path}", "")
    yield from (f"{operation['summary']}.", "")
    if "description" in operation:
        yield from (operation["description"], "")
    parameters = operation.get("parameters", [])
    if parameters:
        rows = (
            [
                f"`{parameter['name']}`",
                parameter["in"],
                _type(parameter["schema"]) + _limits(parameter["schema"]),
                parameter["description"],
            ]
            for parameter in parameters
        )
        yield from (*_table(("parameter", "in", "type", "meaning"), rows), "")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body (`{kind}`): {_body(content['schema'])}", "")
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        yield from _example(method, path, next(iter(content.items())))
    own_answers = {status: answer for status, answer in operation["responses"].items() if "$ref" not in answer}
    for status, answer in own_answers.items():
        for kind, media in answer.get("content", {}).items() if int(status) < 400 else ():
            schema = media.get("schema")
            yield f"Answers **{status}** (`{kind}`){': ' + _type(schema) if schema else ''}"
            yield ""
    refused = [status for status, answer in operation["responses"].items() if "$ref" in answer]
    yield from ("Errors: " + ", ".join(f"[{status}](errors.md#{status})" for status in refused), "")
    for status, answer in own_answers.items():
        if int(status) >= 400:
            yield from (f"**{status}**: {answer['description']}", "")


def _body(schema: dict[str, Any]) -> str:
    return f"{_type(schema)}. {schema['description']}" if "description" in schema else _type(schema)


def _example(method: str, path: str, content: tuple[str, dict[str, Any]]) -> Iterator[str]:
    kind, media = content
    example = media["example"]
    example_lines = [json.dumps(line) for line in example] if isinstance(example, list) else [_pretty(example)]
    body = "\n".join(example_lines)
    option = "--data-binary" if kind == openapi.NDJSON else "--data"
    yield "```bash"
    yield f'curl -X {method} "$AFTERWORD_URL{path}" \\'
    yield '  -H "Authorization: Bearer $AFTERWORD_API_KEY" \\'
    yield f'  -H "Content-Type: {kind}" \\'
    yield from f"  {option} '{body}'".splitlines()
    yield from ("```", "")


def _pretty(value: Any, indent: str = "") -> str:
    """Return JSON with short values on one line."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or len(flat) + len(indent) < 64:
        return flat
    deeper = indent + "  "
    if isinstance(value, list):
        parts, marks = [_pretty(part, deeper) for part in value], "[]"
    else:
        parts, marks = [f"{json.dumps(key)}: {_pretty(part, deeper)}" for key, part in value.items()], "{}"
    return f"{marks[0]}\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}{marks[1]}"


def _struct(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f'<a id="{name.lower()}"></a>', "", f"### {name}", "")
    if schema.get("description"):
        yield from (schema["description"], "")
    required = schema.get("required", [])
    rows = (
        [f"`{field}`", _type(shape) + _limits(shape), "required" if field in required else "", shape.get("description")]
        for field, shape in schema.get("properties", {}).items()
    )
    if schema.get("properties"):
        yield from (*_table(("field", "type", "", "meaning"), rows), "")


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "anything")
    return " or ".join(_type_name(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _type_name(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "string" and schema.get("format"):
        return {"uuid": "UUID", "date-time": "time"}.get(schema["format"]) or str(schema["format"])
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return kind


def _limits(schema: dict[str, Any]) -> str:
    limits = []
    if "minimum" in schema and "maximum" in schema:
        limits.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        limits.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if schema.get("default") not in (None, "", [], {}):
        limits.append(f"default `{json.dumps(schema['default']).strip(chr(34))}`")
    return ", " + ", ".join(limits) if limits else ""


def _anchor(operation_id: str) -> str:
    return operation_id.replace(".", "-").replace("_", "-")


# ------------------------------------------------------------------------------------------------ GraphQL


def graphql_page() -> str:
    """Return the page of GraphQL: the server's schema."""
    schema = (SOURCE / "api" / "graphql" / "schema.graphql").read_text(encoding="utf-8")
    return "\n".join(["# GraphQL", "", GENERATED_NOTE, _ABOUT_GRAPHQL, "```graphql", schema.rstrip(), "```", ""])


_ABOUT_GRAPHQL = """\
`POST /api/graphql` takes this schema; [how to use it](../guides/graphql.md). What is `@deprecated` are words of old
clients, which go on working.
"""


# ------------------------------------------------------------------------------------------------ settings


def settings_page() -> str:
    """Return the page of the settings, from the table that the server reads."""
    rows = (
        [
            "" if setting.secret else f"`{setting.flag}`",
            f"`{setting.variable}`",
            _default(setting),
            f"{setting.help} {_allowed(setting)}",
        ]
        for setting in SETTINGS
    )
    return "\n".join(
        [
            "# Settings",
            "",
            GENERATED_NOTE,
            _ABOUT_SETTINGS,
            *_table(("flag", "environment", "default", "what"), rows),
            "",
        ]
    )


_ABOUT_SETTINGS = """\
`afterword serve` takes each setting as a flag, else from the environment, else its default. Sizes are bytes, or numbers
with KB, MB, GB, KiB, MiB or GiB. What is a secret has no flag, for other users of the machine can read a command line.
"""


def providers_page() -> str:
    """Return the page of the providers, from their specifications."""
    rows = (
        [
            f"`{spec.name}`",
            spec.title,
            _names(spec.endpoint_variables, spec.endpoint or ("required" if spec.fields else "")),
            _names(spec.api_key_variables),
            ", ".join(f"`{name}`" for name in sorted(spec.refused_fields)),
            f"`{spec.otel_name}`",
        ]
        for spec in SPECS.values()
    )
    columns = ("`provider`", "what", "endpoint, by default", "API key, by default", "fields left out", "in traces")
    return "\n".join(["# Providers", "", GENERATED_NOTE, _ABOUT_PROVIDERS, *_table(columns, rows), ""])


_ABOUT_PROVIDERS = """\
A [model](../guides/models.md) is registered with one of these. Where it has no `endpoint` or `api_key` of its own, the
server's environment is asked for it at each call: of several variables, the first that is set counts.
"""


def _names(names: Iterable[str], default: str = "") -> str:
    """Return names as code, followed by the default if none of them is set."""
    return ", else ".join([*(f"`{name}`" for name in names), *([default] if default else [])])


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "none"
    if setting.kind == "size" and isinstance(setting.default, int) and setting.default % (1 << 20) == 0:
        return f"`{setting.default >> 20}MiB`"
    return f"`{setting.default}`"


def _allowed(setting: Setting) -> str:
    if setting.choices:
        return f"One of {', '.join(f'`{choice}`' for choice in setting.choices)}."
    return f"At least {setting.minimum:,}." if setting.minimum > 1 else ""


# ------------------------------------------------------------------------------------------------ errors


def error_page() -> str:
    """Return the page of the errors: each status, and each code that the server gives with it."""
    code_uses = list(_codes())
    lines = ["# Errors", "", GENERATED_NOTE, _ABOUT_ERRORS]
    for status, kind in sorted(errors.BY_STATUS.items()):
        lines += [f'<a id="{status}"></a>', "", f"## {status} {kind.__name__}", "", f"{kind.__doc__}", ""]
        lines += [f"`type` is `{kind.type}`.", ""]
        rows = {code: text for name, code, text in sorted(code_uses, reverse=True) if name == kind.__name__}
        rows = {code: text if text.strip("… ") else kind.__doc__ for code, text in rows.items()}
        if rows:
            lines += [*_table(("code", "such as"), sorted([f"`{code}`", text] for code, text in rows.items())), ""]
    lines += ["## In the client alone", "", *_table(("exception", "when"), _client_errors())]
    return "\n".join(lines).rstrip() + "\n"


_ABOUT_ERRORS = """\
Every error of the REST interface is one object, with the HTTP status that fits:

```json
{
  "error": {
    "message": "EntityNotFound: metric 'CSAT' is not registered in 'default'.",
    "type": "not_found_error",
    "code": "metric_not_found",
    "param": "metric",
    "hint": "Register the feedback key first: POST /api/v1/metrics, or feedback.register_key(...)."
  }
}
```

`message` says what was wrong, with the offending value. `code` is for programs. `param` names the field or parameter,
`hint` says what to do next; either may be null. 429 and 503 carry `Retry-After` in seconds: nothing was stored, and
sending it again is safe. In the Python client each status is an exception, named as below, with the same fields.
"""


def _client_errors() -> Iterator[list[Any]]:
    for kind in (errors.ConnectionFailed, errors.RequestTimedOut):
        yield [f"`{kind.__name__}`", kind.__doc__]


def _codes() -> Iterator[tuple[str, str, str]]:
    """Yield the errors that the source raises: class, code and message, with … for formatted values."""
    kinds = {kind.__name__ for kind in errors.BY_STATUS.values()}
    for file in sorted(SOURCE.rglob("*.py")):
        if file.is_relative_to(SOURCE / "client"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds):
                continue
            code = next((_literal_text(word.value) for word in node.keywords if word.arg == "code"), "")
            if code.strip("…"):
                message = _literal_text(node.args[0]) if node.args else ""
                noun = next((_literal_text(word.value) for word in node.keywords if word.arg == "noun"), None)
                yield node.func.id, code, re.sub("…+", "…", not_found_message(noun, message) if noun else message)


def _literal_text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal_text(part) for part in node.values)
    if isinstance(node, ast.IfExp):
        return _literal_text(node.body)
    return "…"


# ------------------------------------------------------------------------------------------------ Markdown


def _table(heads: Iterable[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(text: Any) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
