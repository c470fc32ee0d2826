# A fresh machine needs python >= 3.11 and the PyPI and npm registries (and node >= 20, or one from PyPI is taken).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8

.DEFAULT_GOAL := help
.PHONY: schemas package sbom audit soak chaos faults mailboxes states help setup demo run test test-worker check lock bench fuzz browser format clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready $(BIN)/mms ## prepare .venv and the storage emulator, and nothing more

$(VENV)/.ready: requirements-dev.txt mms_local/azurite/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MMS needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.txt
	$(BIN)/python -m mms_local setup
	@touch $@

# The command line from this checkout; pip install . makes the same command anywhere else.
$(BIN)/mms: $(VENV)/.ready
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m mms_cli "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)" > $@
	@chmod +x $@

demo: setup ## do the main job on a seeded tenant, start to end
	$(BIN)/python -m mms_local demo

run: setup ## leave the same stack running (ctrl-c stops it)
	$(BIN)/python -m mms_local up --ready-file .mms/ready.json

test: setup ## every test: unit, contract, functional, system
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Microsoft's worker installs on Python 3.13 and newer only; `make test` runs its test when it runs on one itself.
NEWER := $(shell for each in python3.13 python3.14 "$$(pyenv prefix 3.13 2>/dev/null)/bin/python"; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && echo $$each && break; done)

test-worker: setup ## load the app in Microsoft's own worker, with a newer Python that stands beside
ifeq ($(NEWER),)
	@echo "No Python 3.13 or newer is on this machine's PATH: the app was not loaded in Microsoft's worker."
else
	@[ -x .venv-worker/bin/python ] || $(NEWER) -m venv .venv-worker
	$(BIN)/uv pip sync --quiet --require-hashes --python .venv-worker/bin/python requirements-dev.txt
	.venv-worker/bin/python -m pytest tests/local/test_worker.py
endif

AUDIT := .venv-audit/bin
.venv-audit/.ready: requirements-audit.txt $(VENV)/.ready
	[ -x $(AUDIT)/python ] || $(PYTHON) -m venv .venv-audit
	$(BIN)/uv pip sync --quiet --require-hashes --python $(AUDIT)/python requirements-audit.txt
	@touch $@

check: setup .venv-audit/.ready ## lint, types, import contracts, infra, security, licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python infra/check.py
	$(AUDIT)/checkov --directory . --skip-path '^/?(\.venv|\.mms|tests|docs|mms_|node_modules|requirements)' --config-file infra/.checkov.yaml
	$(AUDIT)/bandit --quiet --recursive function_app.py mms_core mms_cli
	# These start azd, git and func with arguments of their own: that is what they are for.
	$(AUDIT)/bandit --quiet --recursive --skip B404,B603,B607 infra
	$(AUDIT)/zizmor --offline --quiet .github

package: setup ## build dist/mms.zip, what is deployed and nothing else
	$(BIN)/python infra/package.py dist/mms.zip

sbom: setup .venv-audit/.ready ## write dist/sbom.json (CycloneDX) and docs/licences.md
	@mkdir -p dist
	$(AUDIT)/cyclonedx-py requirements requirements.txt --output-reproducible --of JSON -o dist/sbom.json
	$(BIN)/python infra/licences.py > docs/licences.md

audit: setup .venv-audit/.ready ## known vulnerabilities of what is deployed (asks PyPI's advisories)
	$(AUDIT)/pip-audit --strict --requirement requirements.txt --require-hashes --disable-pip

bench: setup ## measure what is fast, next to what others do
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra bench
	@set -e; for each in $(filter-out bench/capacity.py,$(wildcard bench/*.py)); do \
		echo "== $$each"; PYTHONPATH=. $(BIN)/python $$each; done
	# A small tenant; `python -m bench.capacity` is the large one and takes its time.
	@echo "== bench/capacity.py"; $(BIN)/python -m bench.capacity --users 2000

FUZZ_SECONDS ?= 3600
fuzz: setup ## fuzz the block package for an hour (FUZZ_SECONDS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra fuzz
	@mkdir -p .mms/fuzz
	$(BIN)/python fuzz/block.py -max_len=20000 -timeout=10 -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.mms/fuzz/ .mms/fuzz fuzz/corpus/block

CASES ?= 10000
EXAMPLES ?= 420
schemas: setup ## hold the live API to its description with thousands of cases (CASES, EXAMPLES)
	$(BIN)/python tests/schemas/campaign.py --cases $(CASES) --examples $(EXAMPLES)

browser: setup ## what people see before and after, in Debian's chromium
	MMS_BROWSER=1 $(BIN)/python -m pytest tests/browser

format: setup ## let ruff put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## compile requirements.txt and requirements-dev.txt from pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev -c requirements.txt --no-emit-package meeting-migration-service pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group audit -o requirements-audit.txt

HISTORIES ?= 2000
COMMANDS ?= 100
soak: setup ## long histories of commands, crashes and clocks (HISTORIES, COMMANDS)
	MMS_HISTORIES=$(HISTORIES) MMS_COMMANDS=$(COMMANDS) $(BIN)/python -m pytest tests/stateful -q --timeout 86400

RUNS ?= 200
SEED ?= 6
chaos: setup ## kill the real stack again and again, and count what was lost or doubled (RUNS, SEED)
	$(BIN)/python tests/chaos/campaign.py --runs $(RUNS) --seed $(SEED)

faults: setup ## let Graph and workers fail at every write of a mailbox, by both routes, and judge by the tenant
	$(BIN)/python -W ignore tests/proof/faults.py

MAILBOXES ?= 2000
mailboxes: setup ## migrate and undo thousands of generated mailboxes, and judge by the tenant (MAILBOXES)
	$(BIN)/python -W ignore tests/proof/mailboxes.py --mailboxes $(MAILBOXES)

states: setup ## write docs/states.md from the tables of transitions
	PYTHONPATH=. $(BIN)/python docs/generate_states.py

clean: ## remove what setup and runs have made
	rm -rf $(VENV) .mms mms_local/azurite/node_modules
