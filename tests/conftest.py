"""Real servers for the tests: a process of its own each, on a free port, over a directory of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import hypothesis
import psutil
import pytest

TESTS = Path(__file__).parent
# What stands on the other side of HTTP never sees which store it is, and is tested on one of them.
BEYOND_THE_WIRE = [
    TESTS / place
    for place in (
        "web",
        "clients",
        "api/test_compressed_bodies.py",
        "api/test_traces.py",
        "acceptance/command_line",
        "acceptance/test_docstring_examples.py",
        "acceptance/hostile/test_bodies.py",
        "acceptance/hostile/test_paths_and_queries.py",
        "acceptance/access",
        "gateway/test_anthropic.py",
        "gateway/test_chaos.py",
        "gateway/test_faces_chaos.py",
        "gateway/test_malformed.py",
        "gateway/test_models.py",
        "gateway/test_openais_routes.py",
        "gateway/test_passing_back.py",
        "gateway/test_passing_on.py",
        "gateway/test_provider_failures.py",
        "gateway/test_secrets.py",
    )
]
ALL = "AFTERWORD_TEST_ALL" in os.environ
"""Whether to run all tests, as `make test-all` does, or those of `make test`: see CONTRIBUTING.md."""
STORE_CONTRACT = TESTS / "store"
"""What `make test` runs on each store. All other tests run there on the embedded store alone, unless marked."""

KEY = "aw_the-administrators-key-of-the-tests"


def _beside(name: str) -> Any:
    """Load a module of the tests' own."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


databases = _beside("databases")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.make_scratch()
    # Property tests draw few examples in `make test`, and more in `make test-all`.
    hypothesis.settings.register_profile("chosen", max_examples=20 if ALL else 6, deadline=None, database=None)
    hypothesis.settings.load_profile("chosen")
    config.addinivalue_line("markers", "embedded: of what only the embedded store has: its files, its one server")
    config.addinivalue_line("markers", "shared: of several servers over one database, and so of PostgreSQL alone")
    config.addinivalue_line("markers", "any_store: of what is the same whatever the store, and so tested on one")
    config.addinivalue_line(
        "markers", "every_store: of a folder that `make test-all` tests on one store, but this on each"
    )
    config.addinivalue_line("markers", "thorough: takes long, and is left to `make test-all`")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.clear_scratch()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Tests wait for servers, browsers and disks: some more than there are processors keep these busy."""
    return 1 + (os.cpu_count() or 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a store on each of them."""
    if "database" in metafunc.fixturenames:
        stores = databases.STORES
        marked = metafunc.definition.get_closest_marker
        of_each = marked("every_store") and (ALL or not _is_whole_suite(metafunc.config))
        of_one = marked("any_store") or (_on_one_store(metafunc) and not of_each)
        if marked("embedded") or (of_one and len(stores) > 1):
            stores = [one for one in stores if one == "sqlite"]
        if metafunc.definition.get_closest_marker("shared"):
            stores = [one for one in stores if one == "postgresql"]
        metafunc.parametrize("database", stores, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, where no test was asked for by its file or name."""
    if ALL or not _is_whole_suite(config):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def _is_whole_suite(config: pytest.Config) -> bool:
    return config.args == config.getini("testpaths")


def _on_one_store(metafunc: pytest.Metafunc) -> bool:
    file = metafunc.definition.path
    if any(file.is_relative_to(folder) for folder in BEYOND_THE_WIRE):
        return True
    return not ALL and _is_whole_suite(metafunc.config) and not file.is_relative_to(STORE_CONTRACT)


class Server:
    """An Afterword server in a process of its own, on the embedded store or on a database."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        database_url: str | None = None,
    ) -> None:
        self.directory = directory
        self.options = options
        self.api_key = KEY
        self.database_url = database_url
        if database_url is None and not directory.exists():
            databases.prepared(directory)
        self.environment = (environment or {}) | ({"AFTERWORD_DATABASE_URL": database_url} if database_url else {})
        self.log = directory.parent / f"{directory.name}.log"
        self.start()

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "afterword", "serve"),
                    *("--port", str(self.port), "--data", str(self.directory), *self.options),
                ],
                env={**os.environ, "AFTERWORD_API_KEY": KEY, **self.environment},
                stdout=log,
                stderr=log,
            )
        transport = httpx.HTTPTransport(retries=0)
        with httpx.Client(transport=transport, base_url=self.url) as client:
            while True:
                try:
                    if client.get("/health").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                try:
                    self.process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                raise AssertionError(f"The server did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop it in order."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self) -> None:
        """Kill it with SIGKILL. The process that writes for it sees that, and ends in order."""
        self.process.kill()
        self.process.wait()

    def cut(self) -> None:
        """Kill it and the process that writes for it at once, as a power cut would."""
        running = psutil.Process(self.process.pid)
        running.suspend()
        for child in running.children():
            child.kill()
        self.kill()

    @contextmanager
    def files_no_larger_than(self, size: int) -> Iterator[None]:
        """Let no file grow beyond a size, as a full disk would; only on Linux."""
        before = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        self._limit_files(size, before[1])
        try:
            yield
        finally:
            self._limit_files(*before)

    def _limit_files(self, soft: int, hard: int) -> None:
        # The process that writes, too. It is started anew after a fault, with the limits of the server.
        for one in (self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children())):
            with suppress(ProcessLookupError):
                resource.prlimit(one, resource.RLIMIT_FSIZE, (soft, hard))

    def client(self, key: str | None = None) -> httpx.Client:
        """Return a plain HTTP client that sends the key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key or self.api_key}"}, timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A server of PostgreSQL that makes databases."""
    running = databases.Databases()
    yield running
    running.drop_all()


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """Make an empty database and return its URL; None for the embedded store."""
    if request.param == "sqlite":
        return lambda: None
    return request.getfixturevalue("postgresql").new


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, database: Callable[[], str | None]) -> Iterator[Server]:
    """One server for all tests that can share it: each works in a project of its own."""
    running = Server(tmp_path_factory.mktemp("shared") / "data", database_url=database())
    yield running
    running.stop()


