# SPDX-License-Identifier: GPL-2.0
#
# The human front end: "make help". What the module is made of is in Kbuild.

# "make demo" passes CAPTURE to its script as it is: make would expand what follows a $ in it, and a
# shell its quotes. GNU make 4.4 exports variables to $(shell), too, so this comes first.
unexport CAPTURE

# strip: with GNU make 4.3, $(file <) was seen to keep the newline at the end of the file
VERSION	:= $(strip $(file <VERSION))
PREFIX	?= /usr/local
libdir	?= $(PREFIX)/lib
bindir	?= $(PREFIX)/bin
includedir ?= $(PREFIX)/include
expertdir ?= $(libdir)/expertmem
mandir	?= $(PREFIX)/share/man
docdir	?= $(PREFIX)/share/doc/expertmem
completiondir ?= $(PREFIX)/share/bash-completion/completions
# the only directories in which udev and systemd look for their configuration
confdir	?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)
# the command finds the library beside it, built or installed
RPATH	?= -Wl,-rpath,'$$ORIGIN/../lib'

CFLAGS	?= -O2 -g -fstack-protector-strong -Wformat -Werror=format-security
# -U: some compilers define it themselves
CPPFLAGS ?= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
LDFLAGS	?= -Wl,-z,relro -Wl,-z,now
# the tests say -Werror: a compiler of the future may know more warnings
WERROR	?=
WARN	= -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wshadow $(WERROR)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -Iinclude -Iinclude/uapi $(CPPFLAGS) $(CFLAGS) -MMD -MP
B	:= build

# depmod, modprobe and ldconfig: a user's PATH may lack them
export PATH := $(PATH):/usr/sbin:/sbin

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: FORCE all module lib tools engines selftests test-experts sanitizers asan tsan deps demo-deps demo test check check-fast check-long check-programs check-appliance bench install dkms deb uninstall module_install sign clean help

all: lib tools selftests module ## build everything

## The kernel module, in a folder of its own for every kernel

# dkms says KERNELRELEASE; else the running kernel, or where that one's headers are not
# installed (a container, a foreign kernel) the one that the VM boots.
ifndef KDIR
KERNELRELEASE ?= $(or $(notdir $(patsubst %/build,%,$(wildcard /lib/modules/$(shell uname -r)/build))),$(shell \
	selftests/vm/kernel release 2>/dev/null))
KDIR	= /lib/modules/$(KERNELRELEASE)/build
else
KERNELRELEASE ?= $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
endif
KO	= $(B)/module/$(KERNELRELEASE)/expertmem.ko

module: $(KO) ## build expertmem.ko for the running kernel, or KDIR=, or KERNELRELEASE=

