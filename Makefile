# Keyturn. `make help` lists the targets.
#
# One non-recursive Makefile. Sources are found, not listed: a new .c file in a program's folder is
# part of that program, a new tests/unit/NAME_test.c is a test, a new tests/fuzz/NAME.c a target.
# Objects mirror the tree below $(BUILD)/$(VARIANT); release programs land in $(BUILD)/bin.

MAKEFLAGS += --no-builtin-rules
SHELL     := /bin/bash
CC        := gcc
VARIANT   ?= release
BUILD     ?= build
V         ?= 0
O         := $(BUILD)/$(VARIANT)
BIN       := $(if $(filter release,$(VARIANT)),$(BUILD)/bin,$(O)/bin)
Q         := $(if $(filter 1,$(V)),,@)

VERSION   := $(shell cat VERSION)

# ---- flags ------------------------------------------------------------------------------------
IS_CLANG  := $(findstring clang,$(CC))

WARN := -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror \
  -Wshadow -Wundef -Wvla -Walloca -Wdate-time -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wredundant-decls -Wformat=2 -Wwrite-strings \
  -Wcast-qual -Wpointer-arith -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference
WARN_gcc := -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wformat-signedness \
  -Wcast-align=strict -Wstack-usage=32768 -Wtrampolines
WARN_clang := -Wcomma -Wassign-enum -Wconditional-uninitialized -Wunreachable-code-aggressive \
  -Wmissing-variable-declarations -Wno-string-conversion

HARD := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
  -fno-delete-null-pointer-checks -fno-common -fno-omit-frame-pointer -fno-strict-aliasing -fPIE
HARD_gcc   := -fzero-call-used-regs=used-gpr
# What nobody wrote: zeros in what people run, loud where tests look for it, and as it is for memcheck, which sees it.
UNWRITTEN_asan     := pattern
UNWRITTEN_memcheck := uninitialized
UNWRITTEN := $(or $(UNWRITTEN_$(VARIANT)),$(if $(IS_CLANG),pattern,zero))

ifeq ($(shell uname -m),aarch64)
HARD := $(filter-out -fcf-protection=full,$(HARD)) -mbranch-protection=standard
endif

OPT_release := -O2 -g -D_FORTIFY_SOURCE=3
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -DKT_FAULT
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_memcheck := -O1 -g -D_FORTIFY_SOURCE=3
OPT_fault   := -O1 -g -DKT_FAULT
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
  -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
OPT_coverage := -O1 -g -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping \
  -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
# Which test goes through which line (tests/mutation/run).
OPT_lines := -O0 -g -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
# A sanitiser's own code raises frame sizes and hides what flow analysis would need.
SOFT_asan   := -Wno-stack-usage -Wno-null-dereference
SOFT_tsan   := -Wno-stack-usage -Wno-null-dereference

WARN_CC := $(WARN) $(if $(IS_CLANG),$(WARN_clang),$(WARN_gcc))
HARD_CC := $(HARD) -ftrivial-auto-var-init=$(UNWRITTEN) $(if $(IS_CLANG),,$(HARD_gcc))
SOFT_CC := $(if $(IS_CLANG),,$(SOFT_$(VARIANT)))

CPPFLAGS := -I. -DKT_VERSION='"$(VERSION)"'
CFLAGS   := $(WARN_CC) $(SOFT_CC) $(HARD_CC) $(OPT_$(VARIANT)) -ffile-prefix-map=$(CURDIR)=. -pthread
LDFLAGS  := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed -pthread \
  $(filter -fsanitize=% -fprofile-instr-generate,$(OPT_$(VARIANT)))
LIBS     := -lsodium -llmdb -lmicrohttpd -lgnutls -ljansson -lcurl -lpq -lmariadb -lssh -lseccomp -lsystemd -lm

