# The city's history through the real engine in virtual time, against the truth.
#   make history        two days of 300 devices, healthy and with faults (in `make sim`, too)
#   make history-long   a healthy month and a faulty week of 2,000 devices, three seeds each
HISTORY_OBJ := $(patsubst tests/%.c,$(B)/tests/%.o,$(filter-out %/main.c,$(CITY_SRC)))
$(B)/history/%: $(B)/tests/history/%.o $(HISTORY_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# None of these seeds was used to choose a limit, a window or a fault's delay.
HISTORY_SEEDS ?= 101 105 109

.PHONY: history history-long
history: $(B)/history/history
	$(Q)$< --days 2 --devices 300 --compounds 6 101
	$(Q)$< --days 2 --devices 300 --compounds 6 --faults 1 105

history-long: $(B)/history/history
	$(Q)$< --days 30 --devices 2000 --compounds 20 $(HISTORY_SEEDS)
	$(Q)$< --days 7 --devices 2000 --compounds 20 --faults 0.3 $(HISTORY_SEEDS)

sim: history
sim-long: history-long