# Built from a copy, so that kernels do not share objects. It has the times of the originals: only
# objects of changed files are built again. Kbuild takes no blank in a path: where
# this directory has one, the copy is elsewhere.
$(KO): Kbuild VERSION $(wildcard kmod/*.[ch]) include/uapi/linux/expertmem.h
	@test -f "$(KDIR)/Makefile" || { \
	  echo "no kernel headers in '$(KDIR)': install linux-headers-$(or $(KERNELRELEASE),$$(uname -r)), or say KDIR=" >&2; exit 1; }
	@mkdir -p $(@D)/include/uapi/linux
	@cp -rp Kbuild VERSION kmod $(@D)/ && cp -p include/uapi/linux/expertmem.h $(@D)/include/uapi/linux/
	$(if $(word 2,$(CURDIR)),work=$$(mktemp -d) && cp -r $(@D)/. $$work && \
	  $(MAKE) -C $(KDIR) M=$$work modules && cp $$work/expertmem.ko $(@D)/; status=$$?; rm -rf $$work; exit $$status, \
	  $(MAKE) -C $(KDIR) M=$(abspath $(@D)) modules)
	@echo $(realpath $(KDIR)) >$(@D)/kdir

module_install: $(KO) ## install the module for that kernel, where modprobe finds it (DESTDIR=)
	install -D -m 644 $(KO) $(DESTDIR)/lib/modules/$(KERNELRELEASE)/updates/expertmem.ko
	depmod $(addprefix -b ,$(DESTDIR)) $(KERNELRELEASE)

sign: $(KO) ## sign the module for secure boot (KEY=file CERT=file)
	@test -r "$(KEY)" -a -r "$(CERT)" || { \
	  echo "make sign: say KEY=file and CERT=file; how to make them: Documentation/admin-guide/secure-boot.rst" >&2; exit 1; }
	$(KDIR)/scripts/sign-file sha256 "$(KEY)" "$(CERT)" $(KO)

# Two KDIRs may have one release: build again when KDIR changed.
$(KO): $(if $(filter-out $(realpath $(KDIR)),$(file <$(dir $(KO))kdir)),FORCE)

## The library

OBJS	:= $(patsubst libexpertmem/%.c,$(B)/obj/lib/%.o,$(wildcard libexpertmem/*.c))
# only for programs that know nothing of experts
PRELOADED := preload process descriptors filters handlers limits mapping
# only for programs that open captures, and for experts
CAPTURING := address capture client event find frame helpers link search spawn
CAPTURING += filter format index offset property protocol translate
LIB_OBJS := $(filter-out $(PRELOADED:%=$(B)/obj/lib/%.o),$(OBJS))
PRELOAD_OBJS := $(filter-out $(CAPTURING:%=$(B)/obj/lib/%.o),$(OBJS))
SO	:= $(B)/lib/libexpertmem.so
PRELOAD	:= $(B)/lib/libexpertmem-malloc.so

lib: $(SO) $(B)/lib/libexpertmem.a $(PRELOAD) ## build libexpertmem, and the malloc to preload

# a compiler that knows malloc() would make it call itself
$(B)/obj/lib/preload.o: ALL_CFLAGS += -fno-builtin

# Align functions to cache lines. No SLP: a merged store retires later than two (measured).
$(B)/obj/lib/%.o: libexpertmem/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -pthread -falign-functions=64 -fno-tree-slp-vectorize -c $< -o $@

# debug.c looks for valgrind's headers, which may be installed later
HAS_VALGRIND := $(if $(wildcard /usr/include/valgrind/memcheck.h),yes,no)
$(B)/obj/lib/debug.o: $(B)/obj/lib/valgrind
$(B)/obj/lib/valgrind: $(if $(filter $(HAS_VALGRIND),$(file <$(B)/obj/lib/valgrind)),,FORCE)
	@mkdir -p $(@D)
	@echo $(HAS_VALGRIND) >$@

$(SO): $(LIB_OBJS) libexpertmem/libexpertmem.map VERSION
$(PRELOAD): $(PRELOAD_OBJS) libexpertmem/malloc.map VERSION
# before all others, so that its handlers of fork() come first in a child
$(PRELOAD): LINK := -Wl,-z,initfirst
$(PRELOAD): LDLIBS := -ldl
$(SO) $(PRELOAD):
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-soname,$(@F).1 -Wl,-z,defs -Wl,-z,nodelete \
	  $(LINK) -Wl,--version-script=$(filter %.map,$^) $(filter %.o,$^) $(LDLIBS) -o $@.$(VERSION)
	ln -sf $(@F).$(VERSION) $@.1
	ln -sf $(@F).1 $@

$(B)/lib/libexpertmem.a: $(LIB_OBJS)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

## The command and the sample experts

TOOL_OBJS := $(patsubst tools/%.c,$(B)/obj/tools/%.o,$(wildcard tools/*.c tools/run/*.c))
EXPERTS	:= $(patsubst tools/experts/%.c,$(B)/experts/%.so,$(wildcard tools/experts/*.c))
# what several of them use
EXPERT_OBJS := $(patsubst tools/experts/common/%.c,$(B)/obj/experts/%.o,$(wildcard tools/experts/common/*.c))
LINK_LIB = -L$(B)/lib -lexpertmem $(RPATH)

TOOL_LIBS := libnl-genl-3.0 ncursesw libelf libsystemd

EXAMPLES := $(patsubst tools/examples/%.c,$(B)/examples/%,$(wildcard tools/examples/*.c))

tools: $(B)/tools/expertmem $(EXPERTS) $(EXAMPLES) engines ## build the command, the sample experts and the engines

$(B)/obj/tools/%.o: tools/%.c VERSION
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DEXPERTMEM_VERSION='"$(VERSION)"' -DEXPERTDIR='"$(expertdir)"' \
	  $(shell pkg-config --cflags $(TOOL_LIBS)) -c $< -o $@

# part of the report by .incbin, which -MMD does not see
$(B)/obj/tools/run/events_html.o: tools/run/report.css tools/run/report.js

$(B)/tools/expertmem: $(TOOL_OBJS) $(SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(TOOL_OBJS) $(LINK_LIB) $(shell pkg-config --libs $(TOOL_LIBS)) -ldl -o $@

$(B)/obj/experts/%.o: tools/experts/common/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -c $< -o $@

# an expert links only what it uses
$(B)/obj/experts/common.a: $(EXPERT_OBJS)
	rm -f $@
	$(AR) rcs $@ $^

$(B)/experts/%.so: tools/experts/%.c $(B)/obj/experts/common.a $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -shared $(LDFLAGS) $< $(B)/obj/experts/common.a \
	  -L$(B)/lib -lexpertmem -o $@

$(B)/examples/%: tools/examples/%.c $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $< $(LINK_LIB) -ldl -o $@

## The engines, which read captures for experts

ENGINE_DIR := $(B)/lib/expertmem
# Wireshark's file library
ENGINE_CFLAGS = -isystem /usr/include/wireshark $(shell pkg-config --cflags glib-2.0 | sed 's/-I/-isystem /g')
ENGINE_LIBS = -lwiretap -lwsutil $(shell pkg-config --libs glib-2.0)
# Debian's libwireshark-dev; without it, there is no engine of Wireshark
HAVE_WIRESHARK := $(and $(wildcard tools/engine/wireshark.c),$(shell pkg-config --exists wireshark && echo yes))
ENGINE_NAMES := pcap $(if $(HAVE_WIRESHARK),wireshark)
SUPERVISORS := $(ENGINE_NAMES:%=$(ENGINE_DIR)/expertmem-engine-%)
WORKERS	:= $(SUPERVISORS:%=%-worker)
WORKER_OBJS := $(addprefix $(B)/obj/engine/,main.o worker.o desk.o load.o sandbox.o)

engines: $(SUPERVISORS) $(WORKERS) $(ENGINE_DIR)/expertmem-annotate ## build the engines, which read captures
# a recipe would make "make -q" say that something is to be done
ifndef HAVE_WIRESHARK
	@echo "expertmem-engine-wireshark is left out: install libwireshark-dev to build it"
endif

$(B)/obj/engine/%.o: tools/engine/%.c VERSION
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DEXPERTMEM_VERSION='"$(VERSION)"' $(ENGINE_CFLAGS) -fPIE -c $< -o $@

# writes the copy of "expertmem run --annotate"
$(ENGINE_DIR)/expertmem-annotate: tools/annotate/annotate.c $(B)/obj/engine/sandbox.o
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ENGINE_CFLAGS) -fPIE -pie $(LDFLAGS) $(filter %.c %.o,$^) $(ENGINE_LIBS) -o $@

$(SUPERVISORS): $(addprefix $(B)/obj/engine/,main.o supervisor.o)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pie $^ -o $@

$(ENGINE_DIR)/expertmem-engine-pcap-worker: $(addprefix $(B)/obj/engine/,pcap.o lookup.o)
$(ENGINE_DIR)/expertmem-engine-pcap-worker: LDLIBS := -lpcap
$(ENGINE_DIR)/expertmem-engine-wireshark-worker: $(addprefix $(B)/obj/engine/,wireshark.o dissect.o properties.o \
	describe.o form.o labels.o names.o)
$(ENGINE_DIR)/expertmem-engine-wireshark-worker: LDLIBS := -lwireshark
$(WORKERS): $(WORKER_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pie $^ $(LDLIBS) $(ENGINE_LIBS) -o $@

## The tests

KSELFTEST_DIR ?= $(B)/kselftest
# Tests make mistakes on purpose, which FORTIFY would report.
NO_FORTIFY := -U_FORTIFY_SOURCE
# unused: the functions of a fixture without tests, since 6.9
TEST_FLAGS := $(NO_FORTIFY) -Iselftests/lib -isystem $(KSELFTEST_DIR) -Wno-unused-parameter -Wno-unused-function \
	-Wno-missing-prototypes -pthread
# Each C file in a folder of selftests/ is a program. These folders have rules of their own, and
# netmon_layout.c is half of a program.
TEST_SOURCES := $(filter-out selftests/bench/% selftests/fuzz/% selftests/lib/% %/netmon_layout.c,$(wildcard selftests/*/*.c))
# the programs are in one folder
TESTS	:= $(patsubst %.c,$(B)/selftests/%,$(notdir $(TEST_SOURCES)))
ifneq ($(words $(TESTS)),$(words $(sort $(TESTS))))
$(error two programs in the folders of selftests/ have one name)
endif
vpath %.c $(sort $(dir $(TEST_SOURCES)))
TEST_EXPERTS := $(patsubst selftests/netmon/experts/%.c,$(B)/selftests/experts/%.so,$(wildcard selftests/netmon/experts/*.c))
TEST_PROGRAMS := $(B)/selftests/programs/exceptions $(B)/selftests/programs/operators $(B)/selftests/programs/plugin.so \
	$(B)/selftests/programs/atfork.so $(B)/selftests/programs/interposed.so \
	$(B)/selftests/programs/plug.so $(B)/selftests/programs/slab.i \
	$(B)/selftests/programs/fill $(B)/selftests/programs/sandbox $(B)/selftests/programs/crashes \
	$(B)/selftests/programs/own_malloc $(B)/selftests/programs/audit.so \
	$(B)/selftests/programs/journald $(B)/selftests/programs/faulty-engine \
	$(B)/selftests/programs/fake_engine

# the tests that say so in their top comment
also = $(shell grep -lsE '^ \* also: (.* )?$1( |$$)' $(TEST_SOURCES) /dev/null)

# for 32 bit callers of the module; static, for there is one set of libraries in the VM
HAVE_32 := $(wildcard $(shell $(CC) -m32 -print-libgcc-file-name 2>/dev/null))
TESTS_32 := $(if $(HAVE_32),$(patsubst %.c,$(B)/selftests/32/%,$(notdir $(call also,32bit))))

test-experts: $(TEST_EXPERTS) ## build the experts that the tests load

selftests: $(TESTS) $(TESTS_32) test-experts $(TEST_PROGRAMS) ## build the tests (run them with "make check")

$(B)/kselftest/kselftest_harness.h: selftests/lib/kernel-source
	selftests/lib/kernel-source $(@D)

# These call functions of the library that it does not export.
INTERNAL_TESTS := $(addprefix $(B)/selftests/,property_tables format translate layers)
$(INTERNAL_TESTS): LINK_LIB := $(B)/lib/libexpertmem.a
$(INTERNAL_TESTS): $(B)/lib/libexpertmem.a

# A test links dynamically: it needs a library to link with, but is up to date when that changes.
$(B)/selftests/%: %.c $(KSELFTEST_DIR)/kselftest_harness.h | $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TEST_FLAGS) $(LDFLAGS) $< $(LINK_LIB) -o $@

$(B)/selftests/32/%: %.c $(KSELFTEST_DIR)/kselftest_harness.h
	@mkdir -p $(@D)
	$(CC) -m32 -static -idirafter /usr/include/x86_64-linux-gnu -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 $(ALL_CFLAGS) $(TEST_FLAGS) $(LDFLAGS) $< -o $@

$(B)/selftests/experts/windows_style.so $(B)/selftests/experts/every_call.so: ALL_CFLAGS += -Iinclude/windows

$(B)/selftests/experts/%.so: selftests/netmon/experts/%.c | $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -fPIC -shared $(LDFLAGS) $< -L$(B)/lib -lexpertmem -o $@

CXXFLAGS ?= -O2 -g
CXX_BUILD = $(CXX) -std=gnu++17 -Wall -Wextra -Wshadow $(WERROR) $(CXXFLAGS) -MMD -MP -pthread $(LDFLAGS)

$(B)/selftests/programs/%.so: selftests/preload/programs/%.cc
	@mkdir -p $(@D)
	$(CXX_BUILD) -fPIC -shared $< -o $@

$(B)/selftests/programs/%: selftests/preload/programs/%.cc
	@mkdir -p $(@D)
	$(CXX_BUILD) $< -o $@

$(B)/selftests/programs/%: selftests/preload/programs/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -pthread $(LDFLAGS) $< -o $@

$(B)/selftests/programs/%: selftests/netmon/programs/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -pthread $(LDFLAGS) $< -o $@

$(B)/selftests/programs/%.so: selftests/preload/programs/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -fPIC -shared -pthread $(LDFLAGS) $< -o $@

# an engine whose dissector crashes and hangs; its supervisor is that of all engines
$(B)/obj/engine/faulty.o: selftests/netmon/programs/faulty_engine.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -fPIE -c $< -o $@

$(B)/selftests/programs/faulty-engine-worker: $(B)/obj/engine/faulty.o $(WORKER_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pie $^ $(ENGINE_LIBS) -o $@

$(B)/selftests/programs/faulty-engine: $(ENGINE_DIR)/expertmem-engine-pcap $(B)/selftests/programs/faulty-engine-worker
	@mkdir -p $(@D)
	cp $< $@

# to be compiled where there are no headers
$(B)/selftests/programs/%.i: libexpertmem/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(NO_FORTIFY) -E -P $< -o $@

## The library's tests once more, watched by the compiler's run-time checks

asan_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
tsan_FLAGS := -fsanitize=thread,undefined -fno-sanitize-recover=undefined -Wno-tsan

sanitizers: asan tsan $(B)/asan/misuse ## build the library and its tests with ASan, UBSan and TSan

# the engine that engine_damage starts
asan_ENGINE := $(addprefix $(B)/asan/lib/expertmem/expertmem-engine-,pcap pcap-worker)

asan: ## build the library, an engine and the tests that say "also: asan" with ASan and UBSan
tsan: ## build the library and the tests that say "also: tsan" with TSan and UBSan
asan tsan: $(KSELFTEST_DIR)/kselftest_harness.h
	$(MAKE) B=$(B)/$@ KSELFTEST_DIR=$(KSELFTEST_DIR) CPPFLAGS= LDFLAGS= CFLAGS='-O1 -g $($@_FLAGS)' \
		lib $($@_ENGINE) $(B)/$@/selftests/programs/fake_engine $(patsubst %.c,$(B)/$@/selftests/%,$(notdir $(call also,$@)))

# only the program, as its author would: the library is the one that is installed
$(B)/asan/misuse: selftests/library/misuse.c | $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Iselftests/lib -fsanitize=address $(LDFLAGS) $< $(LINK_LIB) -o $@

FUZZ_CC	?= clang
fuzz_FLAGS := -fsanitize=fuzzer,undefined
fuzz-asan_FLAGS := -fsanitize=fuzzer,address,undefined
FUZZ_FLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -Iinclude -Iinclude/uapi -O1 -g -pthread -fno-sanitize-recover=all
FUZZ_LIBRARY := $(filter-out $(PRELOADED:%=libexpertmem/%.c),$(wildcard libexpertmem/*.c))

# two ways through the library: with ASan, blocks are poisoned under the expert's lock
$(B)/fuzz/library: fuzz := fuzz
$(B)/fuzz/library-asan: fuzz := fuzz-asan
$(B)/fuzz/library $(B)/fuzz/library-asan: selftests/fuzz/library.c selftests/fuzz/input.h $(FUZZ_LIBRARY) $(wildcard libexpertmem/*.h include/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $($(fuzz)_FLAGS) $(filter %.c,$^) -o $@

# the library, with an engine in the place of these functions
FUZZ_WRAPPED := access em_spawn mmap munmap send

$(B)/fuzz/engine-asan: selftests/fuzz/engine.c selftests/fuzz/input.h $(FUZZ_LIBRARY) $(wildcard libexpertmem/*.h include/*.h) selftests/netmon/fake_engine.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $(fuzz-asan_FLAGS) $(filter %.c,$^) $(FUZZ_WRAPPED:%=-Wl,--wrap=%) -o $@

# the loader of the engines; and the worker, which serves requests
$(B)/fuzz/capture-asan: selftests/fuzz/capture.c tools/engine/load.c tools/engine/lookup.c tools/engine/pcap.c
$(B)/fuzz/capture-asan: FUZZ_LIBS := -lpcap
$(B)/fuzz/requests-pcap-asan: $(addprefix tools/engine/,worker.c desk.c load.c sandbox.c pcap.c lookup.c)
$(B)/fuzz/requests-pcap-asan: FUZZ_LIBS := -lpcap
$(B)/fuzz/requests-wireshark-asan: $(addprefix tools/engine/,worker.c desk.c load.c sandbox.c wireshark.c dissect.c \
	properties.c describe.c form.c labels.c names.c)
$(B)/fuzz/requests-wireshark-asan: FUZZ_LIBS := -lwireshark
$(B)/fuzz/requests-pcap-asan $(B)/fuzz/requests-wireshark-asan: selftests/fuzz/requests.c
# the sources that the fuzzer includes are no objects of their own
FUZZ_INCLUDED := tools/engine/worker.c
$(B)/fuzz/capture-asan: FUZZ_INCLUDED += tools/engine/pcap.c
FUZZ_ENGINES := $(B)/fuzz/capture-asan $(ENGINE_NAMES:%=$(B)/fuzz/requests-%-asan)
$(FUZZ_ENGINES): selftests/fuzz/input.h $(wildcard tools/engine/*.h include/*.h selftests/lib/protocol_test.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $(fuzz-asan_FLAGS) $(ENGINE_CFLAGS) -DEXPERTMEM_VERSION='"$(VERSION)"' \
	  $(filter-out $(FUZZ_INCLUDED),$(filter %.c,$^)) $(FUZZ_LIBS) $(ENGINE_LIBS) -o $@

# the module's, which runs in a VM
FUZZ_DEVICE := $(addprefix selftests/fuzz/,device.c sequence.c ioctls.c mappings.c messages.c process.c model.c)

$(B)/fuzz/device: $(FUZZ_DEVICE) $(wildcard selftests/fuzz/*.h selftests/lib/*_test.h) include/uapi/linux/expertmem.h
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -Wno-unused-parameter -Iinclude -Iinclude/uapi -O2 -g -fsanitize=fuzzer $(filter %.c,$^) -o $@

deps: ## install the Debian packages that "make check" needs and that are missing
	@selftests/deps

demo-deps: ## install the Debian packages that "make demo" needs and that are missing
	@selftests/deps demo

demo: export DEMO_CAPTURE := $(value CAPTURE)
demo: demo-deps ## analyse traffic in a VM; limit, end and kill experts, and see their memory come back (CAPTURE=file)
	@selftests/demo

test: ## build one test and run it, natively or in a VM (T=windows; more: selftests/test --help)
	@selftests/test $(T)

check-fast: ## run the native tests and the checks of the sources that end soon
	@selftests/check --only fast

check: deps ## run the tests, natively and in VMs (KERNELS="own 6.1 6.12 7.2 debug", default: see selftests/check --help)
	@KERNELS="$(KERNELS)" selftests/check

check-long: deps ## run every test in full on each of KERNELS
	@KERNELS="$(KERNELS)" selftests/check --long

check-programs: deps ## run Debian's programs plain and as experts, natively and in VMs (ONLY=bash,redis KERNELS="6.1")
	@KERNELS="$(KERNELS)" selftests/check-programs $(if $(ONLY),--only $(ONLY))

check-appliance: deps ## install the packages on Debian 12 and 13 in VMs with systemd, upgrade and purge them (ONLY=12)
	@selftests/appliance/run $(ONLY)

## Measuring: one program for each allocator that is compared

BENCH_jemalloc	= -ljemalloc
BENCH_mimalloc	= -lmimalloc
BENCH_talloc	= -ltalloc
BENCH_apr	= $(shell pkg-config --cflags --libs apr-1)
BENCH_wmem	= -I/usr/include/wireshark $(shell pkg-config --cflags glib-2.0) -lwsutil
BENCH_expert	= $(LINK_LIB)

MEASURES := $(patsubst %,$(B)/bench/measure-%,expert malloc jemalloc mimalloc talloc apr wmem none)

$(MEASURES): $(B)/bench/measure-%: selftests/bench/measure.c $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fno-builtin -pthread -DAPI_$* $(LDFLAGS) $< $(BENCH_$*) -o $@

$(B)/bench/bad $(B)/bench/frames: $(B)/bench/%: selftests/bench/%.c $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $< $(LINK_LIB) -o $@

$(B)/bench/forks: selftests/bench/forks.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $< -o $@

$(B)/obj/bench/%.o: selftests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fno-builtin -pthread -c $< -o $@

$(B)/bench/workload: $(B)/obj/bench/workload.o $(B)/obj/bench/workloads.o $(B)/obj/bench/cfrac.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread $^ -o $@

bench: ## measure the heap beside other allocators, the module beside the kernel, engines beside tshark (ONLY=pair,frames PEERS=glibc ROUNDS=n KERNELS="own 6.12")
	-@selftests/deps bench
	@selftests/bench/run --build $(B) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(PEERS),--peers "$(PEERS)") $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(KERNELS),--kernels "$(KERNELS)")

## Installing

PAGES	:= $(wildcard Documentation/man/man*/*)
UNITS	:= $(wildcard tools/systemd/*)
unitdir	?= $(confdir)/systemd/system

EXAMPLES := tools/data/modprobe.conf $(addprefix Documentation/admin-guide/,expertmem.rules.yml expertmem-dashboard.json)

INSTALLED = $(addprefix $(DESTDIR), \
	$(bindir)/expertmem $(includedir)/Netmon.h $(includedir)/netmon.h $(includedir)/expertmem.h \
	$(includedir)/expertmem-windows/windows.h $(includedir)/expertmem-windows/nmerr.h \
	$(libdir)/pkgconfig/expertmem-windows.pc \
	$(includedir)/linux/expertmem.h $(libdir)/libexpertmem.so $(libdir)/libexpertmem.so.1 \
	$(libdir)/libexpertmem.so.$(VERSION) $(libdir)/libexpertmem.a $(libdir)/pkgconfig/libexpertmem.pc \
	$(libdir)/libexpertmem-malloc.so $(libdir)/libexpertmem-malloc.so.1 \
	$(libdir)/libexpertmem-malloc.so.$(VERSION) \
	$(confdir)/udev/rules.d/60-expertmem.rules $(confdir)/modules-load.d/expertmem.conf \
	$(confdir)/sysusers.d/expertmem.conf $(completiondir)/expertmem \
	$(addprefix $(docdir)/examples/,$(notdir $(EXAMPLES))) \
	$(UNITS:tools/systemd/%=$(unitdir)/%) \
	$(patsubst $(B)/experts/%,$(expertdir)/%,$(EXPERTS)) \
	$(addprefix $(expertdir)/,$(notdir $(SUPERVISORS) $(WORKERS)) expertmem-annotate) \
	$(patsubst Documentation/man/%,$(mandir)/%,$(PAGES)))

# A package's scripts do these steps; here they are done when root installs by hand.
by_root = [ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] ||

install: lib tools ## install library, headers and command below PREFIX (the module: module_install)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/linux $(DESTDIR)$(expertdir)
	install -m 755 $(B)/tools/expertmem $(DESTDIR)$(bindir)/
	install -m 644 include/Netmon.h include/netmon.h include/expertmem.h $(DESTDIR)$(includedir)/
	install -m 644 include/uapi/linux/expertmem.h $(DESTDIR)$(includedir)/linux/
	install -D -m 644 -t $(DESTDIR)$(includedir)/expertmem-windows include/windows/*.h
	install -m 755 $(SO).$(VERSION) $(PRELOAD).$(VERSION) $(DESTDIR)$(libdir)/
	for so in libexpertmem.so libexpertmem-malloc.so; do \
	  ln -sf $$so.$(VERSION) $(DESTDIR)$(libdir)/$$so.1; ln -sf $$so.1 $(DESTDIR)$(libdir)/$$so; \
	done
	install -m 644 $(B)/lib/libexpertmem.a $(DESTDIR)$(libdir)/
	for pc in libexpertmem expertmem-windows; do \
	  sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
	    -e 's|@version@|$(VERSION)|' libexpertmem/$$pc.pc.in > $(DESTDIR)$(libdir)/pkgconfig/$$pc.pc || exit; \
	done
	install -D -m 644 tools/data/60-expertmem.rules $(DESTDIR)$(confdir)/udev/rules.d/60-expertmem.rules
	install -D -m 644 tools/data/modules-load.conf $(DESTDIR)$(confdir)/modules-load.d/expertmem.conf
	install -D -m 644 tools/data/sysusers.conf $(DESTDIR)$(confdir)/sysusers.d/expertmem.conf
	install -D -m 644 -t $(DESTDIR)$(docdir)/examples $(EXAMPLES)
	install -D -m 644 tools/completion/expertmem $(DESTDIR)$(completiondir)/expertmem
	for u in $(UNITS:tools/systemd/%=%); do \
	  sed 's|@bindir@|$(bindir)|' tools/systemd/$$u | install -D -m 644 /dev/stdin $(DESTDIR)$(unitdir)/$$u || exit; \
	done
	install -m 755 $(EXPERTS) $(SUPERVISORS) $(WORKERS) $(ENGINE_DIR)/expertmem-annotate $(DESTDIR)$(expertdir)/
	for n in 1 3 4 7 8; do \
	  install -D -m 644 -t $(DESTDIR)$(mandir)/man$$n Documentation/man/man$$n/* || exit; \
	done
	sed -i 's|@version@|$(VERSION)|' $(patsubst Documentation/man/%,$(DESTDIR)$(mandir)/%,$(PAGES))
	@$(by_root) ldconfig
	@$(by_root) groupadd --system --force expertmem
	@$(by_root) ! type udevadm >/dev/null 2>&1 || \
	  { udevadm control --reload && udevadm trigger --settle --sysname-match=expertmem; } || \
	  echo "make install: udev does not run: the device gets its group at the next boot" >&2

DKMS_DIR = $(DESTDIR)/usr/src/expertmem-$(VERSION)

dkms: ## install the module's source below /usr/src, for "dkms install expertmem/VERSION"
	install -d $(DKMS_DIR)/kmod $(DKMS_DIR)/include/uapi/linux
	install -m 644 Kbuild Makefile VERSION $(DKMS_DIR)/
	install -m 644 kmod/*.[ch] $(DKMS_DIR)/kmod/
	install -m 644 include/uapi/linux/expertmem.h $(DKMS_DIR)/include/uapi/linux/
	sed 's|@version@|$(VERSION)|' dkms.conf.in >$(DKMS_DIR)/dkms.conf

deb: ## build Debian packages, in build/deb; they need what debian/control names
	rm -rf $(B)/deb
	mkdir -p $(B)/deb/expertmem-$(VERSION)
	tar -c --exclude=./$(B) --exclude=./.git . | tar -x -C $(B)/deb/expertmem-$(VERSION)
	cd $(B)/deb/expertmem-$(VERSION) && dpkg-buildpackage -us -uc -b -j$(shell nproc)

uninstall: ## remove what install has put there
	rm -f $(INSTALLED)
	-rmdir --ignore-fail-on-non-empty $(addprefix $(DESTDIR),$(expertdir) $(includedir)/expertmem-windows $(docdir)/examples $(docdir))
	@$(by_root) ldconfig

clean: ## remove what was built, but for downloads and the fuzzers' corpora
	rm -rf $(B)/obj $(B)/lib $(B)/tools $(B)/experts $(B)/examples $(B)/selftests $(B)/module $(B)/bench $(B)/programs \
	  $(filter-out %corpus,$(wildcard $(B)/fuzz/*))

help: ## this text
	@sed -n 's/^## \(.*\)/\n\1/p; s/^\([a-z_ -]*\):.*## /  \1\t/p' Makefile | expand -t 20

# the .d files of an earlier build may name a source that has moved since
selftests/%.c selftests/%.cc: ;

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d $(B)/experts/*.d $(B)/examples/*.d $(B)/selftests/*.d $(B)/selftests/*/*.d $(B)/bench/*.d $(B)/asan/*.d)
