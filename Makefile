# Everything a developer or a newcomer runs. Each target sets up what it needs; nothing has to be installed by hand.
# Variables: PYTHON=python3.12 picks the interpreter, VENV=.venv-3.12 keeps a second environment beside the first,
# TESTS=tests/unit runs a part, PROCESSES=1 one test at a time (most of them wait for others), SOAK and BENCH pick the
# tier (quick or night; BENCH=smoke is a small round of each benchmark).

VENV ?= .venv
TESTS ?=
PROCESSES ?= 4
SOAK ?= quick
BENCH ?= quick
BIN := $(VENV)/bin
SETUP := PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/setup

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run manager test soak bench ci lint types format docs site lock dist clean

help: ## Explain these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## Set up, then run the node in the foreground with config.yaml; Ctrl-C stops it
	@$(SETUP) run
	@exec $(BIN)/job_item --config config.yaml

manager: ## A message broker, the example Job Manager and a node of it, until Ctrl-C; BROKER=nats, redis or rabbitmq
	@$(SETUP) run
	@exec $(BIN)/python -m tools.stage

test: ## Set up, servers for tests too where that may be, then run every test; TESTS=tests/unit for a part
	@$(SETUP) dev
	@sh tools/servers
	SOAK=$(SOAK) $(BIN)/python -m pytest --numprocesses $(PROCESSES) $(MARKED) $(TESTS)

soak: ## Chaos: kill loops, hostile values; SOAK=quick (minutes) or SOAK=night (an hour), SOAK_SLICE=3/20 a part of it
	@$(SETUP) dev
	@sh tools/servers
	SOAK=$(SOAK) $(BIN)/python -m pytest -m soak --numprocesses $(PROCESSES) $(TESTS)

bench: ## Measure speed and size into benchmarks/results.md; BENCH=smoke (a small round, not kept), quick or night
	@$(SETUP) dev
	@PYTHON='$(PYTHON)' VENV=.venv-peers sh tools/setup peers
	$(BIN)/python -m benchmarks $(BENCH)

ci: BENCH := smoke
ci: MARKED := -m ''
ci: lint types site bench test ## What .ci/run runs: lint, types, site, a round of each benchmark, every test and chaos

lint: ## Check style with ruff
	@$(SETUP) dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: ## Check types with mypy --strict
	@$(SETUP) dev
	$(BIN)/mypy

format: ## Rewrite the code in the one style
	@$(SETUP) dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: ## Write what is generated anew: pages of docs/, the schema of the configuration
	@$(SETUP) dev
	$(BIN)/python -m tools.errors_page
	$(BIN)/python -m tools.api_page
	$(BIN)/python -m tools.cli_page
	$(BIN)/python -m tools.templates_page
	$(BIN)/python -m tools.settings_page
	$(BIN)/python -m tools.settings_schema
	$(BIN)/python -m tools.readme_page

site: ## Make the site of the documentation in build/site; every warning is an error
	@PYTHON='$(PYTHON)' VENV=.venv-docs sh tools/setup docs
	.venv-docs/bin/sphinx-build --quiet --fail-on-warning --nitpicky --keep-going -d build/doctrees docs build/site

lock: ## Pin the newest allowed versions, with hashes, in the requirements*.lock
	@sh tools/lock

dist: ## Build what people install: dist/ with wheel, sdist, job_item.pyz, lock and checksums
	@$(SETUP) dev
	$(BIN)/python -m tools.dist

clean: ## Remove environments, caches and what was built; jobs and their output in .job_item stay
	rm -rf $(VENV) .venv-lock .venv-node-* .venv-docs .venv-peers build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
