# Everything a developer or a machine runs. As root on Debian, "make test"
# installs what the tests need; the network tests need root anyway.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
DIR ?=
FUZZTIME ?= 10s
KILLS ?= 1000

.PHONY: build test deps static unit fuzz net clients bench kill-test lab-test test-vectors clean

build: ## the program, as bin/bridgehead
	$(GO) build -trimpath -o bin/bridgehead ./cmd/bridgehead

test: deps static unit fuzz net ## everything; nothing is skipped

deps: ## the Debian packages that the tests need
	@integration/deps.sh

static: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags 'vectors bench uml' ./...
	$(GO) tool staticcheck -tags 'vectors bench uml' ./...

unit: ## unit tests with the race detector
	$(GO) test -race -shuffle on $$($(GO) list ./... | grep -vE '^bridgehead/integration/(peers|clients)')
	$(GO) test ./ikev2/esp # allocations are counted without the race detector

fuzz: ## each fuzz target for FUZZTIME
	@integration/fuzz.sh $(FUZZTIME)

net: build ## real peers in network namespaces, kernel ESP in user-mode Linux (root)
	BRIDGEHEAD=$(CURDIR)/bin/bridgehead $(GO) test -count 1 -parallel 4 -timeout 15m ./integration/peers/...
	$(GO) test -tags uml -count 1 -timeout 15m ./integration/uml
	BRIDGEHEAD=$(CURDIR)/bin/bridgehead $(GO) test -tags uml -count 1 -parallel 6 -timeout 10m ./integration/clients

clients: build deps ## the table of clients and what each went through (root)
	BRIDGEHEAD=$(CURDIR)/bin/bridgehead $(GO) test -tags uml -count 1 -parallel 6 -timeout 10m -v ./integration/clients | grep '^|'

bench: build deps ## side by side with strongSwan, as ratios (root)
	BRIDGEHEAD=$(CURDIR)/bin/bridgehead $(GO) test -tags bench -count 1 -timeout 60m -v ./integration/compare | grep -vE '^(=== RUN|PASS| *--- PASS)'

kill-test: build deps ## accounting over KILLS kills of the gateway and of FreeRADIUS (root)
	BRIDGEHEAD=$(CURDIR)/bin/bridgehead BRIDGEHEAD_KILLS=$(KILLS) $(GO) test -count 1 -timeout 4h -v -run SurvivesKills ./integration/peers | grep -vE '^(=== RUN|PASS)'

lab-test: build ## the compose lab, where Docker is installed (root, if no daemon runs)
	@integration/compose/test.sh

test-vectors: ## replays captured exchanges: make test-vectors DIR=folder
	@test -n "$(DIR)" || { echo "usage: make test-vectors DIR=folder-of-captures"; exit 2; }
	BRIDGEHEAD_VECTORS=$(abspath $(DIR)) $(GO) test -count 1 -tags vectors -v ./integration/vectors/ | grep -E '^(=== RUN|---|\s+---|ok|FAIL|PASS|\s+\S+\.go)' | grep -v '=== RUN'

clean:
	rm -rf bin
