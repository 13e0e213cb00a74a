# gaihou — one makefile, no recursion, everything built below build/$(VARIANT).
#   make [VARIANT=release|debug|asan|tsan|cov|fuzz] [PAHO=debian|lean] [V=1]
#   make unit sim fuzz-replay integ check bench fuzz install DESTDIR= PREFIX=
# Sources are found by wildcard per layer; changed flags rebuild (see $(O)/flags).

VARIANT ?= release
PAHO    ?= debian
PREFIX  ?= /usr
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system
# What is compiled is the same whichever Paho is linked: objects in O, programs in B.
O       := build/$(VARIANT)
B       := $(O)$(if $(filter lean,$(PAHO)),-lean)
VERSION := $(shell cat daemon/VERSION)

ifeq ($(VARIANT),fuzz)
CC  := clang-14
CXX := clang++-14
else
CC  ?= cc
CXX ?= c++
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wformat=2 -Wundef \
        $(if $(WERROR),-Werror)
WARN_C := -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum

OPT_release := -O2 -g -D_FORTIFY_SOURCE=2
OPT_debug   := -O0 -g3
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
OPT_cov     := -O0 -g --coverage
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifeq ($(OPT_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is not one of release debug asan tsan cov fuzz)
endif

# GCC clears and copies what it cannot unroll with rep stos and rep movs, whose start costs more than
# most of our structs and keys; libc knows better.
OPT_release += $(shell echo | $(CC) -mstringop-strategy=libcall -x c -c -o /dev/null - 2>/dev/null \
                 && echo -mstringop-strategy=libcall)

PKGS := libuv libcurl libfyaml sqlite3 libmicrohttpd libsystemd libzstd libxxhash libisal simdjson
PAHO_LIBS_debian := -lpaho-mqtt3as
PAHO_LIBS_lean   := -l:libpaho-mqtt3as.a
PAHO_LIBS ?= $(PAHO_LIBS_$(PAHO))

CPPFLAGS_ALL := -D_GNU_SOURCE -DGAIHOU_VERSION='"$(VERSION)"' -Idaemon -I$(O)/gen \
                $(shell pkg-config --cflags $(PKGS)) $(CPPFLAGS)
HARDEN := -fstack-protector-strong -fPIE
CFLAGS_ALL   := -std=gnu17 $(WARN) $(WARN_C) $(OPT_$(VARIANT)) $(HARDEN) -pthread $(CFLAGS)
CXXFLAGS_ALL := -std=c++17 $(WARN) $(OPT_$(VARIANT)) $(HARDEN) -fno-exceptions -pthread $(CXXFLAGS)
LDFLAGS_ALL  := -pie -Wl,-z,relro -Wl,-z,now -pthread $(OPT_$(VARIANT)) $(LDFLAGS)
LIBS := $(shell pkg-config --libs $(PKGS)) -lcsv -ldate-tz $(PAHO_LIBS) -lstdc++ -lm

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2);)

LAYERS := base core io app
SRC := $(foreach l,$(LAYERS),$(wildcard daemon/$(l)/*.c daemon/$(l)/*.cc))
ifeq ($(PAHO),lean)
SRC += $(wildcard daemon/io/paho/*.c)
endif
OBJ := $(patsubst daemon/%,$(O)/obj/%.o,$(SRC))
CTL_SRC := $(wildcard daemon/ctl/*.c)
CTL_OBJ := $(patsubst daemon/%,$(O)/obj/%.o,$(CTL_SRC))
LIB := $(B)/libgaihou.a
CITY_SRC := $(wildcard tests/city/*.c)

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
.PHONY: all clean install unit sim fuzz fuzz-replay integ check bench city format FORCE

all: $(B)/gaihoud $(B)/gaihouctl

# -- flags as an input --------------------------------------------------------
# $(call written_if_changed,words): two makes at once disturb neither
written_if_changed = @mkdir -p $(@D); t=$@.$$$$; printf '%s\n' '$(subst ','\'',$(1))' >$$t; \
	if cmp -s $@ $$t; then rm $$t; else mv $$t $@; fi
# WERROR=1 makes no other code: who builds without it (make install does) builds nothing again
$(O)/flags: FORCE
	$(call written_if_changed,$(filter-out -Werror,$(CC) $(CXX) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CXXFLAGS_ALL)))
# what is linked with other words is archived again first
$(B)/link-flags: FORCE
	$(call written_if_changed,$(CC) $(LDFLAGS_ALL) $(LIBS))
FORCE:

$(O)/obj/%.c.o: daemon/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(O)/obj/%.cc.o: daemon/%.cc $(O)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

$(LIB): $(OBJ) $(B)/link-flags
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@; ar crs $@ $(filter %.o,$^)

# put in place whole: what runs goes on with the old one, and nobody starts half a program
$(B)/gaihoud: $(O)/obj/main.c.o $(LIB)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@.new $^ $(LIBS) && mv -f $@.new $@

$(B)/gaihouctl: $(CTL_OBJ) $(LIB)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@.new $^ $(LIBS) && mv -f $@.new $@

# -- tests --------------------------------------------------------------------
$(O)/tests/%.o: tests/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) -Itests $(CFLAGS_ALL) -Wno-missing-prototypes -MMD -MP -c -o $@ $<

UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
$(B)/unit/%: $(O)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# Every unit test is a process of its own; T=name… picks some. The longest begin.
UNIT_PICKED = $(if $(T),$(filter $(addprefix %,$(T)),$(UNIT)),$(UNIT))
UNIT_LONGEST = $(filter $(addprefix %/,$(UNIT_LONG)),$(UNIT_PICKED))
unit: $(UNIT_PICKED)
	$(Q)scripts/run-units $(UNIT_LONGEST) $(filter-out $(UNIT_LONGEST),$(UNIT_PICKED))

# -- fuzzing: VARIANT=fuzz links libFuzzer; any other variant links the replayer.
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
ifeq ($(VARIANT),fuzz)
FUZZ_MAIN :=
FUZZ_LD   := -fsanitize=fuzzer
else
FUZZ_MAIN := $(O)/tests/fuzz/replay_main.o
FUZZ_LD   :=
endif
$(B)/fuzz/%: $(O)/tests/fuzz/%.o $(FUZZ_MAIN) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) $(FUZZ_LD) -o $@ $^ $(LIBS)

fuzz-bins: $(FUZZ)
FUZZ_REPLAY := $(FUZZ:$(B)/fuzz/fuzz_%=replay-%)
.PHONY: $(FUZZ_REPLAY)
fuzz-replay: $(FUZZ_REPLAY)
$(FUZZ_REPLAY): replay-%: $(B)/fuzz/fuzz_%
	$(Q)$< tests/fuzz/corpus/$*

# -- the simulated city -------------------------------------------------------
city: $(B)/city
$(B)/city: $(patsubst tests/%.c,$(O)/tests/%.o,$(CITY_SRC)) $(LIB)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

-include daemon/rules.mk
-include $(wildcard tests/*/rules.mk)

format:
	clang-format -i $$(git ls-files '*.c' '*.h' '*.cc')

clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
