# `make demo` shows the project at work, `make test` and `make check` are what a change has to pass.
# Each sets up .venv by itself, once: the stamp is as old as the last install, and only a newer pyproject.toml
# makes it run again. PYTHON names the interpreter that .venv is made with (3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# One worker a core; one that is done early takes tests from the others.
PARALLEL := --numprocesses=logical --dist=worksteal

# Bytecode is kept: workers and the processes that tests start would compile the same sources again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long notebooks fuzz check format bench docs docs-serve page web clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stawm needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/stawm demo

test: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL)

test-long: $(STAMP)
	$(BIN)/python -m pytest -m "" --hypothesis-profile=long

# Run the notebooks, and keep what they show; in some minutes.
notebooks: $(STAMP)
	$(BIN)/python -m tools.notebooks $(ARGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz.checkpoints $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/python -m pytest $(PARALLEL) tests/test_docs.py tests/test_architecture.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, into build/docs.
docs: $(STAMP)
	$(BIN)/python -m mkdocs build --strict

docs-serve: $(STAMP)
	$(BIN)/python -m mkdocs serve --strict --dev-addr 127.0.0.1:8000

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# The page of `stawm web`, from its sources in web/; needs Node 20 or newer, and of Python its library alone.
page:
	cd web && npm ci && npx tsc && npx vitest run && npx vite build
	$(PYTHON) tools/page.py

# The page with the models that come with the package, on this machine.
web: $(STAMP) page
	$(BIN)/stawm web stawm-mnist-8 stawm-mnist-draw-6 stawm-mnist-sketchpad stawm-cluttered-100 stawm-recall \
	  --out site --serve

clean:
	rm -rf .venv build demo site web/node_modules .pytest_cache .ruff_cache .hypothesis
