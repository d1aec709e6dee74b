# busbar: `make demo` shows it, `make up` keeps it running, `make test` proves it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

VENV := .venv
BIN := $(VENV)/bin
# The system's Python first: distributions build it with profile-guided optimisation, which most
# other builds lack. It needs a fifth less processor time (docs/performance.md).
PYTHON ?= $(shell for python in /usr/bin/python3 python3.12 python3.11 python3.13 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	2>/dev/null && echo $$python && break; done)

# Without compiled files each process that a platform or a test starts would compile busbar,
# which takes half a second of processor time.
unexport PYTHONDONTWRITEBYTECODE

# Processes among which `make test` divides the tests. Each starts a broker of its own.
WORKERS ?= 2

# What `make check` has mypy check; everything that pyproject.toml names if it is empty.
TYPED ?=

.PHONY: help demo up test check clients-check faults interop bench lint format lock generate new-service release hooks doctor clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.runtime ## a real Kafka, all services, eight acts; attaches to a running `make up`
	@$(BIN)/busbar demo

up: $(VENV)/.runtime ## keep the platform running, history included; Ctrl-C stops all of it
	@$(BIN)/busbar up

doctor: $(VENV)/.runtime ## list what is missing on this machine, and how to get it
	@$(BIN)/busbar doctor

test: $(VENV)/.dev ## every test, with a real Kafka; nothing skips
	$(BIN)/pytest --numprocesses $(WORKERS) --no-loadscope-reorder

faults: $(VENV)/.dev ## break everything that can break; an hour on two cores; build/faults.json
	@cd tests && ../$(BIN)/python -m faults --report ../build/faults.json

interop: $(VENV)/.dev ## signatures in Go and TypeScript; the official CloudEvents SDKs as producers
	@cd tests && ../$(BIN)/python -m interop.signing
	@cd tests && ../$(BIN)/python -m interop

bench: $(VENV)/.dev ## measure it beside the limits; ten minutes; build/bench.json
	@cd tests && ../$(BIN)/python -m bench --report ../build/bench.json

clients-check: $(VENV)/.dev ## clients in Python, TypeScript and Go from contracts/openapi.json
	$(BIN)/python -m tools.clients

check: $(VENV)/.dev ## style, types, import contracts, generated files and released schemas
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/python -m tools.contracts check

format: $(VENV)/.dev ## fix and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(VENV)/.dev ## write schemas, contracts and other generated files
	$(BIN)/python -m tools.contracts generate

hooks: ## have git check commit messages (CONTRIBUTING.md)
	@git config core.hooksPath .githooks

# Only as the one goal, named on the command line: any other word would be a goal of its own, such
# as `clean`, and some environments have a NAME already.
ifneq (,$(filter new-service,$(MAKECMDGOALS)))
ifneq (command line 1,$(origin NAME) $(words $(MAKECMDGOALS)))
$(error new-service needs a name, and no other goal. Run: make new-service NAME=billing)
endif
endif

new-service: $(VENV)/.dev ## add a service that passes every check: NAME=billing
	@$(BIN)/python -m tools.new_service "$$NAME"
	@$(BIN)/python -m tools.contracts generate
	@touch -c $(VENV)/.runtime $(VENV)/.dev # of pyproject.toml, only the layers have changed

# Some environments have a VERSION already, and a release under it would be an accident.
ifneq (,$(filter release,$(MAKECMDGOALS)))
ifneq (command line 1,$(origin VERSION) $(words $(MAKECMDGOALS)))
$(error release needs a version, and no other goal. Run: make release VERSION=1.2.3)
endif
endif

release: $(VENV)/.dev ## make the commit and the tag of a release: VERSION=1.2.3 [DRY_RUN=yes]
	@$(BIN)/python -m tools.release make "$$VERSION" $(if $(DRY_RUN),--dry-run)

lock: $(VENV)/.dev ## pin every dependency at its newest version, with hashes
	for name in runtime dev; do $(BIN)/uv pip compile --quiet --upgrade --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		requirements/$$name.in --output-file requirements/$$name.txt; done
	$(BIN)/uv pip compile --quiet --upgrade --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		requirements/clients.in --output-file requirements/clients.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--constraint requirements/runtime.txt requirements/sdk.in --output-file requirements/sdk.txt

clean: ## remove what was installed and built; .busbar, the platform's state, stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis infra/kafka/lib

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 found" >&2; \
		echo "fix: apt-get install python3 python3-venv, or set PYTHON=/path/to/python" >&2; exit 1; }
	@echo "making a virtual environment in $(VENV) ($(PYTHON))"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "fix: apt-get install python3-venv" >&2; exit 1; }

# pip prints nothing while it unpacks, so a line every two seconds shows that it works.
define install
	@echo "installing $(1) (pinned, with hashes; this takes up to a minute the first time)"
	@( while sleep 2; do echo "  still installing"; done ) & ticker=$$!; \
		trap 'kill $$ticker 2>/dev/null' EXIT; \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r $(2)
endef

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml services/pyproject.toml | $(VENV)/bin/python
	$(call install,the packages of busbar,requirements/runtime.txt)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation \
		-e services -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.runtime
	$(call install,the packages of its tests,requirements/dev.txt)
	@touch $@
