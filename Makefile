# Chores by name; `make help` lists them. The work is in tools/.
SHELL := bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run build test test-usb lint bench docs pictures clean

help: ## list the chores
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16
	@echo
	@echo "  DISTRO=jazzy takes another ROS 2 than Kilted; a sourced ROS 2 is used as it is."

run: build ## the camera node on the virtual device, and what arrives on every topic (ARGS, DURATION, SUMMARY)
	@. tools/env.sh && exec tools/foreground tools/run \
	  $(if $(DURATION),--duration $(DURATION)) $(if $(SUMMARY),--summary $(SUMMARY)) -- $(ARGS)

build: ## everything that running needs; quick when nothing changed
	@tools/build

test: ## every test (ARGS go to pytest)
	@tools/test $(ARGS)

test-usb: ## the USB tests once more in a QEMU guest: real kernel, xHCI, the driver in it (ARGS go to pytest)
	@tools/test_usb $(ARGS)

lint: ## the checks that read the code
	@tools/lint

bench: build ## measure; a table, and JSON in bench/results (ARGS, COMPARE=earlier.json, PROFILE=1)
	@. tools/env.sh && \
	  cmake --build "$$DEPTHAI_ROS_BUILD/depthai_ros" --target benchmarks --parallel > /dev/null && \
	  { [ -z "$(PROFILE)" ] || python -m pip install -q -r tools/requirements-profile.txt || true; } && \
	  exec tools/foreground bench/run $(if $(COMPARE),--compare $(COMPARE)) $(if $(PROFILE),--profile) $(ARGS)

docs: build ## write the generated documents anew
	@. tools/env.sh && tools/docs

pictures: build ## a picture of each topic, side by side in docs/pictures/topics.jpg (ARGS)
	@. tools/env.sh && exec tools/foreground tools/pictures $(ARGS)

clean: ## remove what was built; the Python environments stay (.venv*)
	rm -rf build install log *.egg-info .build.lock
	find . -path './.venv*' -prune -o -name __pycache__ -print0 -o -name '.*_cache' -print0 | xargs -0 -r rm -rf
