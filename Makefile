.PHONY: build test race lint ci report-assets bench clean

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

report-assets: ## the script in the HTML report, from results/report/page: takes npm
	npm ci --prefix results/report/page
	cd results/report/page && npm run build

bench: ## the table of benchmarks/README.md, measured anew: about forty minutes on a quiet machine
	cd benchmarks && go run . -update

clean:
	rm -rf sockbench runs
