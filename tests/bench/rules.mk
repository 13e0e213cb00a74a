# Nanoseconds per operation on the path of every message.
.PHONY: bench-hot
bench-hot: $(B)/bench/bench_hot
	$(Q)$<
# A topic's source among 10,000 filters and among 10.
.PHONY: bench-route
bench-route: $(B)/bench/bench_route
	$(Q)$<
# A message decoded and judged, by shipped profiles, against its JSON's parse.
.PHONY: bench-decode
bench-decode: $(B)/bench/bench_decode
	$(Q)$< config/catalog.yaml config/profiles/chirpstack-v4.yaml \
		config/profiles/milesight-codec.yaml
# How long a reload with 100,000 devices holds the loop up.
.PHONY: bench-reload
bench-reload: $(B)/bench/bench_reload
	$(Q)$<
# What a snapshot of a million devices costs whom.
.PHONY: bench-snapshot
bench-snapshot: $(B)/bench/bench_snapshot
	$(Q)$<
# Conditions of rules.
.PHONY: bench-expr
bench-expr: $(B)/bench/bench_expr
	$(Q)$<
$(B)/bench/%: $(O)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# The yardsticks link Debian's shared Paho whatever gaihoud links.
$(B)/null_sub $(B)/null_pub $(B)/alert_feed: $(B)/%: $(O)/tests/bench/%.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lpaho-mqtt3as

# The table of docs/performance.md, against real servers. Some hours; BENCH=--short: half of one.
#   make bench BENCH='--short --only drain'
bench:
	$(Q)+$(MAKE) --no-print-directory VARIANT=release PAHO=debian all city \
		build/release/null_sub build/release/null_pub build/release/alert_feed \
		build/release/bench/bench_journal build/release/bench/bench_alarm \
		build/release/bench/bench_decode build/release/bench/bench_route
	$(Q)+$(MAKE) --no-print-directory VARIANT=release PAHO=lean all
	$(Q)/usr/bin/python3 tests/bench/bench.py $(BENCH)
# Alarms alone: a million series with four rules each.
.PHONY: bench-alarm
bench-alarm: $(B)/bench/bench_alarm
	$(Q)$< 1000000 7 in-order
	$(Q)$< 1000000 7 scattered
