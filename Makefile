# Needs Python 3.11 or later and make; everything else is set up by the targets themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
# The stack runs on what requirements/stack.txt names, or with RQMON_LOCK=rq3 on rq 3 and the newest redis-py.
export RQMON_LOCK ?= stack
$(if $(filter stack rq3,$(RQMON_LOCK)),,$(error RQMON_LOCK is "$(RQMON_LOCK)": use stack or rq3))
STACK := $(if $(filter rq3,$(RQMON_LOCK)),.venv-rq3,$(VENV))
# Two processes in CI; at home one, as pytest-xdist, interrupted, leaves behind what tests have started.
PROCESSES := $(if $(CI),-n 2 --no-loadscope-reorder)

MEASURED := tests/unit $(addprefix tests/integration/,scheduler cli exporter rq_dashboard)

# pip verifies every download against the hashes in requirements/*.txt. They are complete; of rq3.txt pip would
# say that rq-exporter asks for an older RQ.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is older. Set PYTHON=python3.11 or later."; exit 2; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing $(2) into $(1) ..."
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(2)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.stack: requirements/stack.txt pyproject.toml
	$(call install,$(VENV),requirements/stack.txt)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(call install,$(VENV),requirements/dev.txt)
	@touch $(VENV)/.stack

.venv-rq3/.stack: requirements/rq3.txt pyproject.toml
	$(call install,.venv-rq3,requirements/rq3.txt)

##@ The stack

.PHONY: start-rq-mon stop-rq-mon status logs demo test-rq purge-queue
start-rq-mon: $(STACK)/.stack  ## Start everything: Redis, workers, cron, exporter, Prometheus, Grafana
	@$(STACK)/bin/rqmon start

stop-rq-mon: $(STACK)/.stack  ## Stop everything; the data stays
	@$(STACK)/bin/rqmon stop

status: $(STACK)/.stack  ## Say what runs, and where
	@$(STACK)/bin/rqmon status

logs: $(STACK)/.stack  ## Show the last lines of every service's log
	@$(STACK)/bin/rqmon logs

demo: $(STACK)/.stack  ## Queue a seeded mix of jobs for two minutes, to fill the dashboards
	@$(STACK)/bin/rqmon demo

test-rq: $(STACK)/.stack  ## Queue a load test of rate-limited jobs, JOBS=1000
	@$(STACK)/bin/python manage.py test_rq $(if $(JOBS),--generated_jobs $(JOBS))

purge-queue: $(STACK)/.stack  ## Delete a queue's jobs for good: QUEUE=long-running STATE=queued
	@$(if $(QUEUE),,$(error Name the queue: make purge-queue QUEUE=long-running STATE=failed))
	@$(STACK)/bin/python manage.py purge_queue $(QUEUE) --queue_state $(or $(STATE),queued)

##@ The workshop

.PHONY: dashboards dashboards-export wheel check format test coverage test-rq3 chaos verify-dashboards drill drills drills-quiet bench bench-cron bench-exporter bench-volume bench-worker
dashboards: $(VENV)/.stack  ## Generate monitoring/grafana/dashboards from dashboards/
	@$(RUN)/python -m dashboards

dashboards-export: $(VENV)/.stack  ## Write importable dashboards to ./dashboards-export, for a Grafana of your own
	@$(RUN)/python -m dashboards.export dashboards-export

# What an earlier build has left in build/ would be in this one too.
wheel: $(VENV)/.stack  ## Build dist/rqmon-*.whl, which installs with pip
	@rm -rf build
	@$(RUN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/rqmon-*.whl

check: $(VENV)/.dev  ## Lint (dashboards too), types, import contracts, generated files up to date
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(RUN)/mypy
	@$(RUN)/lint-imports
	@$(RUN)/python -m dashboards --check
	@$(RUN)/python -m dashboards.lint

format: $(VENV)/.dev  ## Format the code
	@$(RUN)/ruff check --fix --quiet . ; $(RUN)/ruff format .

test: $(VENV)/.dev  ## Run every test that this machine can run
	@$(RUN)/python -m pytest $(PROCESSES)

# Without stacks, containers and browsers. Measuring takes 1.6 times the processor time, so no other target does.
coverage: $(VENV)/.dev  ## Run the unit and integration tests, and say how much of the code they run
	@$(RUN)/python -m coverage erase
	@$(RUN)/python -m coverage run -m pytest $(PROCESSES) -m "not stack" $(MEASURED)
	@$(RUN)/python -m coverage combine --quiet
	@echo "Coverage of scheduler, rqmon and dashboards by $(MEASURED): $$($(RUN)/python -m coverage report --format=total)%"

test-rq3: .venv-rq3/.stack  ## Run the tests of all that asks RQ or Redis on rq 3 and the newest redis-py
	@.venv-rq3/bin/python -m pytest $(PROCESSES) tests/unit/scheduler tests/unit/rqmon \
	  tests/integration/{scheduler,exporter,cli,doctor,rq_dashboard,test_key_prefix.py,test_unpickling.py,test_redis_rights.py}

verify-dashboards: $(VENV)/.dev  ## Ask a real Prometheus every query of every dashboard, under load
	@$(RUN)/python -m dashboards.verify

drill: $(VENV)/.dev  ## Cause what an alert tells of, and mend it: ALERT=RQQueueNoWorkers
	@$(if $(ALERT),,$(error Name the alert: make drill ALERT=RQQueueNoWorkers))
	@$(RUN)/python -m dashboards.drills $(ALERT)

drills: $(VENV)/.dev  ## The same for every alert, for an hour
	@$(RUN)/python -m dashboards.drills

drills-quiet: $(VENV)/.dev  ## Prove that nothing is told when nothing is wrong, for 20 minutes
	@$(RUN)/python -m dashboards.drills.quiet

chaos: $(VENV)/.dev  ## Break each container under load, and print what came of it
	@$(RUN)/python -m pytest tests/containers/test_faults.py

bench: $(VENV)/.dev  ## Measure job_scheduler beside rq itself
	@$(RUN)/python -m benchmarks.enqueue

bench-cron: $(VENV)/.dev  ## Measure cron beside rq's and rq-scheduler's, for ten minutes
	@$(RUN)/python -m benchmarks.cron

bench-exporter: $(VENV)/.dev  ## Measure a scrape beside rq-exporter's
	@$(RUN)/python -m benchmarks.exporter

bench-volume: $(VENV)/.dev  ## Measure memory for each job, and a scrape with a million of them
	@$(RUN)/python -m benchmarks.volume

bench-worker: $(VENV)/.dev  ## Measure what recording costs a job
	@$(RUN)/python -m benchmarks.worker

.PHONY: lock
lock: $(VENV)/.dev  ## Resolve requirements/*.txt again from pyproject.toml
	@compile() { $(RUN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml "$$@"; }; \
	compile --extra stack --output-file requirements/stack.txt && \
	compile --extra dev --output-file requirements/dev.txt && \
	compile --extra stack --extra testing --extra django --override requirements/rq3.in requirements/rq3.in \
	  --output-file requirements/rq3.txt
