# SPDX-License-Identifier: GPL-2.0
#
# The human front end: "make help". What the module is made of is in Kbuild.

VERSION	:= 1.0.0
PREFIX	?= /usr/local
libdir	?= $(PREFIX)/lib
bindir	?= $(PREFIX)/bin
includedir ?= $(PREFIX)/include
expertdir ?= $(libdir)/expertmem

CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wshadow -Werror
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -Iinclude -Iinclude/uapi $(CFLAGS) -MMD -MP
B	:= build

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all module lib tools selftests test-experts deps demo check install uninstall clean help

all: lib tools selftests module ## build everything

## The kernel module, in a folder of its own for every kernel

# dkms says KERNELRELEASE; else the running kernel, or where that one's headers are not
# installed (a container, a foreign kernel) the one that the VM boots.
ifndef KDIR
KERNELRELEASE ?= $(or $(notdir $(patsubst %/build,%,$(wildcard /lib/modules/$(shell uname -r)/build))),$(shell \
	ls -d /usr/src/linux-headers-6.1.*-cloud-amd64 2>/dev/null | sed 's/.*linux-headers-//' | sort -V | tail -n 1))
KDIR	= /lib/modules/$(KERNELRELEASE)/build
else
KERNELRELEASE ?= $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
endif
KO	= $(B)/module/$(KERNELRELEASE)/expertmem.ko

module: $(KO) ## build expertmem.ko for the running kernel, or KDIR=, or KERNELRELEASE=

