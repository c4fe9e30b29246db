# Two commands on a machine that has only Python 3.11+ and make: `make demo` and `make test`.
# Everything is made inside the checkout: packages in .venv, data in var.

SHELL := /bin/sh
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PORT ?= 8000
ARGS ?=
export PORT

VENV := .venv/bin/python
STAMPS := .venv/.stamps

# A pyenv shim exists for a Python that is not chosen, and Debian's Python has no ensurepip unless
# python3-venv is installed: so each candidate is tried, not only looked for.
IS_USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# A stamp is only as good as its venv: one whose Python is gone is made anew.
VENV_WORKS := $(shell $(VENV) -c 'import pip; print("yes")' 2>/dev/null)
ifeq ($(VENV_WORKS),yes)
PYTHON := $(VENV)
else
.PHONY: $(STAMPS)/venv
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c '$(IS_USABLE)' >/dev/null 2>&1; then echo $$p; exit; fi; done; echo python3)
endif
endif

PIP := $(VENV) -m pip --disable-pip-version-check --quiet install

help:  ## Say what there is to make.
	@sed -n 's/^\([a-z]*\):.*##/  make \1\t/p' Makefile

demo: port $(STAMPS)/demo  ## Run the site on http://127.0.0.1:8000/ (PORT=8123 for another port).
	@exec $(VENV) -m example_project.demo --port "$$PORT"

test: $(STAMPS)/dev  ## Run all tests on SQLite and on PostgreSQL (ARGS="-k name" for some).
	@exec $(VENV) -m tests $(ARGS)

lint: export SECRET_KEY = lint-has-no-secrets-but-django-wants-fifty-different-characters
lint: export DATABASE_URL = sqlite://:memory:
lint: export ALLOWED_HOSTS = example.org
lint: $(STAMPS)/lint  ## Check style, types, layers, migrations and the production settings.
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy
	$(VENV) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(VENV) manage.py makemigrations --check --dry-run
	$(VENV) manage.py check --deploy --fail-level WARNING
	$(VENV) -m pytest -q tests/test_house.py

setup: $(STAMPS)/lint  ## Install everything that the work on this project needs.

clean:  ## Remove what was made, data included.
	rm -rf .venv .tox var build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

port: python
	@$(PYTHON) -m example_project.preflight --port "$$PORT"

python:
	@$(PYTHON) -c '$(IS_USABLE)' 2>/dev/null || { \
	echo "No Python 3.11 or newer with venv and ensurepip was found: install one (on Debian and" \
	"Ubuntu: apt install python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 1; }

$(STAMPS)/venv: | python
ifneq ($(VENV_WORKS),yes)
	@echo "Making .venv with $(PYTHON) ..."
	@$(PYTHON) -m venv --clear .venv
endif
	@mkdir -p $(STAMPS) && touch $@

# Each extra includes those before it.
$(STAMPS)/demo: EXTRAS = demo
$(STAMPS)/dev: EXTRAS = dev demo
$(STAMPS)/lint: EXTRAS = lint dev demo
$(STAMPS)/demo $(STAMPS)/dev $(STAMPS)/lint: pyproject.toml $(STAMPS)/venv
	@echo "Installing the packages for [$(@F)] into .venv ..."
	@$(PIP) --editable '.[$(@F)]'
	@touch $(EXTRAS:%=$(STAMPS)/%)

.PHONY: help demo test lint setup clean port python
