"""The house rules: what may import what, how long a file may be, what must be documented."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from afterword.api import glossary, openapi
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES
from afterword.config import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "afterword"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# What each part of the package may import of the others. A part is a module or a package right under afterword.
WORDS = {"types", "errors", "ids", "json_text", "message_words", "call_forms"}
ARROWS: dict[str, set[str]] = {
    "types": set(),
    "errors": {"compat"},
    "ids": set(),
    "json_text": set(),
    "message_words": set(),
    "call_forms": {"types", "ids", "json_text", "message_words"},
    "config": {"errors"},
    "store": WORDS,
    "statistics": set(),
    "service": WORDS | {"store", "gateway", "config", "statistics"},
    "gateway": {"types", "errors", "json_text"},
    "api": WORDS | {"service", "gateway", "config"},
    "compat": set(),
    "client": WORDS,
    "call_log": WORDS | {"client"},
    "openai": {"call_log"},
    "anthropic": {"call_log"},
    "litellm": {"call_log"},
    "langchain": {"call_log", "ids"},
    "lifespan": WORDS | {"api", "service", "store", "gateway", "config"},
    "app": WORDS | {"api", "service", "gateway", "compat", "lifespan"},
    "server": WORDS | {"api", "service", "store", "config", "lifespan", "app"},
    # `serve` runs the server; `db`, `backup` and `restore` work on the store itself. All else speaks HTTP.
    "cli": WORDS | {"server", "store", "client", "config"},
    "__main__": {"cli"},
    "__init__": {"call_log", "client", "errors", "types"},
}

FOLDERS = ("src", "tests", "scripts", "benchmarks", "examples", "web")
LONGEST = 500
SKIPPED = {"node_modules", "generated", "dist", "__pycache__", ".venv", "static"}


def files(*endings: str, under: tuple[str, ...] = FOLDERS) -> list[Path]:
    """Return the project's own files with these endings."""
    found = [path for folder in under for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return sorted(path for path in found if not SKIPPED & set(path.relative_to(ROOT).parts))


def relative_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


MODULES = files(".py", under=("src",))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def part_of(path: Path) -> str:
    """Return the part that a module of the package belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every module that a file names in an import, relative ones resolved, with the line."""
    package = ".".join(("afterword", *path.relative_to(SOURCE).parent.parts))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            # `from afterword.api import docs` names a module, `from afterword.types import Project` none.
            for name in node.names:
                inner = SOURCE.joinpath(*f"{base}.{name.name}".split(".")[1:])
                is_module = base.startswith("afterword") and (inner.with_suffix(".py").exists() or inner.is_dir())
                yield (f"{base}.{name.name}" if is_module else base), node.lineno


# ------------------------------------------------------------------------------------------------ arrows


@pytest.mark.parametrize("path", MODULES, ids=relative_path)
def test_a_module_imports_only_what_its_arrow_points_to(path: Path):
    part = part_of(path)
    allowed = ARROWS[part] | {part}
    wrong = []
    for name, line in imported(path):
        if name.split(".")[0] != "afterword":
            continue
        other = name.split(".")[1] if "." in name else "__init__"
        if other not in allowed:
            wrong.append(
                f"{relative_path(path)}:{line} imports {name}; {part} may import {', '.join(sorted(ARROWS[part]))}"
            )
    assert not wrong, "\n".join(wrong)


def test_imports_across_packages_are_absolute():
    wrong = [
        f"{relative_path(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level > 1
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_store_knows_that_sql_exists():
    # A service reads several things in one snapshot: it is handed a connection and hands it on.
    handed_on = {"Connection", "Row"}
    wrong = [
        f"{relative_path(path)}:{node.lineno}"
        for path in MODULES
        if part_of(path) != "store"
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Import) and {name.name.split(".")[0] for name in node.names} & SQL)
        or (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in SQL
            and not {name.name for name in node.names} <= handed_on
        )
    ]
    assert not wrong, "\n".join(wrong)


