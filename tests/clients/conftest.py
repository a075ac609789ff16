"""Scripts run with a published client: they print JSON, which the test reads."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def python_with() -> Callable[[str], Path]:
    """Return the interpreter of an environment in which a client is installed."""
    spec = importlib.util.spec_from_file_location("environments", Path(__file__).with_name("environments.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.python_with


@pytest.fixture
def run_with(gateway: Any, python_with: Callable[[str], Path]) -> Callable[..., Any]:
    """Run a script with a client installed; return what it prints as JSON.

    It finds the server's API in OPENAI_BASE_URL and OPENAI_API_KEY, and what it is given in `given`.
    """

    def run(name: str, script: str, **given: Any) -> Any:
        head = "import json, os\ngiven = json.loads(os.environ['GIVEN'])\n"
        done = subprocess.run(
            [str(python_with(name)), "-c", head + textwrap.dedent(script)],
            env={
                **os.environ,
                "OPENAI_BASE_URL": f"{gateway.server.url}/api/v1",
                "OPENAI_API_KEY": gateway.server.api_key,
                "GIVEN": json.dumps(given),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
