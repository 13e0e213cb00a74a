# The date library reports with exceptions; base/zone.cc turns them into error codes.
$(B)/obj/base/zone.cc.o: CXXFLAGS_ALL += -fexceptions

# clang's check of virtual tables needs its C++ runtime, and programs are linked as C.
$(B)/obj/base/zone.cc.o $(B)/obj/core/json.cc.o: CXXFLAGS_ALL += -fno-sanitize=vptr

# io/mqtt_diagnose asks OpenSSL itself why a handshake fails.
LIBS += -lssl

# libjansson writes and reads the JSON of the HTTP API (io/store_query.c, ctl/).
LIBS += -ljansson

# -- make install [DESTDIR=] [PREFIX=/usr] [SYSCONFDIR=/etc] [UNITDIR=/lib/systemd/system] -----------
# A configuration that is there already is never overwritten; what ships beside it as an example is.
INSTALL ?= install
PROGRAMS_SBIN := $(B)/gaihoud
PROGRAMS_BIN  := $(B)/gaihouctl
SHARE := $(DESTDIR)$(PREFIX)/share
ETC   := $(DESTDIR)$(SYSCONFDIR)/gaihou

# $(call put,MODE,FOLDER,FILES): nothing if there are no files
put = $(if $(strip $(3)),$(INSTALL) -d '$(2)' && $(INSTALL) -m $(1) $(3) '$(2)/')
# $(call keep,FOLDER,FILES): only those that are not there
keep = $(foreach f,$(2),[ -e '$(1)/$(notdir $(f))' ] || $(INSTALL) -m 644 '$(f)' '$(1)/';)

man = $(wildcard daemon/man/*.$(1))

install: $(PROGRAMS_SBIN) $(PROGRAMS_BIN)
	$(call put,755,$(DESTDIR)$(PREFIX)/sbin,$(PROGRAMS_SBIN))
	$(call put,755,$(DESTDIR)$(PREFIX)/bin,$(PROGRAMS_BIN))
	$(call put,644,$(SHARE)/man/man1,$(call man,1))
	$(call put,644,$(SHARE)/man/man5,$(call man,5))
	$(call put,644,$(SHARE)/man/man7,$(call man,7))
	$(call put,644,$(SHARE)/man/man8,$(call man,8))
	$(call put,644,$(SHARE)/bash-completion/completions,$(wildcard daemon/completion/gaihouctl))
	$(call put,644,$(SHARE)/zsh/vendor-completions,$(wildcard daemon/completion/_gaihouctl))
	$(call put,644,$(SHARE)/doc/gaihou/examples,$(wildcard config/*.yaml config/example/*.csv))
	$(call put,644,$(SHARE)/doc/gaihou/examples/mosquitto,$(wildcard config/mosquitto/*))
	$(INSTALL) -d -m 755 '$(ETC)' && $(INSTALL) -d -m 750 '$(ETC)/secrets'
	$(call keep,$(ETC),$(wildcard config/*.yaml config/example/*.csv))
	$(call put,644,$(DESTDIR)$(UNITDIR),$(wildcard systemd/*.service))
	$(if $(wildcard systemd/gaihou.sysusers),$(INSTALL) -D -m 644 systemd/gaihou.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/gaihou.conf')
	$(if $(wildcard config/grafana),cd config/grafana && find . -type f -exec $(INSTALL) -D -m 644 '{}' '$(abspath $(SHARE))/gaihou/grafana/{}' ';')