SQL = {"sqlalchemy", "alembic", "sqlite3"}


def test_faces_know_no_catalog_and_no_rows():
    row_name = re.compile(r"[a-z]Row$|^Catalog$")
    wrong = [
        f"{relative_path(path)}:{node.lineno}"
        for path in MODULES
        if part_of(path) == "api"
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr == "catalog")
        or (isinstance(node, ast.ImportFrom) and any(row_name.search(name.name) for name in node.names))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_only_sqlite_says_stands_in_the_engine():
    words = re.compile(r"\bsqlite3\b|\bfts5\b|\bPRAGMA\b|\bsqlite_master\b|\bbm25\b|\browid\b|\bATTACH\b")
    wrong = [
        f"{relative_path(path)}:{number} {line.strip()}"
        for path in MODULES
        if not path.is_relative_to(SOURCE / "store" / "engine")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_dialect_module_compares_dialects():
    # Migrations are never changed once released.
    in_dialect = re.compile(r"\bdialect\.name\s*(==|!=|in\b|not in\b)|match .*\bdialect\.name")
    above_engine = re.compile(
        r"\bdialect\.name\b|\+ literal\(0\)|\bsqlalchemy\.exc\b|[\"'](sqlite|postgresql)[\"']|_driver_sql\b"
    )
    engine = SOURCE / "store" / "engine"
    wrong = [
        f"{relative_path(path)}:{number} {line.strip()}"
        for path in MODULES
        if path != engine / "dialect.py" and "migrations" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (in_dialect if path.is_relative_to(engine) else above_engine).search(line)
    ]
    assert not wrong, "\n".join(wrong)


# ------------------------------------------------------------------------------------------------ files


def test_no_file_is_longer_than_500_lines():
    long = {relative_path(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files(*ENDINGS)}
    assert not {name: length for name, length in long.items() if length > LONGEST}


ENDINGS = (".py", ".ts", ".tsx", ".js", ".css", ".html")


def test_no_function_has_a_body_of_more_than_60_lines():
    long = [
        f"{relative_path(path)}:{node.lineno} {node.name}"
        for path in files(".py", under=("src",))
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.body[0].lineno + 1 > 60
    ]
    assert not long, "\n".join(long)


def test_no_file_is_a_drawer_for_everything():
    drawers = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
    assert not [
        relative_path(path) for path in files(*ENDINGS) if drawers & {path.stem, *path.parent.relative_to(ROOT).parts}
    ]


def test_nothing_is_left_to_do_in_the_source():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    wrong = [
        f"{relative_path(path)}:{number}"
        for path in files(*ENDINGS, ".graphql", ".sql", under=("src",))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", MODULES, ids=relative_path)
def test_what_is_public_says_what_it_is(path: Path):
    # A revision's two functions are Alembic's, the package files of parts may be empty.
    if path.parent.name == "versions" or not path.read_text(encoding="utf-8").strip():
        return
    module = tree(path)
    silent = [] if ast.get_docstring(module) else [f"{relative_path(path)} itself"]
    # The client's methods are what users read in their editor.
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    methods = [child for node in classes for child in node.body]
    for node in [*module.body, *(methods if part_of(path) == "client" else [])]:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
            continue
        is_overload = any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list)
        if not ast.get_docstring(node) and not is_overload:
            silent.append(f"{relative_path(path)}:{node.lineno} {node.name}")
    assert not silent, "\n".join(silent)


# ------------------------------------------------------------------------------------------------ documents


def reference() -> ModuleType:
    """Load scripts/reference.py, which is no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["rest.md", "graphql.md", "settings.md", "providers.md", "errors.md"])
def test_the_generated_reference_is_fresh(name: str):
    assert document(f"docs/reference/{name}") == reference().pages()[name], "Run `python scripts/reference.py`."


def test_every_route_has_a_summary_and_stands_in_the_reference():
    page = document("docs/reference/rest.md")
    for route in ROUTES:
        summary, _ = openapi.summary_of(route)
        assert re.match(r"[A-Z].*\w$", summary), f"{route.name} needs a docstring whose first line is one sentence"
        assert f"### {route.method} {route.path}\n" in page


def test_every_setting_stands_in_the_reference():
    page = document("docs/reference/settings.md")
    assert not [setting.variable for setting in SETTINGS if f"`{setting.variable}`" not in page or not setting.help]


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z][\w-]*):", document("Makefile"), re.M))
    named = re.compile(r"`make ([a-z-]+)|\(make ([a-z-]+)\)|\brun make ([a-z-]+)|^ +make ([a-z-]+)", re.M)
    wrong = [
        f"{relative_path(path)}: make {target}"
        for path in [*files(".py", ".md", under=("scripts", "tests", "docs", "src")), *ROOT.glob("*.md")]
        for target in (word for found in named.findall(path.read_text(encoding="utf-8")) for word in found if word)
        if target not in targets
    ]
    assert not wrong, "\n".join(wrong)


def test_every_path_that_a_document_names_exists():
    link = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
    in_text = re.compile(r"`((?:src|tests|docs|scripts|benchmarks|examples|web)/[\w./-]*)`")
    missing = []
    for path in [*files(".md", under=("docs",)), *ROOT.glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        missing += [f"{relative_path(path)}: {named}" for named in in_text.findall(text) if not (ROOT / named).exists()]
        for target, anchor in link.findall(text):
            file = (path.parent / target).resolve() if target else path
            if not file.exists() or (anchor and anchor not in anchors(file)):
                missing.append(f"{relative_path(path)}: {target}#{anchor}")
    assert not missing, "\n".join(missing)


def anchors(file: Path) -> set[str]:
    """Return what the headings of a document are linked by."""
    headings = re.findall(r"^#+ +(.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', file.read_text(encoding="utf-8"))
    )


def test_every_body_has_an_example_that_its_route_takes():
    for route in ROUTES:
        if route.body:
            msgspec.convert(glossary.EXAMPLES[route.body], route.body)


def test_every_field_says_what_it_means():
    silent = []
    schemas = openapi.document("")["components"]["schemas"]
    for route in ROUTES:
        if route.query:
            schemas |= openapi._components([route.query])
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            obvious = re.search(r"Condition$|^Filter$|^Match$|^Error", name) or field in {"id", "key", "name"}
            if not described.get("description") and not obvious and "$ref" not in str(described):
                silent.append(f"{name}.{field}")
    assert not silent


def test_every_parameter_of_a_path_is_explained():
    assert set(glossary.PATH_PARAMETERS) == {
        name for route in (*ROUTES, *MODEL_CALL_ROUTES) for name in re.findall(r"{(\w+)}", route.path)
    }


def test_every_dependency_is_argued_for():
    decisions = document("docs/decisions.md")
    extras = PROJECT["project"].get("optional-dependencies", {})
    wanted = [*PROJECT["project"]["dependencies"], *(line for extra in extras.values() for line in extra)]
    names = {re.match(r"[\w.-]+", line)[0] for line in wanted if not line.startswith("afterword")}  # pyright: ignore
    assert not sorted(
        name for name in names if not re.search(rf"^\W*\|?\s*[`*]*{re.escape(name)}\b", decisions, re.M | re.I)
    )


def test_the_changelog_tells_of_this_version():
    assert re.search(rf"^## \[?{re.escape(PROJECT['project']['version'])}\b", document("CHANGELOG.md"), re.M)


def test_the_locked_requirements_name_no_address_and_are_all_hashed():
    text = document("requirements.txt")
    assert "://" not in text
    assert not re.search(r"^\s*(--index-url|--extra-index-url|--find-links|--trusted-host|-[if]\s)", text, re.M)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    assert not [line for line in lines if not re.match(r"[\w.\[\]-]+==\S+.*--hash=sha256:[0-9a-f]{64}", line)]