@pytest.fixture
def new_server(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Callable[..., Server]]:
    """Start servers of the test's own. Those of one directory have one store."""
    started: list[Server] = []
    urls: dict[str, str | None] = {}

    def start(*options: str, directory: str = "data", **environment: str) -> Server:
        if directory not in urls:
            urls[directory] = database()
        running = Server(tmp_path / directory, *options, environment=environment, database_url=urls[directory])
        started.append(running)
        return running

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture
def own_database() -> Iterator[Any]:
    """A server of PostgreSQL of the test's own, which it may stop and start."""
    with databases.OwnPostgresql() as running:
        yield running


@pytest.fixture
def server_at() -> Iterator[Callable[..., Server]]:
    """Start servers on directories and databases that are named."""
    started: list[Server] = []

    def start(directory: Path, url: str | None, *options: str, **environment: str) -> Server:
        running = Server(directory, *options, environment=environment, database_url=url)
        started.append(running)
        return running

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """The administrator's plain HTTP client to the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture
def project(http: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A project of the test's own on the shared server."""
    key = f"{request.node.name[:60].replace('/', '-').replace('[', '-').rstrip(']')}-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": key}).raise_for_status()
    return key


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """Check that an answer is the one error object with this status, code and field; return it."""

    def check(answer: httpx.Response, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
        assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
        assert answer.headers["content-type"] == "application/json"
        [(name, error)] = answer.json().items()
        assert name == "error"
        assert set(error) == {"message", "type", "code", "param", "hint"}
        assert error["message"]
        assert code is None or error["code"] == code, error
        assert param is None or error["param"] == param, error
        return error

    return check


@pytest.fixture(scope="session")
def upstream() -> Iterator[Any]:
    """A provider of language models that misbehaves on demand; see tests/upstream."""
    module = _beside("upstream/__init__")
    running = module.Upstream()
    yield running
    running.stop()


class Gateway:
    """A project of a server, and models of the upstream in it."""

    def __init__(self, server: Server, project: str, upstream: Any) -> None:
        self.server = server
        self.project = project
        self.upstream = upstream
        self.http = server.client()
        self.external: list[str] = []
        """What the provider calls the models that were made."""

    def model(self, behaviour: str = "good", provider: str = "open_ai", **more: Any) -> str:
        """Register a model that behaves so, and attach it; return the name to call it by."""
        key = f"{behaviour}-{uuid4().hex[:8]}"
        body = {
            "key": key,
            "provider": provider,
            "external_model_id": f"{behaviour}:{key}",
            "endpoint": self.upstream.url if provider == "anthropic" else self.upstream.endpoint,
            "api_key": "sk-of-the-provider",
            "project": self.project,
            **more,
        }
        self.http.post("/api/v1/models", json=body).raise_for_status()
        self.external.append(body["external_model_id"])
        return f"{self.project}/{key}"

    def ask(self, model: str, text: str = "Hello there", **more: Any) -> httpx.Response:
        """Make a call that is not streamed."""
        return self.http.post(
            "/api/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": text}], **more},
        )

    def stream(self, model: str, text: str = "Hello there", **more: Any) -> tuple[list[dict[str, Any]], bool]:
        """Make a streamed call; return its chunks, and whether [DONE] came."""
        chunks, done = [], False
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}
        with self.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line:
                    assert line.startswith("data: {")
                    chunks.append(json.loads(line[6:]))
        return chunks, done

    def wait_until_quiet(self, seconds: float = 10.0) -> None:
        """Wait until no call is under way, neither here nor at the provider."""
        end = time.monotonic() + seconds
        while "afterword_streams 0.0" not in self.http.get("/metrics").text:
            assert time.monotonic() < end, "a call is still under way"
            time.sleep(0.02)
        for model in self.external:
            self.upstream.wait_until_idle(model, seconds)

    def logged(self, completion_id: str) -> dict[str, Any]:
        """Return the interaction."""
        return self.http.get(f"/api/v1/interactions/{completion_id}").raise_for_status().json()

    def newest(self) -> dict[str, Any]:
        """Return the newest interaction of the project, whole."""
        query = {"project": self.project, "limit": 1, "view": "full"}
        [newest] = self.http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
        return newest

    def count(self) -> int:
        """Return how many interactions the project has."""
        query = {"project": self.project, "limit": 1, "count": True}
        return self.http.get("/api/v1/interactions", params=query).raise_for_status().json()["count"]


@pytest.fixture
def gateway(server: Server, project: str, upstream: Any) -> Iterator[Gateway]:
    """The shared server as a gateway to the upstream, with a project of the test's own."""
    upstream.forget()
    made = Gateway(server, project, upstream)
    yield made
    made.http.close()