# ---- sources ----------------------------------------------------------------------------------
LIB_SRC    := $(sort $(wildcard lib/*.c lib/*/*.c))
WORKER_SRC := $(sort $(wildcard vaultd/worker/*.c))
SPAWN_SRC  := $(sort $(wildcard vaultd/spawn/*.c))
# What vaultd and vaultd-pam say to each other is in both.
PAM_SRC    := $(sort $(filter-out vaultd/pam/message.c,$(wildcard vaultd/pam/*.c)))
VAULTD_SRC := $(sort $(filter-out $(WORKER_SRC) $(SPAWN_SRC) $(PAM_SRC),$(wildcard vaultd/*.c vaultd/*/*.c)))
AGENT_SRC  := $(sort $(wildcard agent/*.c))
CLI_SRC    := $(sort $(wildcard cli/*.c))
UNIT_SRC   := $(sort $(wildcard tests/unit/*_test.c))
FUZZ_SRC   := $(sort $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
BENCH_SRC  := $(sort $(wildcard tests/bench/*.c))
SHIM_SRC   := $(sort $(wildcard tests/support/*_shim.c))
SIM_SRC    := $(sort $(wildcard tests/sim/*.c))
WRAP_SRC   := $(sort $(wildcard tests/support/*_wrap.c))
MAIN_SRC   := tests/support/main_access.c
SUPPORT_SRC := $(sort $(filter-out $(SHIM_SRC) $(WRAP_SRC) $(MAIN_SRC),$(wildcard tests/support/*.c)))

obj = $(patsubst %.c,$(O)/%.o,$(1))

PROGRAMS := vaultd vaultd-worker vaultd-spawn vaultd-pam secret-agent secretctl
UNIT     := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))
ifeq ($(VARIANT),tsan) # which wants libc's functions for itself
UNIT     := $(filter-out $(O)/unit/fault_%,$(UNIT))
endif
FUZZ     := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(FUZZ_SRC))
REPLAY   := $(patsubst tests/fuzz/%.c,$(O)/replay/%,$(FUZZ_SRC))
BENCH    := $(patsubst tests/bench/%.c,$(O)/bench/%,$(BENCH_SRC))
SHIM     := $(patsubst tests/support/%.c,$(O)/support/%.so,$(SHIM_SRC))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all programs unit-programs sim-programs fuzz-programs replay-programs bench-programs shims

all: programs $(O)/access.checked  ## build the programs into build/bin (the default)
programs: $(addprefix $(BIN)/,$(PROGRAMS))
unit-programs: $(UNIT) $(O)/access.checked
sim-programs: $(O)/sim/sim
fuzz-programs: $(FUZZ)
replay-programs: $(REPLAY)
bench-programs: $(BENCH) $(O)/bench/without-outcomes/vaultd $(O)/bench/without-overwriting/vaultd
shims: $(SHIM)

# ---- rules ------------------------------------------------------------------------------------
$(O)/%.o: %.c VERSION Makefile
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# What is put into the program as it was published is what was published.
WORDS := lib/words/eff_large_wordlist.txt
WORDS_SHA256 := addd35536511597a02fa0a9ff1e5284677b8883b83e986e43f15a3db996b903e
$(O)/words.checked: $(WORDS) Makefile
	@mkdir -p $(@D)
	@echo "$(WORDS_SHA256)  $(WORDS)" | sha256sum --check --quiet
	@touch $@
$(O)/lib/words.o: $(O)/words.checked

define archive
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar Dcr $@ $^
endef

$(O)/libkt.a: $(call obj,$(LIB_SRC));        $(archive)
# Of the program alone: tests replace the allocator in ways of their own.
VAULTD_OWN := vaultd/main.c vaultd/wiping_free.c
$(O)/libvaultd.a: $(call obj,$(filter-out $(VAULTD_OWN),$(VAULTD_SRC))); $(archive)
$(O)/libworker.a: $(call obj,$(filter-out vaultd/worker/main.c,$(WORKER_SRC))); $(archive)
$(O)/libagent.a: $(call obj,$(filter-out agent/main.c,$(AGENT_SRC))); $(archive)
$(O)/libcli.a: $(call obj,$(filter-out cli/main.c,$(CLI_SRC))); $(archive)
$(O)/libsupport.a: $(call obj,$(SUPPORT_SRC)); $(archive)

define link
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(EXTRA_LIBS)
endef

$(BIN)/vaultd: $(call obj,$(VAULTD_OWN)) $(O)/libvaultd.a $(O)/libkt.a; $(link)
$(BIN)/vaultd-worker: $(O)/vaultd/worker/main.o $(O)/libworker.a $(O)/libkt.a; $(link)
$(BIN)/vaultd-spawn: $(call obj,$(SPAWN_SRC)) $(O)/libkt.a; $(link)
$(BIN)/vaultd-pam: EXTRA_LIBS = -lpam
$(BIN)/vaultd-pam: $(call obj,$(PAM_SRC) vaultd/pam/message.c) $(O)/libkt.a; $(link)
$(BIN)/secret-agent: $(O)/agent/main.o $(O)/libagent.a $(O)/libkt.a; $(link)
$(BIN)/secretctl: $(O)/cli/main.o $(O)/libcli.a $(O)/libkt.a; $(link)

TEST_ARCHIVES := $(O)/libsupport.a $(O)/libvaultd.a $(O)/libworker.a $(O)/libagent.a $(O)/libcli.a \
  $(O)/libkt.a
$(O)/unit/%: EXTRA_LIBS = -lcmocka
# tests/support/X_wrap.c replaces functions of the whole program: only tests/unit/X_*_test.c get it.
$(filter $(O)/unit/fault_%,$(UNIT)): $(O)/tests/support/fault_wrap.o
$(O)/unit/%: $(O)/tests/unit/%.o $(TEST_ARCHIVES); $(link)
# What they count, or meet on its way.
$(O)/unit/rotation_jumps_test: LDFLAGS += -Wl,--wrap=kt_zone_load,--wrap=kt_zone_data_version
$(O)/unit/timing_test: LDFLAGS += -Wl,--wrap=snapshot_get,--wrap=kt_aead_seal,--wrap=kt_aead_open,--wrap=seal_record_open
# What an agent asks outside.
$(O)/unit/agent_service_test $(O)/unit/agent_turns_test: LDFLAGS += -Wl,--wrap=link_fetch,--wrap=link_report,--wrap=link_last_word,--wrap=health_baseline,--wrap=health_verdict,--wrap=child_start,--wrap=child_stop
# An engine that no vaultd has.
$(O)/unit/leased_test: LDFLAGS += -Wl,--wrap=engine_find,--wrap=mounts_require,--wrap=cursor_open,--wrap=cursor_next
$(O)/unit/fault_leased_test: LDFLAGS += -Wl,--wrap=engine_find
$(O)/unit/write_test: LDFLAGS += -Wl,--wrap=write
$(O)/unit/pipeline_test: LDFLAGS += -Wl,--wrap=audit_append,--wrap=audit_reopen
$(O)/unit/wait_test: LDFLAGS += -Wl,--wrap=look_due,--wrap=request_wait
$(O)/unit/audit_device_test: LDFLAGS += -Wl,--wrap=pthread_create
$(O)/unit/driver_exec_test: LDFLAGS += -Wl,--wrap=open
$(O)/unit/driver_memory_test: LDFLAGS += -Wl,--wrap=kt_redis_open,--wrap=kt_redis_close,--wrap=kt_redis_ask,--wrap=kt_redis_read_user,--wrap=kt_maria_run,--wrap=kt_maria_count,--wrap=kt_maria_cell
$(O)/unit/cert_dates_test: LDFLAGS += -Wl,--wrap=gnutls_certificate_get_peers,--wrap=gnutls_x509_crt_init,--wrap=gnutls_x509_crt_deinit,--wrap=gnutls_certificate_allocate_credentials,--wrap=gnutls_certificate_free_credentials,--wrap=kt_stream_open,--wrap=kt_stream_secure,--wrap=kt_stream_close
$(O)/unit/ldap_steps_test: LDFLAGS += -Wl,--wrap=kt_ldap_open,--wrap=kt_ldap_close,--wrap=kt_ldap_change,--wrap=kt_ldap_look
$(O)/unit/fresh_test: LDFLAGS += -Wl,--wrap=kt_aead_seal
$(O)/unit/login_test: LDFLAGS += -Wl,--wrap=crypto_pwhash_str_alg
$(addprefix $(O)/unit/,jobs_test leases_test kv_copy_test mounts_race_test quotas_test token_race_test wrapping_test approvals_test login_test unix_login_test pam_login_test jwt_login_test approle_test cert_test rotation_race_test rotation_moment_test rotation_candidates_test rotation_own_test rotation_pause_test rotation_order_test notify_trouble_test rotation_together_test): LDFLAGS += -Wl,--wrap=mounts_require
$(addprefix $(O)/unit/,rotation_moment_test rotation_places_test seal_race_test): LDFLAGS += -Wl,--wrap=poll
$(O)/unit/rotation_places_test: LDFLAGS += -Wl,--wrap=due_row_name
# What a thread can wait for, and the audit log's disk, are the simulation's own.
$(O)/sim/sim: LDFLAGS += -Wl,@tests/sim/wraps
$(O)/sim/sim: $(call obj,$(SIM_SRC)) tests/sim/wraps $(TEST_ARCHIVES); $(link)
$(O)/bench/%: $(O)/tests/bench/%.o $(TEST_ARCHIVES); $(link)
# What audit outcomes, and overwriting what is freed, cost: vaultds that leave them out, to compare with.
# Never installed.
$(O)/bench/without-outcomes/vaultd: LDFLAGS += -Wl,--wrap=record_outcome,--wrap=batch_outcome \
  -Wl,--wrap=audit_outcome_done
$(O)/bench/without-outcomes/vaultd: $(call obj,$(VAULTD_OWN)) $(O)/tests/bench/seam/without_outcomes.o
$(O)/bench/without-overwriting/vaultd: $(call obj,$(filter-out vaultd/wiping_free.c,$(VAULTD_OWN)))
$(O)/bench/without-outcomes/vaultd $(O)/bench/without-overwriting/vaultd: $(O)/libvaultd.a $(O)/libkt.a \
  | $(addprefix $(BIN)/vaultd-,spawn worker); $(link)
	@ln -sf $(abspath $(BIN))/vaultd-spawn $(abspath $(BIN))/vaultd-worker $(@D)
$(O)/replay/%: $(O)/tests/fuzz/replay.o $(O)/tests/fuzz/%.o $(TEST_ARCHIVES); $(link)
$(O)/fuzz/%: EXTRA_LIBS = -fsanitize=fuzzer
$(O)/fuzz/%: $(O)/tests/fuzz/%.o $(TEST_ARCHIVES); $(link)

# Who may come to which row of the API is written down twice; the build fails where the two differ.
$(O)/access: $(call obj,tests/support/main_access.c tests/support/access.c) $(O)/libvaultd.a $(O)/libkt.a; $(link)
$(O)/access.checked: $(O)/access
	$(Q)$< && touch $@

$(O)/support/%_shim.so: tests/support/%_shim.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(WARN_CC) -O1 -g -fPIC -shared -o $@ $< -ldl -pthread

-include $(shell test -d $(O) && find $(O) -name '*.d')

# ---- what a person types ----------------------------------------------------------------------
.PHONY: help deps test check demo bench torture fuzz coverage lint tidy analyze memcheck asan tsan clang dev docs \
  install clean format

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

deps:  ## install what is missing (Debian 12, as root) and create the system user keyturn
	@tests/support/deps

test: deps  ## build everything and pass all tests; ends with "N passed, N failed"
	@$(MAKE) --no-print-directory -j$$(nproc) all unit-programs sim-programs replay-programs shims
	@$(MAKE) --no-print-directory -j$$(nproc) VARIANT=fault all
	@tests/run $(ONLY)

check: all unit-programs  ## build, lint and unit tests: a minute or two
	@tests/run unit lint

demo: deps  ## the main job on a real PostgreSQL; KEEP=1 leaves it running
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/integration/demo $(if $(KEEP),--keep)

bench: deps  ## print the figures, each beside its limit; ONLY="reads", QUICK=1, LONG=1
	@$(MAKE) --no-print-directory -j$$(nproc) all bench-programs shims
	@tests/bench/run $(if $(QUICK),--quick) $(if $(LONG),--long) $(ONLY)

MINUTES ?= 10
SEED    ?= 1
torture: deps  ## kill, fill, cut: MINUTES=10 SEED=1
	@$(MAKE) --no-print-directory -j$$(nproc) all unit-programs sim-programs shims
	@tests/torture/run --minutes $(MINUTES) --seed $(SEED)

SECONDS_EACH ?= 20
fuzz: deps  ## run each fuzz target for SECONDS_EACH=20
	@$(MAKE) --no-print-directory -j$$(nproc) CC=clang VARIANT=fuzz fuzz-programs
	@tests/fuzz/run $(BUILD)/fuzz/fuzz $(SECONDS_EACH)

coverage: deps  ## lines that each fuzz target reaches in SECONDS_EACH=20
	@$(MAKE) --no-print-directory -j$$(nproc) CC=clang VARIANT=coverage fuzz-programs
	@tests/fuzz/coverage $(BUILD)/coverage/fuzz $(SECONDS_EACH)

lint:  ## what the compiler does not see: layers, headers, sizes, names, banned calls (tests/lint/)
	@tests/run lint

tidy:  ## clang-tidy; FILES="lib/a.c ...", DEEP=1; exceptions: tests/lint/tidy.txt
	@tests/support/analyze tidy $(FILES)

analyze:  ## gcc's analyser; FILES="lib/a.c ..."; exceptions: tests/lint/analyzer.txt
	@tests/support/analyze gcc $(FILES)

asan:  ## unit tests and the fuzz corpora under ASan and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan unit-programs replay-programs
	@tests/run --variant asan unit fuzz

tsan:  ## what is threaded under ThreadSanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan unit-programs
	@tests/run --variant tsan unit

memcheck: all  ## unit tests under valgrind's memcheck
	@$(MAKE) --no-print-directory VARIANT=memcheck unit-programs
	@tests/run --memcheck --variant memcheck unit

clang:  ## everything with the other compiler, warnings are errors
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang all unit-programs

dev: all  ## vaultd --dev
	@$(BIN)/vaultd --dev

docs: all  ## write docs/secretctl.md from the table of commands, docs/compatibility.md from the tests
	@$(BIN)/secretctl docs > $(O)/secretctl.md && mv $(O)/secretctl.md docs/secretctl.md
	@tests/support/compatibility > $(O)/compatibility.md && mv $(O)/compatibility.md docs/compatibility.md

format:  ## clang-format over the tree
	@clang-format-14 -i $$(git ls-files '*.c' '*.h')

PREFIX ?= /usr/local
install: all  ## into PREFIX=/usr/local (DESTDIR is honoured)
	@tests/support/install "$(DESTDIR)" "$(PREFIX)" "$(BIN)"

clean:  ## remove what was built
	@rm -rf $(BUILD)
