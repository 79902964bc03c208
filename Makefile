# Thin wrappers: each target installs what is missing, then calls meson, the tests or a script.
.PHONY: run test bench check fmt build setup clean install

BUILD := build

run: build
	scripts/run.sh

test:
	scripts/test.sh

bench: build
	scripts/bench.sh

check: setup
	scripts/check.sh

fmt:
	clang-format -i $$(git ls-files '*.c' '*.h')

build: setup
	scripts/build.sh $(BUILD)

setup:
	scripts/setup.sh

install: build
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-* .run
