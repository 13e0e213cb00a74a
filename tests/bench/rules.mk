# Nanoseconds per operation on the path of every message.
.PHONY: bench-hot
bench-hot: $(B)/bench/bench_hot
	$(Q)$<
$(B)/bench/bench_hot: $(B)/tests/bench/bench_hot.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
