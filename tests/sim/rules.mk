# The simulated ring: the real app over fakes of io/, in virtual time.
#   make sim         scenarios, and the crash model for some seeds (SEEDS=)
#   make sim-long    10^6 seeds
SEEDS      ?= 1..3000
# Those that found something: the store's word of an id belonged to another key (core/cases_save.c); an
# uplink that was heard again was blamed by few of its members (core/alarm_silence.c); what timers gave
# rise to outlived the record of their time (app/pipeline.c); a row of the outbox was told behind a
# later one of its case (app/tell_rows.c: with a crash, and with a lost link; app/tell_agree.c); what a restored
# store was taken over with was taken over again (core/cases_save.c, app/pipeline_alarm.c).
SEED_ONCE  ?= 30012932 30011131 50014767 61033653 100010252 100000482 200224070 500075393 700027426 700719552 700747290 700784412
SEEDS_LONG ?= 1..1000000

SIM_FAKED := ahead clock file image lock notify stop loop mqtt mqtt_wire mqtt_connect mqtt_diagnose mqtt_subscribe mqtt_publish mqtt_send \
             httpc httpd store store_alarm store_batch store_history store_outbox store_query \
             store_schema store_write store_epoch store_wal journal_sigbus secret
SIM_OBJ := $(filter-out $(patsubst %,$(O)/obj/io/%.c.o,$(SIM_FAKED)) $(O)/obj/base/log.c.o,$(OBJ))
SIM_OWN := $(patsubst %,$(O)/tests/sim/%.o,world own gateway pool plug desk clears neighbour rollback fake_clock fake_file fake_image fake_loop fake_small \
             fake_mqtt fake_alerts fake_store fake_store_alarm fake_httpc)
SIM_WRAP := load_all app_open_all journal_append journal_append_patient outbound_open outbound_write snapshot_commit \
            pipeline_open hash_seed journal_release content_put content_get \
            world_open world_free world_link conf_parse conf_free yaml_parse problems_warn

$(B)/sim/%: $(O)/tests/sim/%.o $(SIM_OWN) $(O)/tests/lp_decode.o $(SIM_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) $(patsubst %,-Wl$(comma)--wrap=%,$(SIM_WRAP)) -o $@ $^ $(LIBS)
comma := ,
$(B)/sim/model: $(O)/tests/sim/heap.o

# Targets of their own: -j2 runs them side by side.
.PHONY: sim-model sim-scenarios sim-long sim-model-long
sim: sim-model sim-scenarios
sim-scenarios: $(B)/sim/sim
	$(Q)$< $(wildcard tests/sim/*.scn)
# First: what a seed comes to must not depend on where the system puts a process's memory.
sim-model: $(B)/sim/model
	$(Q)test "$$($< --where)" = "$$($< --where)" || { echo "$<: its memory lies elsewhere each time"; exit 1; }
	$(Q)$< --seeds $(SEEDS)
	$(Q)for s in $(SEED_ONCE); do $< --seeds $$s..$$s || exit 1; done
sim-long: sim-model-long sim-scenarios
sim-model-long: $(B)/sim/model
	$(Q)$< --seeds $(SEEDS_LONG)
