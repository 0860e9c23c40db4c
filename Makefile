# Everything a person or CI does here. `make help` lists it; each target installs first if needed.

PY := .venv/bin/python
INSTALLED := .venv/.installed
SOURCES := gateway tests scripts bench

.PHONY: help install run test crash-test overspend-test outage-test ops-test pictures bench bench-workers bench-cohort flame privacy-report growth fuzz lint format docs lock sbom clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; \
		do printf '  make %-14s %s\n' "$$name" "$$what"; done

install: $(INSTALLED) ## Create .venv with pinned versions (PYTHON=… names the interpreter).

$(INSTALLED): requirements.txt requirements-dev.txt pyproject.toml scripts/install
	@echo "installing into .venv (once; about a minute)"
	@PYTHON="$(PYTHON)" scripts/install
	@touch $@

run: $(INSTALLED) ## Start the gateway on 127.0.0.1:8080 (ARGS=… are flags of gateway serve).
	@exec .venv/bin/gateway serve $(ARGS)

test: lint ## Run everything: ruff, mypy and the tests (ARGS=… are arguments of pytest).
	@$(PY) scripts/sdks.py
	@$(PY) scripts/ocr.py
	@$(PY) -m pytest -n auto --maxprocesses=4 --dist=loadfile $(ARGS)

crash-test: $(INSTALLED) ## Kill -9 what runs under load, then audit the book, on both ledgers (KILLS=n).
	@$(PY) tests/exact/crash.py $(if $(KILLS),--kills $(KILLS)) $(ARGS)
	@$(PY) tests/exact/crash.py --redis $(if $(KILLS),--kills $(KILLS)) $(ARGS)

overspend-test: $(INSTALLED) ## Many clients against small budgets, on both ledgers.
	@$(PY) tests/exact/overspend.py $(ARGS)
	@$(PY) tests/exact/overspend.py --redis --replicas 4 $(ARGS)

outage-test: $(INSTALLED) ## Postgres away for 60 seconds at 200 requests a second.
	@$(PY) tests/exact/outage.py $(ARGS)

ops-test: $(INSTALLED) ## Alerts, dashboards, chart and container, with the tools of their users (installs them as root).
	@$(PY) scripts/ops_tools.py
	@$(PY) scripts/chart_tools.py
	@$(PY) -m pytest -m ops -rs tests/ops $(ARGS)

BENCH := PYTHONPATH=.:tests/exact $(PY)

pictures: $(INSTALLED) ## Draw docs/operate/pictures: the dashboards, of a run with faults (four minutes).
	@$(PY) scripts/ops_tools.py
	@PYTHONPATH=scripts:tests/exact $(PY) tests/ops/shown.py $(ARGS)

bench: $(INSTALLED) ## What a request costs, beside nginx (PEERS=1: and other gateways; ARGS=--quick).
	@$(BENCH) bench/bench.py $(if $(PEERS),--peers) $(ARGS)

bench-workers: $(INSTALLED) ## What 1, 2, 4 … workers cost on one Redis and Postgres, and how even their load is.
	@$(BENCH) bench/workers.py $(ARGS)

bench-cohort: $(INSTALLED) ## What it saves that requests go from verb to verb together.
	@$(BENCH) bench/cohort.py $(ARGS)

flame: $(INSTALLED) ## Where the gateway's time goes: a flame graph and a table, by py-spy.
	@$(BENCH) bench/flame.py $(ARGS)

privacy-report: $(INSTALLED) ## What redaction finds, misses and costs, beside stock Presidio (ARGS=--data FILE).
	@PYTHONPATH=. $(PY) bench/privacy_report.py $(ARGS)

growth: $(INSTALLED) ## 10 million entries, 100,000 keys, 5,000 projects, 2,000 streams (ARGS=--entries N; some 10 GB).
	@PYTHONPATH=.:bench $(PY) bench/growth.py $(ARGS)

fuzz: $(INSTALLED) ## Random texts through redaction and back, streams cut anywhere (STREAMS=n).
	@PYTHONPATH=.:bench $(PY) tests/privacy/fuzz.py $(if $(STREAMS),--streams $(STREAMS)) $(ARGS)

lint: $(INSTALLED) ## Check style and types.
	@$(PY) -m ruff check $(SOURCES)
	@$(PY) -m ruff format --check $(SOURCES)
	@$(PY) -m mypy

format: $(INSTALLED) ## Rewrite the sources in the one style.
	@$(PY) -m ruff check --fix $(SOURCES)
	@$(PY) -m ruff format $(SOURCES)

docs: $(INSTALLED) ## Write the generated pages of docs/reference/ and the dashboards anew.
	@$(PY) scripts/reference.py
	@$(PY) scripts/dashboards.py

lock: ## Pin dependencies anew after a change of pyproject.toml (needs uv).
	@scripts/lock

sbom: $(INSTALLED) ## Write dist/sbom.cdx.json: what is shipped, as CycloneDX (ARGS=FILE).
	@$(PY) scripts/sbom.py $(ARGS)

clean: ## Remove everything that is made, but var/ (the database and the pepper).
	@rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
