# The date library reports with exceptions; base/zone.cc turns them into error codes.
$(O)/obj/base/zone.cc.o: CXXFLAGS_ALL += -fexceptions

# clang's check of virtual tables needs its C++ runtime, and programs are linked as C.
$(O)/obj/base/zone.cc.o $(O)/obj/core/json.cc.o: CXXFLAGS_ALL += -fno-sanitize=vptr

# io/mqtt_diagnose asks OpenSSL itself why a handshake fails, io/pem what is in its files.
LIBS += -lssl -lcrypto

# libjansson writes and reads the JSON of the HTTP API (io/store_query.c, ctl/).
LIBS += -ljansson

# core/codec_cbor.c
LIBS += -lcbor

# Paho without its tracing: named as an object, and before Paho's archive, so that it is linked
# whether or not anything of ours asks for it. From our archive alone it would come too late.
ifeq ($(PAHO),lean)
LIBS := $(O)/obj/io/paho/lean.c.o $(LIBS)
endif

# -- installing ----------------------------------------------------------------
# Programs, man pages and the pages that they name, completion, units, the user, the vendors' profiles,
# the rules, the schemas of what firms hear, and an example configuration that passes --check. What people have changed in SYSCONFDIR is never written over.
MANDIR    ?= $(PREFIX)/share/man
DATADIR   ?= $(PREFIX)/share
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
D = $(DESTDIR)
install: all
	install -d $(D)$(PREFIX)/bin $(D)$(SYSCONFDIR)/gaihou/profiles $(D)$(SYSCONFDIR)/gaihou/rules $(D)$(UNITDIR) $(D)$(SYSUSERSDIR)
	install -m 755 $(B)/gaihoud $(B)/gaihouctl $(D)$(PREFIX)/bin/
	for f in daemon/man/*.[1-9]; do \
	    install -D -m 644 $$f $(D)$(MANDIR)/man$${f##*.}/$${f##*/} || exit 1; done
	for f in docs/*.md; do install -D -m 644 $$f $(D)$(DATADIR)/doc/gaihou/$${f##*/} || exit 1; done
	install -D -m 644 daemon/ctl/completion/gaihouctl.bash \
	    $(D)$(DATADIR)/bash-completion/completions/gaihouctl
	install -D -m 644 daemon/ctl/completion/_gaihouctl \
	    $(D)$(DATADIR)/zsh/vendor-completions/_gaihouctl
	for f in systemd/*.service; do \
	    sed 's|/usr/bin/|$(PREFIX)/bin/|g; s|/etc/gaihou/|$(SYSCONFDIR)/gaihou/|g' $$f \
	        >$(D)$(UNITDIR)/$${f##*/} && chmod 644 $(D)$(UNITDIR)/$${f##*/} || exit 1; done
	install -m 644 systemd/gaihou.sysusers $(D)$(SYSUSERSDIR)/gaihou.conf
	for f in config/gaihou.yaml config/catalog.yaml config/example/*.csv; do \
	    [ -e $(D)$(SYSCONFDIR)/gaihou/$${f##*/} ] || \
	    install -m 644 $$f $(D)$(SYSCONFDIR)/gaihou/ || exit 1; done
	for f in config/profiles/*.yaml config/rules/*.yaml; do \
	    to=$(D)$(SYSCONFDIR)/gaihou/$${f#config/}; \
	    [ -e $$to ] || install -m 644 $$f $$to || exit 1; done
	for f in $$(cd config && find . -type f); do \
	    install -D -m 644 config/$$f $(D)$(DATADIR)/gaihou/$${f#./} || exit 1; done
	for f in docs/schemas/*.json; do \
	    install -D -m 644 $$f $(D)$(DATADIR)/gaihou/schemas/$${f##*/} || exit 1; done

# The grammar of conditions: lemon writes the parser into the build folder. Its code is not ours,
# and does not keep to our warnings.
LEMON ?= lemon
EXPR_GRAMMAR := $(O)/gen/core/expr_grammar
OBJ += $(O)/obj/core/expr_grammar.c.o
$(LIB): $(O)/obj/core/expr_grammar.c.o
$(EXPR_GRAMMAR).c: daemon/core/expr_grammar.y
	@mkdir -p $(@D)
	$(call say,LEMON,$<)$(LEMON) -q -l -d$(@D) $<
$(EXPR_GRAMMAR).h: $(EXPR_GRAMMAR).c
$(O)/obj/core/expr_lex.c.o: $(EXPR_GRAMMAR).h
$(O)/obj/core/expr_grammar.c.o: $(EXPR_GRAMMAR).c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(filter-out -W%,$(CFLAGS_ALL)) -Wall -Wno-unused-variable -MMD -MP -c -o $@ $<
