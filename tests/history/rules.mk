# The city's history through the real engine in virtual time, against the truth.
#   make history        two days of 300 devices, healthy and with faults (in `make sim`, too)
#   make history-long   a healthy month and a faulty week of 2,000 devices, three seeds each
HISTORY_OBJ := $(patsubst tests/%.c,$(O)/tests/%.o,$(filter-out %/main.c,$(CITY_SRC)))
$(B)/history/%: $(O)/tests/history/%.o $(HISTORY_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# None of these seeds was used to choose a limit, a window or a fault's delay.
HISTORY_SEEDS ?= 101 105 109
HISTORY_FLEET ?= --devices 2000 --compounds 20
HISTORY_DAYS_HEALTHY ?= 30
HISTORY_DAYS_FAULTY ?= 7

# Targets of their own: -j2 runs them side by side.
.PHONY: history history-healthy history-faulty history-long history-long-healthy history-long-faulty
history: history-healthy history-faulty
history-healthy: $(B)/history/history
	$(Q)$< --days 2 --devices 300 --compounds 6 101
history-faulty: $(B)/history/history
	$(Q)$< --days 2 --devices 300 --compounds 6 --faults 1 105

history-long: history-long-healthy history-long-faulty
history-long-healthy: $(B)/history/history
	$(Q)$< --days $(HISTORY_DAYS_HEALTHY) $(HISTORY_FLEET) $(HISTORY_SEEDS)
history-long-faulty: $(B)/history/history
	$(Q)$< --days $(HISTORY_DAYS_FAULTY) $(HISTORY_FLEET) --faults 0.3 $(HISTORY_SEEDS)

sim: history
sim-long: history-long
