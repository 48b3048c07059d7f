# Every target installs what it needs: it makes the environment in .venv and keeps it up to date.
.DEFAULT_GOAL := help
.PHONY: help run test lint format openapi soak fuzz page docs bench conformance release-check

# Compiled bytecode makes starts quick, so this setting of the caller is ignored.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the service in the foreground, on HOST and PORT (127.0.0.1:8000)
	@exec scripts/run

test: ## every check and all tests: lint, format, types, layers, pytest
	@exec scripts/test

lint: ## ruff, formatting, types, import layers and known advisories, without tests
	@exec scripts/lint

format: ## format the code and fix what can be fixed automatically
	@scripts/environment dev
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

openapi: ## write openapi.yaml, docs/settings.md, docs/problems.md and the reference of docs/cli.md from the code
	@scripts/environment dev
	@.venv/bin/python -m scripts.write_openapi
	@.venv/bin/python -m scripts.write_commands
	@.venv/bin/python -m scripts.write_settings
	@.venv/bin/python -m scripts.write_problems

soak: ## the fault tests, the rolling restart and the matrix of rights over time in full (make test runs a sample)
	@exec scripts/soak

fuzz: ## the property tests with eighty times as many examples, and 10,000 requests of any kind
	@scripts/environment dev
	@FUZZ=1 .venv/bin/python -m pytest -m hypothesis -n 2

page: ## all tests of the page in Chromium, and the pictures of the docs
	@scripts/environment dev
	@PAGE=1 .venv/bin/python -m pytest tests/page

docs: ## build the site of the documentation into build/site, strictly
	@exec scripts/docs

bench: ## measure speed and memory
	@scripts/environment dev
	@.venv/bin/python -m bench

release-check: ## build wheel, source distribution and image, and run the quick start from an empty environment
	@scripts/environment dev
	@.venv/bin/python -m scripts.release_check

conformance: ## run the examples of clients that the tests do not install (pip and npm fetch them), and pyright
	@exec scripts/conformance
