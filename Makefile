# Two commands do everything: `make serve` and `make test`. Both need Python 3.11+ and make, and nothing else.

PORT ?= 8000
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; \
	done; echo python3)
endif
# `make book REQUIREMENTS=newest.txt` tries other versions than the pinned ones.
REQUIREMENTS ?= requirements.txt -c constraints.txt
NB ?=
GROUP ?=

PY := .venv/bin/python
# One stamp for each place and each way of naming Python, so that a moved or copied folder and
# `PYTHON=python3.12 make ...` are noticed.
INSTALLED := .venv/.installed-$(shell pwd | cksum | cut -d ' ' -f 1)-$(subst /,_,$(PYTHON))
BOOK := _build/html/.complete
BOOK_SOURCES := $(shell find book bnviz _config.yml _toc.yml -type f \
	! -path '*/.*' ! -path '*/__pycache__/*' ! -path '*/_build/*' 2>/dev/null)

# Packages are compiled when they are first used, which halves the time to install; without the
# stored result every run would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve book test test-long test-machines lab notebooks bench links lock lint format clean
.DELETE_ON_ERROR:

help: ## Show this list
	@echo "make COMMAND [PYTHON=python3.12] [PORT=8000] [NB=book/one.ipynb]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

serve: $(BOOK) ## Build the book and serve it on this machine
	@$(PY) -m bnviz.tools.serve --port $(PORT)

book: $(BOOK) ## Build the book into _build/html
	@echo "The book is in _build/html"

test: lint $(BOOK) ## Check everything: style, the book, the package, notebooks, a real browser
	@echo "==> A browser for the tests"
	@$(PY) -m bnviz.tools.browser --install
	@echo "==> Tests"
	@$(PY) -m pytest --numprocesses 3 --dist loadgroup --durations 5 -m "not long"

test-long: $(BOOK) ## What takes longer: a fork's book, endurance, ten times the random examples
	@echo "==> The long tests"
	@$(PY) -m bnviz.tools.browser --install
	@BNVIZ_EXAMPLES=10 $(PY) -m pytest --numprocesses 3 --dist loadgroup --durations 5 -m "long or hypothesis"

test-machines: $(INSTALLED) ## Check the numbers again as other processors round them
	@$(PY) -m tests.machines

lab: $(INSTALLED) ## Start JupyterLab on the notebooks of the book
	@$(PY) -m jupyterlab --ServerApp.root_dir=book $$([ "$$(id -u)" != 0 ] || echo --allow-root)

notebooks: $(INSTALLED) ## Run the notebooks (or NB=one) and store their outputs
	@$(PY) -m bnviz.tools.notebooks $(NB)

bench: $(BOOK) ## Measure how fast it is, beside what a reader would otherwise use (GROUP=steps for one)
	@$(PY) -m bnviz.tools.browser --install
	@$(PY) -m bnviz.bench $(GROUP)
	@$(PY) -m bnviz.tools.notebooks bnviz/bench/speed.ipynb

links: $(INSTALLED) ## Look whether the links to other sites still lead somewhere
	@$(PY) -c 'from jupyter_book.cli.main import main; main()' build . --builder linkcheck --path-output _build/links

lock: $(INSTALLED) ## Write constraints.txt, the versions of all packages, from requirements.txt
	@$(PY) -m bnviz.tools.lock

lint: $(INSTALLED) ## Check style and spelling
	@echo "==> Style and spelling"
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m codespell_lib
	@echo "==> Types, in Python and JavaScript"
	@$(PY) -m bnviz.tools.types

format: $(INSTALLED) ## Put style right where a tool can
	@$(PY) -m bnviz.site.typescript
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

clean: ## Remove everything that these commands made
	rm -rf .venv _build .bnviz-cache .pytest_cache .ruff_cache .hypothesis test-results bnviz.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A fresh environment each time: a page that had a warning has it again, and no page outlives its source.
$(BOOK): $(INSTALLED) $(BOOK_SOURCES)
	@echo "==> Building the book"
	@rm -rf _build/html
	@$(PY) -c 'from jupyter_book.cli.main import main; main()' build . --all --warningiserror --keep-going --nitpick
	@touch $@

$(INSTALLED): requirements.txt constraints.txt pyproject.toml bnviz/page/package-lock.json bnviz/poster/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This book needs Python 3.11 or newer; name yours: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
ifneq ($(origin PYTHON),file)
	@# Another Python was asked for than the one in .venv.
	@version='import sys; print(sys.version_info)'; [ ! -x $(PY) ] || \
		[ "$$($(PY) -c "$$version")" = "$$($(PYTHON) -c "$$version")" ] || rm -rf .venv
endif
	@echo "==> Installing into .venv (some minutes the first time)"
	@$(PY) -m pip --version >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv .venv; }
	@$(PY) -m pip install --no-compile --disable-pip-version-check -r $(REQUIREMENTS) || { \
		echo "Installing failed: the reason is above. Is the network there? A pinned package may not know" \
		"a very new Python yet: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(PY) -m bnviz.tools.assets
	@touch $@
