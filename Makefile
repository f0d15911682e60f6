# The commands of this repository. Each does its own set-up; what is long lives in scripts/.
# The engine goes to the user's data folder, or to XDEV_LLM_DATA_DIR where that is set.

PROMPT ?= Say hello, and tell me in one sentence what you can do.
SECONDS_EACH := $(or $(SECONDS),20)

export XDEV_LLM_DATA_DIR := $(or $(XDEV_LLM_DATA_DIR),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/xdev-llm)
# The prompt reaches the shell as a variable, as it was typed: no quote ends it and no $ is expanded.
override PROMPT := $(value PROMPT)
export PROMPT

.PHONY: help run test interop build fmt lint docs bench fuzz clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Ask a model: PROMPT="..." (installs the built-in engine on first use)
	@scripts/needs build engine
	@cargo build --release -p xdev-llm-cli
	@target/release/xdev-llm engine install
	@target/release/xdev-llm ask -- "$$PROMPT" </dev/null

test: ## Run every test: Rust, Python, and the real llama.cpp
	@scripts/test

interop: ## Test against real model servers: llama.cpp's router, Ollama, vLLM (makes them first: half an hour, 8 GB)
	@scripts/interop

build: ## Build, optimised: target/release/xdev-llm and the Python package in target/wheels
	@scripts/needs build python
	@scripts/environment
	cargo build --release -p xdev-llm-cli
	@rm -rf target/wheels
	.cache/venv/bin/maturin build --release --interpreter .cache/venv/bin/python

fmt: ## Format the Rust code
	@scripts/needs build lint
	cargo fmt

lint: ## Check format and lints
	@scripts/needs build lint
	cargo fmt --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings

docs: ## Write the generated pages of docs/, and the types of the Python package, anew
	@scripts/needs build python
	@scripts/environment
	.cache/venv/bin/maturin generate-stubs --profile dev --interpreter .cache/venv/bin/python --out python
	UPDATE_DOCS=1 cargo test -q -p xdev-llm --lib config
	UPDATE_DOCS=1 cargo test -q -p xdev-llm --test docs_config
	UPDATE_DOCS=1 cargo test -q -p xdev-llm-cli docs
	scripts/locales

bench: ## Measure: the codecs, whole calls, the prompt toolkit and the ComfyUI nodes beside others
	@scripts/needs build engine
	cargo bench -p xdev-llm --features prompt
	bench/run
	bench/prompt/run
	bench/comfy/run

fuzz: ## Fuzz each target for SECONDS=20 (needs nightly Rust and cargo-fuzz)
	@scripts/needs build
	@scripts/fuzz $(SECONDS_EACH)

clean: ## Remove what was built; the engine in your data folder stays
	cargo clean
	rm -rf .cache fuzz/target
