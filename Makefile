# Needs Python 3.11 or newer, make and a package index; everything else is installed into .venv on first use.

VENV  := .venv
PEERS := .venv-peers
RIVALS := torch==2.13.0 expecttest jax autograd casadi scikit-learn

PYTHONS  = $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
LOCATION = import sys; sys.version_info >= (3, 11) and print(sys.executable)

.DEFAULT_GOAL := help
.PHONY: help tour test lint bench bench-smoke peers test-peers docs dev clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  A Python of your choice: make tour PYTHON=/path/to/python'

tour: $(VENV)/.tour ## work through the lecture's cases; prints the numbers and where the report is
	@$(VENV)/bin/chainrule tour

test: $(VENV)/.dev ## run the tests, the examples in docstrings, and examples/ (ARGS=… go to pytest)
	$(VENV)/bin/python -m pytest -n auto --maxprocesses 8 $(ARGS)
	$(VENV)/bin/python -m pytest --doctest-modules src/chainrule
	@for example in examples/*.py; do \
	    [ -e "$$example" ] || continue; echo "$$example"; \
	    MPLBACKEND=agg $(VENV)/bin/python -W error "$$example" >/dev/null || exit 1; \
	done

lint: $(VENV)/.dev ## check style, format and the types of the public surface
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(PEERS)/.peers ## time against PyTorch and others, interleaved (BENCH='exp* --json times.json')
	@$(PEERS)/bin/python -m bench $(BENCH)

bench-smoke: $(VENV)/.dev ## run every benchmark once, with its checks, without timing
	@$(VENV)/bin/python -m bench --smoke

peers: $(PEERS)/.peers ## make .venv-peers, a second environment with PyTorch, JAX and others

test-peers: $(PEERS)/.peers ## compare with PyTorch and others on the same programs (ARGS=… go to pytest)
	$(PEERS)/bin/python -m pytest tests/peers $(ARGS)

docs: $(VENV)/.dev ## build the generated documentation
	$(VENV)/bin/python -m docs.build

dev: $(VENV)/.dev ## make .venv with everything for development

clean: ## remove the environments and everything generated
	rm -rf $(VENV) $(PEERS) .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist site chainrule-tour
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The files .tour, .dev and .peers say what an environment holds; they are renewed when pyproject.toml changes.

$(VENV)/.tour: pyproject.toml $(VENV)/bin/python
	@$(call install,-e '.[plot]')
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/bin/python
	@$(call install,-e '.[dev]')
	@touch $@ $(VENV)/.tour

# With pip, because uv does not see a PyTorch that pip's configuration points at.
$(PEERS)/.peers: pyproject.toml Makefile $(PEERS)/bin/python
	@echo 'installing $(RIVALS) into $(PEERS), once: some minutes'
	@$(call pip,-e '.[plot]' pytest hypothesis $(RIVALS))
	@touch $@

pip = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(1)

# uv where it is present and finds the packages, else pip.
define install
echo "installing chainrule into $(@D), once"; \
{ command -v uv >/dev/null && uv pip install --quiet --python $(@D)/bin/python $(1); } || $(call pip,$(1)) || { \
    echo 'chainrule: the packages could not be installed, see above. Is a package index within reach?' >&2; exit 1; }
endef

$(VENV)/bin/python $(PEERS)/bin/python:
	@for candidate in $(PYTHONS); do \
	    python=$$("$$candidate" -c '$(LOCATION)' 2>/dev/null) && [ "$$python" ] && break; python=; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'chainrule: no Python 3.11 or newer among: $(PYTHONS)' >&2; \
	    echo '  to fix it: install one, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python' >&2; exit 1; \
	fi; \
	venv=$(@D:/bin=); rm -rf "$$venv"; \
	{ command -v uv >/dev/null && uv venv --quiet --seed --python "$$python" "$$venv"; } || \
	"$$python" -m venv --clear "$$venv" || { \
	    rm -rf "$$venv"; echo "chainrule: $$python cannot make a virtual environment, see above" >&2; \
	    echo '  to fix it: install its venv module (Debian, Ubuntu: apt install python3-venv), or uv' >&2; exit 1; \
	}
