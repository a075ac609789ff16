"""Names say what they name: each is a noun, a verb or a condition of the field, and stands once."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "afterword"
# Words that name nothing by themselves. Some stand on the wire, and stay.
BARE_WORDS = frozenset(
    """again anew asked brought called chosen come drawn few far found fresh given gone held here its kept known like
    looked made many mine more most named near one place put quiet reach rest said seen shown some sought taken that
    there theirs these this those told turned wanted way what whole worn""".split()  # noqa: SIM905
)
MAX_BARE_RATIO = 0.005
MAX_FUNCTION_MODULES = 3
MAX_TEST_NAME_CHARACTERS = 70
TEST_NAME = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
UNIT_OR_NOUN = re.compile(
    r"_?(SECONDS|MS|MINUTES|HOURS|DAYS|BYTES|KB|MB|CHARACTERS|COUNT|SIZE|LENGTH|RATIO|FACTOR|LEVEL|LIMIT|DEPTH|VERSION|STATUS|PERCENT"
    r"|DEVIATION|RATING|SCALE|[A-Z]+S|ID|KEY|CODE|PORT|NUMBER)$"
)


@cache
def modules() -> list[tuple[Path, ast.Module]]:
    """Return the modules that people write, with their syntax trees."""
    return [
        (path, ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SOURCE.rglob("*.py"))
        if "sync" not in path.parts and "versions" not in path.parts
    ]


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Yield every name that a module gives to something."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def test_hardly_any_name_is_a_word_that_names_nothing():
    names = [(path.name, name) for path, tree in modules() for name in bound_names(tree)]
    bare = [f"{file}: {name}" for file, name in names if name.strip("_").lower() in BARE_WORDS]
    assert len(bare) <= MAX_BARE_RATIO * len(names), "\n".join(bare)


@pytest.mark.parametrize(
    ("kinds", "most_modules"),
    [((ast.ClassDef,), 1), ((ast.FunctionDef, ast.AsyncFunctionDef), MAX_FUNCTION_MODULES)],
    ids=["classes", "functions"],
)
def test_a_name_stands_for_one_thing(kinds: tuple[type[ast.stmt], ...], most_modules: int):
    places: dict[str, set[str]] = defaultdict(set)
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, kinds):
                places[node.name].add(str(path.relative_to(SOURCE)))  # pyright: ignore[reportAttributeAccessIssue]
    assert {name: found for name, found in places.items() if len(found) > most_modules} == {}


def test_a_number_says_what_it_counts():
    unclear = [
        f"{path.name}:{node.lineno} {target.id}"
        for path, tree in modules()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper() and not UNIT_OR_NOUN.search(target.id)
        if isinstance(node.value, ast.Constant) and type(node.value.value) in (int, float)
    ]
    assert unclear == []


def test_a_user_a_key_and_a_caller_are_they():
    masculine = re.compile(r"\b([Hh]e|[Hh]im|[Hh]is)\b")
    found = [
        f"{path.name}:{number} {line.strip()}"
        for path, _ in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if masculine.search(line)
    ]
    assert found == []


def test_a_tests_name_is_short_enough_to_read_at_a_glance():
    names = [name for path in TESTS.rglob("*.py") for name in TEST_NAME.findall(path.read_text(encoding="utf-8"))]
    assert names
    assert [name for name in names if len(name) > MAX_TEST_NAME_CHARACTERS] == []
