# Unit tests whose files or clock are faked: the fakes come before the library and win.
FAKED_UNIT := test_journal_model test_journal_faults
$(patsubst %,$(B)/unit/%,$(FAKED_UNIT)): $(B)/unit/%: $(B)/tests/unit/%.o \
		$(B)/tests/sim/fake_file.o $(B)/tests/sim/fake_clock.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# The line protocol's tests read back what was written.
$(B)/unit/test_lineproto $(B)/unit/test_lp_vectors: $(B)/tests/lp_decode.o
