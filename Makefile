# make demo   one spoken call from end to end, on this machine; leaves out/demo/call.{wav,json,png}
#             make demo AGENT=emulated-openai (or emulated-voicelive): a realtime model answers, and hands over to a person
#             make demo LINE=twilio: the same call to a number that lives at Twilio; leaves out/demo-twilio
#             make demo SCENARIO=transfer: another system lends us its caller; the REST calls beside the audio
# make up     everything running, for `patchcord call SCRIPT` from another terminal; Ctrl-C stops it
# make test   all tests, with the branch coverage of shared/
# make check  ruff, formatting, mypy
# make bench  calls per core beside a bare relay, the adapter beside the vendors' SDKs, barge-in, call transfers, both lines at once; writes out/bench/*.json
# make chaos  updates, crashes and outages under twenty live calls each; the table goes into docs/reliability.md (five minutes)
# make sbom  what is in the media host's image, as CycloneDX: out/sbom/media-host.cdx.json (about a minute)
# make api    generated requests to the running function app: schemathesis, 200 examples per operation (about four minutes)
# make clean  removes what the commands above made
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
AZURITE := .node/node_modules/azurite/package.json
AZURITE_VERSION := 3.35.0
CYCLONEDX_VERSION := 7.5.0
JAVASCRIPT := tests/emulator/javascript/package.json docs/examples/package.json docs/examples/twilio-functions/package.json
JAVASCRIPT_INSTALLED := .node/javascript

.PHONY: demo up test check bench chaos api sbom clean install
.DEFAULT_GOAL := demo

$(INSTALLED): requirements.txt requirements-dev.txt media_host/requirements.txt pyproject.toml .python-version
	@python=$$(tools/find-python); echo "setting up $(VENV) with $$python (once; about a minute)"; \
	"$$python" -m venv $(VENV)
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@

$(AZURITE):
	@if command -v npm >/dev/null; then echo "setting up Azurite $(AZURITE_VERSION) in .node (once; about 20 s)"; \
	    npm install --prefix .node --no-audit --no-fund --loglevel=error --silent azurite@$(AZURITE_VERSION); \
	else echo "npm is not installed: the Azure Tables tests will be skipped (install Node 20 or newer to run them)"; fi

$(JAVASCRIPT_INSTALLED): $(JAVASCRIPT) | $(AZURITE)
	@if command -v npm >/dev/null; then echo "setting up what the JavaScript tests need in .node (once; about 10 s)"; \
	    npm install --prefix .node --no-audit --no-fund --loglevel=error --silent $$(node -p \
	        '"$(JAVASCRIPT)".split(" ").flatMap((file) => Object.entries(require("./" + file).dependencies)).map((one) => one.join("@")).join(" ")'); \
	    touch $@; \
	else echo "npm is not installed: the JavaScript tests will be skipped"; fi

install: $(INSTALLED)

demo: $(INSTALLED)
	@$(VENV)/bin/patchcord demo $(if $(AGENT),--agent $(AGENT)) $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(LINE),--line $(LINE))

up: $(INSTALLED)
	@$(VENV)/bin/patchcord up $(if $(AGENT),--agent $(AGENT))

test: $(INSTALLED) $(AZURITE) $(JAVASCRIPT_INSTALLED)
	@bash tools/run-tests $(PY)

check: $(INSTALLED)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

bench: $(INSTALLED)
	@$(PY) -m bench
	@$(PY) -m bench.adapter
	@$(PY) -m bench.barge_in
	@$(PY) -m bench.transfers
	@$(PY) -m bench.mixed

chaos: $(INSTALLED)
	@$(PY) -m tests.e2e.chaos --write $(if $(CALLS),--calls $(CALLS))

api: $(INSTALLED)
	@$(PY) -m tests.http_api.schemathesis

# From the packages as pip installs them, not from the list alone: with all that they need, and their licences.
sbom: $(INSTALLED)
	@rm -rf out/sbom && mkdir -p out/sbom
	@$(PY) -m venv out/sbom/image && out/sbom/image/bin/pip install -qq --disable-pip-version-check -r media_host/requirements.txt
	@out/sbom/image/bin/pip uninstall -qq --yes pip
	@$(PY) -m venv out/sbom/tool && out/sbom/tool/bin/pip install -qq --disable-pip-version-check cyclonedx-bom==$(CYCLONEDX_VERSION)
	@out/sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
	    -o out/sbom/media-host.cdx.json out/sbom/image
	@rm -rf out/sbom/image out/sbom/tool; echo "wrote out/sbom/media-host.cdx.json"

clean:
	@rm -rf $(VENV) .node out .patchcord .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* *.egg-info
