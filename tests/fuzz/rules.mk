$(B)/fuzz/fuzz_lineproto: $(B)/tests/lp_decode.o
