# Every target makes or refreshes .venv by itself; all it needs is Python 3.11+ and make.
#   make PYTHON=python3.12 ...   another interpreter
#   make ROOT=folder ...         another workspace
#   make screenshot GUEST=id PLACE=id   a certain showcase
#   make fuzz FUZZ_SEED=1   other bytes

PYTHON ?= python3
ROOT ?= workspace
STUDY_ROOT ?= workspace-study
CONFIG ?= jobs/configs/mini.yaml
PORT ?= 5000
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 0
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
quoted = '$(subst ','\'',$(1))'

export ALLOWED_SKIPS
export PYTHONPATH := $(CURDIR)/platform:$(CURDIR)
export RAY_USAGE_STATS_ENABLED := 0
export MLFLOW_DISABLE_TELEMETRY := true
# Ray makes a token (~/.ray/auth_token) at first use: other users of this machine can't run code in your cluster.
export RAY_AUTH_MODE ?= token

.PHONY: help demo test test-fast coverage docs test-docs extras fuzz faults soak nodes tracking full-size slow reproduce contract check format serve mlflow screenshot study clean clean-all

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-18s%s\n", $$1, $$2}'

demo: $(READY) ## run the pipeline on the generated corpus, then request one showcase
	$(PY) -m jobs.demo --config $(call quoted,$(CONFIG)) --root $(call quoted,$(ROOT))

serve: $(READY) ## start the service and its web page, after `make demo`
	$(PY) -m serve_apps.run --root $(call quoted,$(ROOT))

mlflow: $(READY) ## start MLflow's UI: runs, metrics, registered models
	$(PY) -m jobs.mlflow_ui --root $(call quoted,$(ROOT)) --port $(PORT)

screenshot: $(READY) ## take the README's screenshot with a headless browser
	$(PY) -m serve_apps.screenshot --root $(call quoted,$(ROOT)) --out docs/showcase.png $(if $(GUEST),--user $(GUEST)) $(if $(PLACE),--business $(PLACE))

reproduce: $(READY) ## slow: reproduce the paper's Tables 1 to 5 and Figures 3 and 6 with three seeds
	$(PY) -m jobs.reproduce --config $(call quoted,$(CONFIG)) --root $(call quoted,$(ROOT)) --seeds 0,1,2 --cluster.cpus_per_worker 1

study: $(READY) ## slow: three seeds each, and the generator with and without photos, in workspace-study
	$(PY) -m jobs.pipeline --config $(call quoted,$(CONFIG)) --root $(call quoted,$(STUDY_ROOT)) \
	  --train_selector.seeds '[0,1,2]' --train_generator.seeds '[0,1,2]' \
	  --train_generator.variants '["img+text", "img", "text"]'

test: check ## checks, then all tests but the slow ones
	$(PY) -m pytest -m "not slow" -n 2 --dist loadscope --durations=20

test-fast: $(READY) ## tests without Ray, servers, browsers, Java or several processes
	$(PY) -m pytest -m "not slow and not ray and not server" -n 2 --dist loadscope

coverage: $(READY) ## coverage of the library by tests without Ray
	$(PY) -m pytest -m "not slow and not ray" -n 2 --dist loadscope --cov --cov-report=term

faults: $(READY) ## slow: embedding 20,000 photos, and training, while processes and nodes are lost
	$(PY) -m pytest -m slow -s tests/ray --ignore tests/ray/test_soak.py

soak: $(READY) ## slow: two pipelines at once on one workspace and a kill, ten rounds in a folder and ten on a failing S3
	$(PY) -m pytest -m slow -s tests/ray/test_soak.py

tracking: $(READY) ## slow: MLflow on PostgreSQL and S3, killed in the middle of a run, and serving the models itself
	$(PY) -m pytest -m "slow or not slow" -s tests/unit/jobs/tracking/test_tracking.py tests/unit/jobs/tracking/test_tracked_sweeps.py tests/unit/jobs/tracking/test_tracking_servers.py

nodes: $(READY) ## slow, as root: the pipeline on three hosts made of namespaces, while nodes and wires fail; writes nodes.md
	$(PY) -m pytest -m netns -s tests/cluster

full-size: $(READY) ## slow: three training steps of the generator at the paper's full size, on this machine
	$(PY) -m pytest -m slow tests/unit/generator

slow: $(READY) ## slow: every slow test, those of `make faults` among them
	$(PY) -m pytest -m slow -s

extras: $(READY) ## slow: a new virtual environment for the base package and for each extra, and what it must import
	$(PY) -m pytest -m slow tests/unit/test_extras.py

fuzz: $(READY) ## slow: 20,000 mutated photos and as many mutated review lines through the library, by FUZZ_SEED
	$(PY) -m benchmarks.faults.fuzz --photos 20000 --reviews 20000 --seed $(FUZZ_SEED)

contract: $(READY) ## slow: schemathesis for FUZZ_SECONDS against the service on ROOT, without and with keys (ROOT is written to)
	$(PY) -m benchmarks.faults.contract --root $(call quoted,$(ROOT)) --seconds $(FUZZ_SECONDS)

docs: $(READY) ## build the documentation into site/ (open site/index.html)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

test-docs: $(READY) ## slow: run every command of the docs that needs no cloud
	$(PY) -m pytest -m slow -s tests/docs

check: $(READY) ## lint, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(READY) ## fix lint and formatting
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## remove the default workspaces, the generated corpus and caches (never a custom ROOT)
	rm -rf workspace workspace-study corpus site .mypy_cache .ruff_cache .pytest_cache .coverage
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-all: clean ## the same, and the virtual environment
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; \`$(PYTHON)\` is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11" >&2; \
	  exit 1; }
	@echo "installing into $(VENV) (some minutes and gigabytes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[ray,serve,studies,annotation,dev]"
	@touch $@
