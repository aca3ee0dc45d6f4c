.DEFAULT_GOAL := help
.PHONY: help demo test check format bench chaos manifests clean

VENV := .venv
BIN := $(VENV)/bin

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.sandbox  ## Release a good version and a bad one on a local cluster (KEEP=1 leaves it running)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/crossfade sandbox demo $(if $(KEEP),--keep)

test: check  ## Everything: style, types, layers, unit, property and end-to-end tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not e2e and not no_cover" --cov --cov-report=
	$(BIN)/coverage report --include='controller/rollout/*,controller/gloo/routes.py,analysis/*' --omit='analysis/connection.py,analysis/prometheus.py' --fail-under=100
	$(BIN)/python -m pytest --numprocesses 5 --dist loadfile --no-loadscope-reorder -m "e2e or no_cover"

check: $(VENV)/.dev  ## Style, types and layers only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## Count API calls and Prometheus requests; measure detection against its floor
	$(BIN)/python -m bench

chaos: $(VENV)/.dev  ## Break everything while versions are released, and check (SEED=1 MINUTES=5 APPLICATIONS=6 ROLLOUTS=)
	$(BIN)/python -m chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),5) \
		--applications $(or $(APPLICATIONS),6) $(if $(ROLLOUTS),--rollouts $(ROLLOUTS)) $(if $(KEEP),--keep $(KEEP))

manifests: $(VENV)/.dev  ## Write install/ and the table of values in the chart's README from the chart
	$(BIN)/python scripts/manifests.py

clean:  ## Remove the virtual environment and what the tools leave behind
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.sandbox: pyproject.toml constraints.txt
	@scripts/venv.sh $(VENV) sandbox

$(VENV)/.dev: pyproject.toml constraints.txt
	@scripts/venv.sh $(VENV) dev
	@touch $(VENV)/.sandbox
