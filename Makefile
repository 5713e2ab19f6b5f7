.PHONY: build test race lint ci bench clean

build: ## the program, in this folder
	go build -o sockbench ./cmd/sockbench

test: ## what the README says
	go test ./...

race: ## the packages that share memory between goroutines
	go test -race -short ./...

lint:
	test -z "$$(gofmt -l .)"
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	go mod tidy -diff

ci: ## all that continuous integration does
	.ci/run

bench: ## the table of benchmarks/README.md, measured anew: about forty minutes on a quiet machine
	cd benchmarks && go run . -update

clean:
	rm -rf sockbench runs
