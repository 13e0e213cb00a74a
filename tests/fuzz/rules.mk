$(B)/fuzz/fuzz_lineproto: $(O)/tests/lp_decode.o
# Files and clock of this one are faked; the library must come after the fakes.
$(B)/fuzz/fuzz_journal: $(O)/tests/fuzz/fuzz_journal.o $(FUZZ_MAIN) $(O)/tests/sim/fake_clock.o $(O)/tests/sim/fake_file.o $(O)/tests/sim/own.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) $(FUZZ_LD) -o $@ $^ $(LIBS)