# built from a copy, so that kernels do not share objects
$(KO): Kbuild $(wildcard kmod/*.[ch]) include/uapi/linux/expertmem.h
	@test -f "$(KDIR)/Makefile" || { \
	  echo "no kernel headers in '$(KDIR)': install linux-headers-$(or $(KERNELRELEASE),$$(uname -r)), or say KDIR=" >&2; exit 1; }
	@mkdir -p $(@D)/include/uapi/linux
	@cp -r Kbuild kmod $(@D)/ && cp include/uapi/linux/expertmem.h $(@D)/include/uapi/linux/
	$(MAKE) -C $(KDIR) M=$(abspath $(@D)) modules

## The library

LIB_OBJS := $(patsubst libexpertmem/%.c,$(B)/obj/lib/%.o,$(wildcard libexpertmem/*.c))
SO	:= $(B)/lib/libexpertmem.so

lib: $(SO) $(B)/lib/libexpertmem.a ## build libexpertmem

$(B)/obj/lib/%.o: libexpertmem/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -pthread -c $< -o $@

$(SO): $(LIB_OBJS) libexpertmem/libexpertmem.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-soname,libexpertmem.so.1 -Wl,-z,defs \
	  -Wl,--version-script=libexpertmem/libexpertmem.map $(LIB_OBJS) -o $@.$(VERSION)
	ln -sf libexpertmem.so.$(VERSION) $@.1
	ln -sf libexpertmem.so.1 $@

$(B)/lib/libexpertmem.a: $(LIB_OBJS)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

## The command and the sample experts

TOOL_OBJS := $(patsubst tools/%.c,$(B)/obj/tools/%.o,$(wildcard tools/*.c))
EXPERTS	:= $(patsubst tools/experts/%.c,$(B)/experts/%.so,$(wildcard tools/experts/*.c))
# found beside the command, built or installed
LINK_LIB := -L$(B)/lib -lexpertmem -Wl,-rpath,'$$ORIGIN/../lib'

tools: $(B)/tools/expertmem $(EXPERTS) ## build the expertmem command and the sample experts

$(B)/obj/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DEXPERTMEM_VERSION='"$(VERSION)"' -DEXPERTDIR='"$(expertdir)"' -c $< -o $@

$(B)/tools/expertmem: $(TOOL_OBJS) $(SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(TOOL_OBJS) $(LINK_LIB) -ldl -o $@

$(B)/experts/%.so: tools/experts/%.c $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -shared $(LDFLAGS) $< -L$(B)/lib -lexpertmem -lpcap -o $@

## The tests

KSELFTEST_DIR ?= $(B)/kselftest
TEST_FLAGS := -isystem $(KSELFTEST_DIR) -Wno-unused-parameter -Wno-missing-prototypes -pthread
TESTS	:= $(patsubst selftests/%.c,$(B)/selftests/%,$(filter-out selftests/netmon_layout.c,$(wildcard selftests/*.c)))
TEST_EXPERTS := $(patsubst selftests/experts/%.c,$(B)/selftests/experts/%.so,$(wildcard selftests/experts/*.c))

test-experts: $(TEST_EXPERTS)

selftests: $(TESTS) test-experts ## build the tests (run them with "make check")

$(B)/kselftest/kselftest_harness.h:
	selftests/kernel-source $(@D)

$(B)/selftests/%: selftests/%.c $(SO) $(KSELFTEST_DIR)/kselftest_harness.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TEST_FLAGS) $(LDFLAGS) $< $(LINK_LIB) -o $@

$(B)/selftests/experts/%.so: selftests/experts/%.c $(SO)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -shared $(LDFLAGS) $< -L$(B)/lib -lexpertmem -o $@

deps: ## install what is missing of the Debian packages needed
	@selftests/deps

demo: deps ## analyse traffic in a VM, kill an expert, and see its memory come back (CAPTURE=file)
	@selftests/demo $(if $(CAPTURE),"$(CAPTURE)")

check: deps ## run every test
	@selftests/check

## Installing

INSTALLED = $(addprefix $(DESTDIR), \
	$(bindir)/expertmem $(includedir)/Netmon.h $(includedir)/netmon.h $(includedir)/expertmem.h \
	$(includedir)/linux/expertmem.h $(libdir)/libexpertmem.so $(libdir)/libexpertmem.so.1 \
	$(libdir)/libexpertmem.so.$(VERSION) $(libdir)/libexpertmem.a $(libdir)/pkgconfig/libexpertmem.pc \
	$(libdir)/udev/rules.d/60-expertmem.rules $(libdir)/modules-load.d/expertmem.conf \
	$(patsubst $(B)/experts/%,$(expertdir)/%,$(EXPERTS)))

install: lib tools ## install library, headers and command below PREFIX (the module: see the README)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/linux $(DESTDIR)$(expertdir)
	install -m 755 $(B)/tools/expertmem $(DESTDIR)$(bindir)/
	install -m 644 include/Netmon.h include/netmon.h include/expertmem.h $(DESTDIR)$(includedir)/
	install -m 644 include/uapi/linux/expertmem.h $(DESTDIR)$(includedir)/linux/
	install -m 755 $(SO).$(VERSION) $(DESTDIR)$(libdir)/
	ln -sf libexpertmem.so.$(VERSION) $(DESTDIR)$(libdir)/libexpertmem.so.1
	ln -sf libexpertmem.so.1 $(DESTDIR)$(libdir)/libexpertmem.so
	install -m 644 $(B)/lib/libexpertmem.a $(DESTDIR)$(libdir)/
	sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
	  -e 's|@version@|$(VERSION)|' libexpertmem/libexpertmem.pc.in > $(DESTDIR)$(libdir)/pkgconfig/libexpertmem.pc
	install -D -m 644 tools/60-expertmem.rules $(DESTDIR)$(libdir)/udev/rules.d/60-expertmem.rules
	install -D -m 644 tools/expertmem.modules-load $(DESTDIR)$(libdir)/modules-load.d/expertmem.conf
	install -m 755 $(EXPERTS) $(DESTDIR)$(expertdir)/

uninstall: ## remove what install has put there
	rm -f $(INSTALLED)
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(expertdir)

clean: ## remove what was built, but for downloads
	rm -rf $(B)/obj $(B)/lib $(B)/tools $(B)/experts $(B)/selftests $(B)/module

help: ## this text
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

-include $(wildcard $(B)/obj/*/*.d $(B)/experts/*.d $(B)/selftests/*.d $(B)/selftests/experts/*.d)
