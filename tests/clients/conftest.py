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


def _beside(name: str) -> Any:
    """Import a module of this directory."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


releases = _beside("adaptive_releases")
guide_clients = _beside("guide_clients")
_seen: dict[tuple[str, str, str], Any] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what looks at `seen` for each release, sync and async, those of one in one process."""
    if "seen" in metafunc.fixturenames:
        cases = [
            pytest.param((release, mode), id=f"{release}-{mode}", marks=pytest.mark.xdist_group(f"{release}-{mode}"))
            for release, mode in releases.CASES
        ]
        metafunc.parametrize("seen", cases, indirect=True)
    if "release" in metafunc.fixturenames:
        metafunc.parametrize("release", releases.RELEASES)
    if "guide_client" in metafunc.fixturenames:
        # Those of one environment in one process: it is made once.
        cases = [
            pytest.param(
                client,
                id=client.heading,
                marks=[pytest.mark.xdist_group(client.environment), *([] if client.quick else [pytest.mark.thorough])],
            )
            for client in guide_clients.CLIENTS
        ]
        metafunc.parametrize("guide_client", cases)


@pytest.fixture(scope="session")
def python_with() -> Callable[[str], Path]:
    """Return the interpreter of an environment in which a client is installed."""
    return _beside("environments").python_with


@pytest.fixture(scope="session")
def node_with() -> Callable[[str], tuple[Path, Path]]:
    """Return Node, and a folder in which a client is installed."""
    return _beside("environments").node_with


@pytest.fixture
def guide_headings() -> list[str]:
    """Return the headings of docs/guides/clients.md, by its order, that tests run the blocks of."""
    return [client.heading for client in guide_clients.CLIENTS]


@pytest.fixture
def seen(request: pytest.FixtureRequest, server: Any, python_with: Callable[[str], Path]) -> Any:
    """What a release of adaptive-sdk saw of a server: driven once, for all tests."""
    case = (*request.param, server.url)
    if case not in _seen:
        _seen[case] = releases.drive(*request.param, server, python_with)
    return _seen[case]


@pytest.fixture
def run_with(gateway: Any, python_with: Callable[[str], Path]) -> Callable[..., Any]:
    """Run a script with a client installed; return what it prints as JSON.

    It finds the server's API where the clients of OpenAI and Anthropic look for it, and what it is given in `given`.
    """

    def run(name: str, script: str, **given: Any) -> Any:
        head = "import json, os\ngiven = json.loads(os.environ['GIVEN'])\n"
        done = subprocess.run(
            [str(python_with(name)), "-c", head + textwrap.dedent(script)],
            env={
                **os.environ,
                "OPENAI_BASE_URL": f"{gateway.server.url}/api/v1",
                "OPENAI_API_KEY": gateway.server.api_key,
                "ANTHROPIC_BASE_URL": gateway.server.url,
                "ANTHROPIC_API_KEY": gateway.server.api_key,
                "GIVEN": json.dumps(given),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
