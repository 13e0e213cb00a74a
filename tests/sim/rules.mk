# The simulated ring: the real app over fakes of io/, in virtual time.
#   make sim         scenarios, and the crash model for some seeds (SEEDS=)
#   make sim-long    10^6 seeds
SEEDS      ?= 1..3000
# One that found something: the store's word of an id belonged to another key (core/cases_save.c).
SEED_ONCE  ?= 30012932
SEEDS_LONG ?= 1..1000000

SIM_FAKED := clock file image lock notify stop loop mqtt mqtt_connect mqtt_diagnose mqtt_subscribe mqtt_publish mqtt_send \
             httpc httpd store store_alarm store_batch store_history store_outbox store_query \
             store_schema store_write store_epoch store_wal journal_sigbus secret
SIM_OBJ := $(filter-out $(patsubst %,$(O)/obj/io/%.c.o,$(SIM_FAKED)) $(O)/obj/base/log.c.o,$(OBJ))
SIM_OWN := $(patsubst %,$(O)/tests/sim/%.o,world gateway pool plug desk clears neighbour rollback fake_clock fake_file fake_image fake_loop fake_small \
             fake_mqtt fake_alerts fake_store fake_store_alarm fake_httpc)
SIM_WRAP := load_all app_open_all journal_append journal_append_patient outbound_open outbound_write snapshot_commit \
            pipeline_open hash_seed journal_release content_put content_get \
            world_open world_free conf_parse conf_free yaml_parse

$(B)/sim/%: $(O)/tests/sim/%.o $(SIM_OWN) $(O)/tests/lp_decode.o $(SIM_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) $(patsubst %,-Wl$(comma)--wrap=%,$(SIM_WRAP)) -o $@ $^ $(LIBS)
comma := ,

# Targets of their own: -j2 runs them side by side.
.PHONY: sim-model sim-scenarios sim-long sim-model-long
sim: sim-model sim-scenarios
sim-scenarios: $(B)/sim/sim
	$(Q)$< $(wildcard tests/sim/*.scn)
sim-model: $(B)/sim/model
	$(Q)$< --seeds $(SEEDS)
	$(Q)$< --seeds $(SEED_ONCE)..$(SEED_ONCE)
sim-long: sim-model-long sim-scenarios
sim-model-long: $(B)/sim/model
	$(Q)$< --seeds $(SEEDS_LONG)
