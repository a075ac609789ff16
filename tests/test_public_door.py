"""The public door: what `import afterword` gives and loads."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import afterword

# Not zstandard: httpx takes it in where it is installed.
OF_THE_SERVER = ("alembic", "dateutil", "httptools", "sqlalchemy", "starlette", "typer", "uvicorn", "uvloop")
OF_THE_SERVER += tuple(f"afterword.{part}" for part in ("api", "app", "cli", "config", "service", "store"))


def test_what_is_there_is_what_is_promised() -> None:
    for name in afterword.__all__:
        assert getattr(afterword, name) is not None
    there = {
        name
        for name, value in vars(afterword).items()
        if str(getattr(value, "__module__", "")).startswith("afterword") and not name.startswith("_")
    }
    assert there | {"__version__"} == set(afterword.__all__)
    assert afterword.__version__ == version("afterword")
    assert afterword.Adaptive is afterword.Afterword
    assert afterword.AsyncAdaptive is afterword.AsyncAfterword


def test_what_is_not_there_is_said_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="'afterword' has no attribute 'nothing'"):
        afterword.nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_client_loads_nothing_of_the_server() -> None:
    code = "import sys, afterword; afterword.Afterword; "
    code += f"print([name for name in {OF_THE_SERVER!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_the_sync_client_is_generated_from_the_async_one() -> None:
    subprocess.run([sys.executable, "scripts/unasync.py", "--check"], check=True)
