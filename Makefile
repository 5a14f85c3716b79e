# Targets for developers; `make help` lists them. The scripts are in tools/.
SHELL := bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run view build install test test-ros test-usb test-arm64 test-long soak fuzz lint bench docs pictures clean

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo "  Uses a sourced ROS 2, otherwise installs Jazzy in .venv; DISTRO=kilted selects another."

run: build ## run the camera node on the virtual device with the monitor (ARGS, DURATION, SUMMARY)
	@. tools/env.sh && exec tools/foreground tools/run \
	  $(if $(DURATION),--duration $(DURATION)) $(if $(SUMMARY),--summary $(SUMMARY)) -- $(ARGS)

view: build ## run the camera node on the virtual device with its page for a browser (ARGS, VIEW)
	@. tools/env.sh && exec tools/foreground tools/run --view="$(VIEW)" -- $(ARGS)

build: ## build everything that is needed to run; quick if nothing changed
	@tools/build

install: ## build a copy in the folder PREFIX, without links to the checkout, see Dockerfile
	@tools/build "$(PREFIX)"

test: ## run all tests (ARGS: arguments of pytest)
	@tools/test $(ARGS)

test-ros: build ## run the tests that can differ between ROS 2 distributions (DISTRO, ARGS)
	@. tools/env.sh && exec tools/foreground python -m pytest -m distribution $(ARGS)

test-usb: ## run the USB tests in a QEMU guest with a real kernel (ARGS: arguments of pytest)
	@tools/test_usb $(ARGS)

test-arm64: ## run the tests of the core compiled for arm64, under qemu-user (ARGS: arguments of pytest)
	@tools/test_arm64 $(ARGS)

test-long: ## run all tests in full: 100 cycles instead of 25, a busy machine, every guest test (ARGS)
	@tools/test_long $(ARGS)

fuzz: build ## look for inputs that break the core, needs clang (SECONDS=600, ARGS: targets)
	@. tools/env.sh && exec tools/foreground tools/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

soak: build ## random use of the node for an hour: what hangs or grows (MINUTES, ACTIONS, SEED)
	@. tools/env.sh && exec tools/foreground tools/soak $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(ACTIONS),--actions $(ACTIONS)) $(if $(SEED),--seed $(SEED))

lint: ## run the static checks
	@tools/lint

bench: build ## run the benchmarks, write bench/results (ARGS, COMPARE=earlier.json, PROFILE=1)
	@. tools/env.sh && \
	  cmake --build "$$DEPTHAI_ROS_BUILD/depthai_ros" --target benchmarks --parallel > /dev/null && \
	  { [ -z "$(PROFILE)" ] || python -m pip install -q -r tools/requirements-profile.txt || true; } && \
	  exec tools/foreground bench/run $(if $(COMPARE),--compare $(COMPARE)) $(if $(PROFILE),--profile) $(ARGS)

docs: build ## write the generated documents
	@. tools/env.sh && tools/docs

pictures: build ## write docs/pictures: an image of each topic, a screenshot of the page (ARGS)
	@tools/browser; . tools/env.sh && exec tools/foreground tools/pictures $(ARGS)

clean: ## remove the build results; keeps the Python environments (.venv*)
	rm -rf build install log *.egg-info .build.lock
	find . -path './.venv*' -prune -o -name __pycache__ -print0 -o -name '.*_cache' -print0 | xargs -0 -r rm -rf
