# Programs for those who work on gaihou.
$(B)/tools/%: $(O)/tests/tools/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Writes what comes from the option table (core/conf_table.c): the example file and the option
# sections of gaihou.conf(5). tests/unit/test_conf_docs.c compares.
.PHONY: docs-conf
docs-conf: $(B)/tools/conf_doc
	$(Q)$< example >config/gaihou.yaml
	$(Q)$< man >$(B)/options.mdoc
	$(Q)sed -i -e '/options: begin/,/options: end/{/options: end/r $(B)/options.mdoc' -e 'd}' \
		daemon/man/gaihou.conf.5
