# Every command does all of its own set-up; `make help` lists them.
SHELL := /bin/sh
VENV := $(or $(EPHEMERA_VENV),.venv)
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check format bench bench-peers bench-gate soak chaos hostile migrate setup setup-dev

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup:
	@./deploy/bootstrap run

setup-dev:
	@./deploy/bootstrap dev

run: setup ## start the service on 127.0.0.1:8080 with its own PostgreSQL (ARGS="--port 9000" …)
	@exec $(VENV)/bin/ephemera serve $(ARGS)

test: setup-dev ## run all tests (ARGS="-k name" …)
	@$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: setup-dev ## formatter, linter, types, import contracts, security findings
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m tests.judged

format: setup-dev ## let the formatter and the linter mend what they can
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: setup-dev ## answer the questions in bench/ and print the tables (ARGS="load" for one)
	@$(PY) -m bench $(ARGS)

bench-peers: setup-dev ## beside sharp, ipx, thumbor, qpdf and others (ARGS="--rows jpeg,merge --out table.md")
	@$(PY) -m bench peers $(ARGS)

bench-gate: setup-dev ## system calls, faults, statements and copies of a request against the committed figures
	@$(PY) -m bench gate $(ARGS)

soak: setup-dev ## minutes of conversions with random faults, bounded (ARGS="--minutes 10")
	@$(PY) -m bench soak $(ARGS)

chaos: setup-dev ## the ledger under random kills, its books checked (ARGS="--debits 1000000 --kills 200")
	@$(PY) -m bench chaos $(ARGS)

hostile: setup-dev ## crash, bomb and damaged files through every converter (ARGS="--count 10000")
	@$(PY) -m bench hostile $(ARGS)

migrate: setup ## bring the database to this version's schema (ARGS="--database-url …")
	@exec $(VENV)/bin/ephemera migrate $(ARGS)
