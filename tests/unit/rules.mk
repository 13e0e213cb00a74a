# The line protocol's tests read back what was written.
$(B)/unit/test_lineproto $(B)/unit/test_lp_vectors: $(B)/tests/lp_decode.o
