# The gate and every way to run the product; `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

export PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
READY := .venv/.ready
CHECKS := check-types check-scripts check-style check-imports check-dead-code check-dependencies check-core-dependencies check-architecture

.PHONY: help setup lock check $(CHECKS) format test bench demo docs screenshots wheel changelog

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## install the locked dependencies and both packages into .venv (the other targets do it by themselves)

$(READY): requirements.lock pyproject.toml core/pyproject.toml
	@scripts/setup.sh
	@touch $@

lock: ## write requirements.lock from pyproject.toml; versions already in it stay where they still fit
	@scripts/lock.sh

check: $(READY) ## every linter, the type checker, the architecture test and the examples in the documentation
	@$(MAKE) --no-print-directory --jobs=$(JOBS) --keep-going --output-sync=target $(CHECKS)

check-types:
	@$(BIN)/python -m mypy

check-scripts:
	@.venv/node/node_modules/.bin/tsc --project tsconfig.json

check-style:
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check

check-imports:
	@$(BIN)/lint-imports --no-logo

check-dead-code:
	@$(BIN)/python -m vulture

check-dependencies:
	@$(BIN)/deptry src

check-core-dependencies:
	@cd core && ../$(BIN)/deptry src

check-architecture:
	@$(BIN)/python -m pytest --quiet tests/test_architecture.py tests/test_documentation.py

format: $(READY) ## let ruff format and repair what it can
	@$(BIN)/python -m ruff format
	@$(BIN)/python -m ruff check --fix

# A process can have one embedded database: files stay whole and in order, so that those that open their own come before those that share one.
# Only the longest are put before all others (tests/conftest.py), so that no worker has one of them left at the end.
test: $(READY) ## every test
	@$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder

bench: $(READY) ## the benchmarks; prints and writes bench/RESULTS.md
	@$(BIN)/python bench/run.py

demo: $(READY) ## Watchpost with recorded sessions and one agent that loops
	@$(BIN)/watchpost demo

docs: $(READY) ## the documentation as a site, in site/
	@$(BIN)/python scripts/docs_site.py

screenshots: $(READY) ## the pictures of docs/images, taken of the demo in a browser; ALL=FOLDER takes every page
	@$(BIN)/python scripts/screenshots.py $(if $(ALL),--all "$(ALL)")

wheel: $(READY) ## both wheels into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build --target wheel --directory "$(CURDIR)/dist"
	@cd core && ../$(BIN)/python -m hatchling build --target wheel --directory "$(CURDIR)/dist"

changelog: ## print what users can now do, joined from changelog.d/
	@for fragment in $(filter-out changelog.d/README.md,$(sort $(wildcard changelog.d/*.md))); do cat "$$fragment"; echo; done
