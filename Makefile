# Each target does its own set-up. Needs Python 3.11 or newer and make.

PYTHON ?= python3
BIN := .venv/bin
# Where it is set, each of the many servers and commands that tests start would compile its sources anew.
unexport PYTHONDONTWRITEBYTECODE

PAGE := src/afterword/static/index.html
PAGE_SOURCES := $(shell find web/src web/public web/index.html web/*.json web/vite.config.ts -type f ! -path "*/generated/*" \
	! -name openapi.json) src/afterword/api/routes.py $(wildcard src/afterword/types/*.py)

.PHONY: setup serve web test test-all test-clients check check-types check-others fix reference bench bench-scale bench-peers lock clean

setup: .venv/ready $(PAGE) ## install everything into .venv, and build the web page

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(PAGE): .venv/ready $(PAGE_SOURCES)
	$(BIN)/python scripts/web.py build

web: .venv/ready ## serve the web page with reload, in front of a server that runs already (AFTERWORD_URL)
	$(BIN)/python scripts/web.py dev

serve: setup ## run the server on the embedded store
	$(BIN)/afterword serve

test: setup check ## run all checks, and the tests of all that a change may break
	$(BIN)/python scripts/browser.py > /dev/null
	$(BIN)/pytest -n auto --dist loadgroup

test-all: ## run all checks and all tests: those that take long too, on each store
	AFTERWORD_TEST_ALL=1 $(MAKE) test

test-clients: setup ## run the tests of published clients with every release
	AFTERWORD_ALL_CLIENTS=1 $(BIN)/pytest -n auto --dist loadgroup tests/clients

check: setup ## lint, types, generated files
	$(MAKE) --jobs=2 check-types check-others

check-types:
	$(BIN)/pyright

check-others:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/unasync.py --check
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/web.py test

fix: setup reference ## format, and write generated files anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/unasync.py

reference: setup ## write docs/reference from the tables that the server reads
	$(BIN)/python scripts/reference.py

bench: setup ## run the benchmarks and print their tables
	$(BIN)/python -m benchmarks

bench-scale: setup ## load and measure ten million interactions on each store (SIZE, STORES; 60 GB of disk, hours on two cores)
	for store in $(or $(STORES),sqlite postgresql); do \
		$(BIN)/python -m benchmarks scale --store $$store $(if $(SIZE),--size $(SIZE)) || exit 1; done

bench-peers: setup ## the same jobs against Afterword and its peers, which are installed outside the tree (CONTENDERS)
	$(BIN)/python -m benchmarks peers $(if $(CONTENDERS),--contenders $(CONTENDERS))

lock: setup ## resolve the dependencies anew, with versions and hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --extra server --extra telemetry --extra parquet --group dev pyproject.toml --output-file requirements.txt

clean: ## remove what the targets made
	rm -rf .venv build dist web/node_modules src/afterword/static
