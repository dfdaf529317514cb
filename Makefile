# Two commands: `make demo` sets up what is needed and answers a question; `make test` checks it. `make test-all` also runs
# what takes long: kills, browsers, engines, training, packages, and every property on all of its cases.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Tensors of one size come and go: let glibc keep their memory instead of giving it back each time, as `cof` has it do.
export MALLOC_MMAP_THRESHOLD_ := 1000000000
export MALLOC_TRIM_THRESHOLD_ := 1000000000
# Threads that wait for one another leave a busy core to others.
export GOMP_SPINCOUNT := 1000
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
EDITABLE := --config-settings editable_mode=compat --editable  # a path, so that a clone named cof does not hide the package

.PHONY: demo test test-all mutants lint bench clients fuzz train-nano clean

demo: $(VENV)/.local
	$(BIN)/cof ask examples/plaza.jpg "$$(cat examples/plaza.txt)" --trace trace.html

test: lint
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

$(VENV)/.local: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(EDITABLE) ".[local]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(EDITABLE) ".[dev]"
	touch $@ $(VENV)/.local

$(VENV)/.mutants: $(VENV)/.dev
	$(PIP) $(EDITABLE) ".[mutants]"
	touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) $(EDITABLE) ".[fuzz]"
	touch $@

clean:
	rm -rf $(VENV) .venv-clients build dist *.egg-info
