$(B)/fuzz/fuzz_lineproto: $(B)/tests/lp_decode.o
# Files and clock of this one are faked; the library must come after the fakes.
$(B)/fuzz/fuzz_journal: $(B)/tests/sim/fake_file.o $(B)/tests/sim/fake_clock.o
$(B)/fuzz/fuzz_journal: private LIBS := $(LIB) $(LIBS)
