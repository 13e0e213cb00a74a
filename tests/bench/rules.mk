# Nanoseconds per operation on the path of every message.
.PHONY: bench-hot
bench-hot: $(B)/bench/bench_hot
	$(Q)$<
$(B)/bench/bench_hot: $(B)/tests/bench/bench_hot.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# The yardstick links Debian's shared Paho whatever gaihoud links.
$(B)/null_sub: $(B)/tests/bench/null_sub.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lpaho-mqtt3as
