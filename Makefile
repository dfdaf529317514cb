# Two commands: `make demo` sets up what is needed and answers a question; `make test` checks it. `make test-all` also runs
# what takes long: kills, browsers, engines, training, packages, and every property on all of its cases.

# The first Python of 3.11 to 3.13 that runs and can make environments. A name may be there and fail when it is run, as those of
# pyenv do for versions that are not chosen: then the next one is taken, or give the path (make demo PYTHON=/path/to/python3.12).
SUITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	if $$name -c '$(SUITS)' 2>/dev/null; then echo $$name; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
# Tensors of one size come and go: let glibc keep their memory instead of giving it back each time, as `cof` has it do.
export MALLOC_MMAP_THRESHOLD_ := 1000000000
export MALLOC_TRIM_THRESHOLD_ := 1000000000
# Threads that wait for one another leave a busy core to others.
export GOMP_SPINCOUNT := 1000
CONSTRAINTS := --constraint constraints.txt
# Bars on a terminal; elsewhere what is being installed, and every 20 seconds how large the environment has become.
QUIET := $(if $(MAKE_TERMOUT),,--quiet)
SIZED = ( while sleep 20; do echo "  $(VENV) has $$(du -sm $(VENV) | cut -f1) MB"; done ) & beat=$$!; trap "kill $$beat" EXIT;
PIP = $(if $(MAKE_TERMOUT),,$(SIZED)) $(BIN)/pip install $(QUIET) --disable-pip-version-check $(CONSTRAINTS)
EDITABLE := --config-settings editable_mode=compat --editable  # a path, so that a clone named cof does not hide the package

.PHONY: demo docs test quick test-all test-lowest test-newest mutants lint bench clients fuzz train-nano clean

demo: $(VENV)/.local
	$(BIN)/cof ask examples/plaza.jpg "$$(cat examples/plaza.txt)" --trace trace.html

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 lint quick

quick: $(VENV)/.dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not long"

test-all: lint
	sh tests/setup.sh
	COF_TESTS=all $(BIN)/pytest --numprocesses 2 --dist loadfile

mutants: $(VENV)/.mutants  # plants faults and sees whether the tests notice: an hour
	$(BIN)/python -m tests.mutants

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs  # the documentation and the API reference as a site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/world.py
	$(BIN)/python benchmarks/outside.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/rollouts.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/serving.py

clients: $(VENV)/.dev  # official clients against the server, each in an environment of its own under .venv-clients
	$(BIN)/python examples/clients/run.py

fuzz: $(VENV)/.fuzz  # ten minutes
	for target in calls turns requests; do $(BIN)/python -m tests.fuzz.run $$target --seconds 200 || exit 1; done

train-nano: $(VENV)/.dev  # some three hours on two cores by the times of its stages; never run from end to end
	$(BIN)/cof train perception --config recipes/nano/perception.toml --out runs/perception
	$(BIN)/cof train sft --config recipes/nano/sft.toml --out runs/sft
	$(BIN)/cof train pack runs/sft/model --out cof/models/nano-sft
	$(BIN)/cof train grpo --config recipes/nano/grpo.toml --out runs/grpo
	$(BIN)/cof train pack runs/grpo/model --out cof/models/nano

$(BIN)/pip:
	@python='$(PYTHON)'; $${python:-false} -c '$(SUITS)' 2>/dev/null || { \
	echo "$${python:-no python3 on the PATH} is no Python of 3.11 to 3.13 with venv; want one, or make PYTHON=/path/to/it"; exit 1; }
	@echo "making $(VENV) with $(PYTHON), $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# Torch is a stage of its own: it is most of what is downloaded, and what its index has for this Python decides how much.
$(VENV)/.torch: constraints.txt | $(BIN)/pip
	@echo "1 of 2: installing PyTorch; $(VENV) grows to less than 2 GB in all with a build for CPUs, to 5 GB with CUDA"
	@$(PIP) "torch>=2.13,<3"
	@touch $@

$(VENV)/.local: pyproject.toml constraints.txt $(VENV)/.torch | $(BIN)/pip
	@echo "2 of 2: installing Chain-of-Focus, transformers and what they need"
	@$(PIP) $(EDITABLE) ".[local]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.torch | $(BIN)/pip
	@echo "2 of 2: installing Chain-of-Focus with all extras and the tools of its tests"
	@$(PIP) $(EDITABLE) ".[dev]"
	@touch $@ $(VENV)/.local $(VENV)/.docs

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing what builds the site, without PyTorch"
	@$(PIP) $(EDITABLE) ".[docs]"
	@touch $@

# The tests against both ends of the ranges in pyproject.toml, in environments of their own; libraries' warnings pass there.
ENDS := --numprocesses 2 --dist loadfile -m "not long" -W default

test-lowest:
	@$(MAKE) VENV=.venv-lowest CONSTRAINTS="--constraint constraints-lowest.txt" .venv-lowest/.dev
	.venv-lowest/bin/pytest $(ENDS)

test-newest:
	@$(MAKE) VENV=.venv-newest CONSTRAINTS= .venv-newest/.dev
	.venv-newest/bin/pip list --disable-pip-version-check
	.venv-newest/bin/pytest $(ENDS)

$(VENV)/.mutants: $(VENV)/.dev
	@echo "installing the mutation tester"
	@$(PIP) $(EDITABLE) ".[mutants]"
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	@echo "installing the fuzzer"
	@$(PIP) $(EDITABLE) ".[fuzz]"
	@touch $@

clean:
	rm -rf $(VENV) .venv-clients .venv-lowest .venv-newest build dist site *.egg-info
