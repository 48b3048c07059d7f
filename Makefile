# Every target brings what it needs: the environment in .venv is made and kept up to date on the way.
.DEFAULT_GOAL := help
.PHONY: help run test lint format openapi soak bench

# The environment's bytecode is what makes starts quick, so a caller's wish to have none is not taken over.
unexport PYTHONDONTWRITEBYTECODE

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the service in the foreground, on HOST and PORT (127.0.0.1:8000)
	@exec scripts/run

test: ## everything that is checked: lint, format, types, layers, and all tests
	@exec scripts/test

lint: ## ruff, formatting, types and import layers, without tests
	@exec scripts/lint

format: ## format the code and mend what can be mended by itself
	@scripts/environment dev
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

openapi: ## write openapi.yaml from the code
	@scripts/environment dev
	@.venv/bin/python -m app.openapi

soak: ## the fault tests in full (make test runs a sample of them)
	@scripts/environment dev
	@SOAK=1 .venv/bin/python -m pytest tests/faults

bench: ## measure speed and memory
	@scripts/environment dev
	@.venv/bin/python -m bench
