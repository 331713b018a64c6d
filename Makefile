# make dev: the extension, built in place for PYTHON (override it in Makefile.local)
-include Makefile.local
PYTHON ?= python3
CMAKE ?= $(firstword $(wildcard $(dir $(PYTHON))cmake) cmake)

.PHONY: dev
dev:
	@mkdir -p build/dev
	@$(CMAKE) -S . -B build/dev -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DPython_EXECUTABLE=$(PYTHON) -DSKBUILD_SABI_COMPONENT=Development.SABIModule -DPMO_STRICT=ON >build/dev/configure.log || (cat build/dev/configure.log; false)
	@$(CMAKE) --build build/dev
	@for f in build/dev/_core*.so; do cp $$f pmemobj/.new && mv pmemobj/.new pmemobj/$$(basename $$f); done
