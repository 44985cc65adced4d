# make            list of targets
# Every target runs with Go alone unless it says what else it needs.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## the comfyc binary, here
	go build -trimpath -o comfyc ./cmd/comfyc

test: ## all tests
	go test ./...

race: ## all tests with the race detector (needs a C compiler)
	go test -race ./...

lint: ## vet, staticcheck, gofmt
	go vet ./...
	go run $(STATICCHECK) ./...
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt -w these files"; exit 1; }

example: ## render the first example on the built-in preview endpoint
	go run ./cmd/comfyc render examples/flux-dev/batch.yaml

bench: ## everything that is promised of speed and memory, against goals and peers (COMFYC_PEER_VENV), kept in bench/results
	go run ./bench/run

crash: ## kill -9 campaign: twenty kills of a 200-render batch over the emulator
	go test -count=1 -v -run TestKillNine ./cmd/internal/cli -args -kills=20 -renders=200

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

sizes: ## file and function sizes against the house rules
	@find . -name '*.go' ! -name '*_test.go' -print0 | xargs -0 wc -l | sort -n | awk '$$2!="total"{n[NR]=$$1;f[NR]=$$2} END{print "files", NR-1, "median", n[int(NR/2)], "p90", n[int(NR*0.9)], "max", n[NR-1], f[NR-1]}'

.PHONY: help build test race lint example bench crash fuzz sizes
