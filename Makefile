# The two commands of a newcomer: `make demo` and `make test`. Both set up what they need.
SHELL := /bin/sh
PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo demo-wrong-password test test-long check lint types wheels dist dist-check bench setup lock clean image docs picture

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Build an image from a private registry, for real
	@scripts/setup.sh demo
	@$(PYTHON) scripts/demo.py

demo-wrong-password: ## The same with a wrong password: how a failure looks
	@scripts/setup.sh demo
	@$(PYTHON) scripts/demo.py --wrong-password

test: ## Run the whole test suite, end to end included
	@scripts/setup.sh test
	$(PYTHON) -m pytest -m "not long" -n auto --dist loadfile --no-loadscope-reorder

test-long: ## Run the tests that take minutes by their nature
	@scripts/setup.sh test
	$(PYTHON) -m pytest -m long

check: lint types wheels ## Lint, types, built wheels

lint:
	@scripts/setup.sh check
	ruff check .
	ruff format --check .
	cd engine/go/credential-helper && go vet . && test -z "$$("$$(go env GOROOT)/bin/gofmt" -d . | tee /dev/stderr)"

types:
	@scripts/setup.sh check
	mypy ocibuild_core/src plugins/*/src engine/src engine/gowheel testkit/src testkit/registry/src benchmarks scripts/pages scripts/picture image
	MYPYPATH=scripts mypy scripts/*.py
	for tests in tests plugins/*/tests engine/tests testkit/tests testkit/registry/tests; do mypy "$$tests" || exit 1; done

wheels: ## Build what is published as it lies here, then use it where the sources are gone
	@scripts/setup.sh check
	scripts/dist.sh .make/dist tree
	scripts/dist-check.sh .make/dist
	scripts/plugins-alone.sh .make/dist

dist: ## Build what is published, of the last commit and for every architecture, into dist/
	@scripts/setup.sh check
	scripts/dist.sh dist HEAD amd64 arm64

dist-check: dist ## Then use it where the sources are gone
	scripts/dist-check.sh dist

bench: ## Time the program against the same by hand
	@scripts/setup.sh test
	$(PYTHON) -m benchmarks

PLUGINS = ecr,basic
BASE = debian
MACHINE = $(shell uname -m)
image: ## Build the task image into dist/: make image PLUGINS=ecr,basic BASE=debian
	@scripts/setup.sh image
	@mkdir -p dist
	PYTHONPATH=image:engine $(PYTHON) -m taskimage --plugins="$(PLUGINS)" --machine="$(MACHINE)" \
	    --base="$(BASE)" --base-python="$(BASE_PYTHON)" $(if $(OUTPUT),--output="$(OUTPUT)")

docs: ## Build the site into site/; a broken link is an error
	@scripts/setup.sh docs
	.venv/docs/bin/python -m scripts.pages site

picture: ## Take the terminal's picture in the README anew
	@scripts/setup.sh demo
	$(PYTHON) -m scripts.picture docs/images/terminal.svg

setup: ## Make .venv alone
	@scripts/setup.sh test

lock: ## Lock the requirements anew
	for name in uv go dev docs image sbom; do uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
	    requirements/$$name.in -o requirements/$$name.txt; done

clean:
	rm -rf .venv .make dist site
