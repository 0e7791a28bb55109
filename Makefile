# Two commands do everything on a machine that has Python 3.11 or newer and make:
#
#   make demo    the whole story on what is embedded: ask, check, train, examine, report
#   make test    format, lint, strict types, layers, tests
#
# Both make .venv first. Nothing outside this folder is installed or upgraded.
# `make test PYTHON=/path/to/python3.12` picks the interpreter.

SHELL := /bin/sh
BIN := .venv/bin
INSTALLED := .venv/.installed
PYTHON :=

.DEFAULT_GOAL := help
.PHONY: help demo test check install format clean

help:
	@echo 'make demo      run the whole story on what is embedded, and say where the report is'
	@echo 'make test      format, lint, strict types, layers, tests: what .ci/run calls'
	@echo 'make check     the same without the tests: seconds instead of minutes'
	@echo 'make install   make .venv with the pinned dependencies'
	@echo 'make format    let ruff format and fix'
	@echo 'make clean     remove .venv and caches (never runs/)'

demo: $(INSTALLED)
	$(BIN)/stillroom demo

# Two at a time, each a process of its own: tests of signals want to be a process's main thread.
test: check
	@$(BIN)/python -m pytest tests/serve tests/watch & first=$$!; \
	$(BIN)/python -m pytest --ignore=tests/serve --ignore=tests/watch; second=$$?; \
	wait $$first && exit $$second

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(INSTALLED)

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A candidate counts only if it runs: a name on the PATH may be a shim for a version that is not there.
$(BIN)/python:
	@found=; unsuitable=; \
	for python in $(if $(PYTHON),$(PYTHON),python3.11 python3 python3.12 python3.13 python3.14); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
		unsuitable=$$python; \
	done; \
	if [ -n "$$found" ]; then \
		echo "Making .venv with $$("$$found" --version)"; \
		"$$found" -m venv .venv || { rm -rf .venv; exit 1; }; \
	elif [ -n "$$unsuitable" ]; then \
		echo "$$unsuitable cannot make virtual environments: install its venv package (on Debian: python3-venv)." >&2; exit 1; \
	else \
		echo 'stillroom needs Python 3.11 or newer, and found none.' >&2; \
		echo 'Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; \
	fi

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing the pinned dependencies: a few minutes, once'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
