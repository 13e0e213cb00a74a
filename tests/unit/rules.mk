# Unit tests whose clock, or clock and files, are faked: the fakes come before the library and win.
FAKED_CLOCK := test_journal_recover
FAKED_FILES := test_journal_model test_journal_faults
FAKE_CLOCK_OBJ := $(O)/tests/sim/fake_clock.o
FAKE_FILES_OBJ := $(FAKE_CLOCK_OBJ) $(O)/tests/sim/fake_file.o $(O)/tests/sim/own.o
link_faked = $(call say,LD,$@)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka
$(FAKED_CLOCK:%=$(B)/unit/%): $(B)/unit/%: $(O)/tests/unit/%.o $(FAKE_CLOCK_OBJ) $(LIB)
	$(link_faked)
$(FAKED_FILES:%=$(B)/unit/%): $(B)/unit/%: $(O)/tests/unit/%.o $(FAKE_FILES_OBJ) $(LIB)
	$(link_faked)

# The line protocol's tests read back what was written.
$(B)/unit/test_lineproto $(B)/unit/test_lp_vectors: $(O)/tests/lp_decode.o
# test_unit compares with udunits2 where its header is
ifneq ($(wildcard /usr/include/udunits2.h),)
$(O)/tests/unit/test_unit.o: private CPPFLAGS_ALL += -DHAVE_UDUNITS2
$(B)/unit/test_unit: private LIBS += -ludunits2
endif

# gaihouctl is not part of the library, and the library comes behind what uses it.
$(B)/unit/test_ctl_%: $(O)/tests/unit/test_ctl_%.o $(O)/obj/ctl/%.c.o $(O)/obj/ctl/usage.c.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# A gateway archives a segment while the history is gathered.
$(B)/unit/test_ctl_history: private LDFLAGS_ALL += -Wl,--wrap=file_list
# The profile is played by the test.
$(B)/unit/test_engine_samples: private LDFLAGS_ALL += -Wl,--wrap=profile_decode
# No process can be made when the test says so.
$(B)/unit/test_image: private LDFLAGS_ALL += -Wl,--wrap=fork
# A record is asked for while its segment is archived.
$(B)/unit/test_journal: private LDFLAGS_ALL += -Wl,--wrap=file_rename
# What is read is counted, and a file system may map nothing.
$(B)/unit/test_snapshot: private LDFLAGS_ALL += -Wl,--wrap=file_read,--wrap=file_map
# How often the alarms' series are made is counted.
$(B)/unit/test_engine_alarm_save: private LDFLAGS_ALL += -Wl,--wrap=gen_build
# The engine's word about alarms is the test's.
$(B)/unit/test_pipeline_alerts: private LDFLAGS_ALL += -Wl,--wrap=engine_new,--wrap=engine_record,--wrap=engine_adopt_cases,--wrap=engine_next_due,--wrap=journal_append

# The clock is set ahead, and what Paho answers is the test's.
$(B)/unit/test_mqtt_time: private LDFLAGS_ALL += -Wl,--wrap=clock_gettime,--wrap=pthread_cond_timedwait,--wrap=MQTTAsync_connect,--wrap=MQTTAsync_subscribeMany,--wrap=log_write

# Who is given what, who has room, and what is said, is looked at by the test.
$(B)/unit/test_pipeline_ahead: private LDFLAGS_ALL += -Wl,--wrap=engine_record,--wrap=engine_rot,--wrap=store_waiting_bytes,--wrap=log_write

# The broker's word and the journal's room are the test's.
$(B)/unit/test_ingest: private LDFLAGS_ALL += -Wl,--wrap=mqtt_open,--wrap=journal_append,--wrap=journal_append_patient,--wrap=pipeline_notify,--wrap=stop_now

# The later version that finds fault is the test's.
$(B)/unit/test_pipeline_kept: private LDFLAGS_ALL += -Wl,--wrap=world_open

$(B)/unit/test_sink: private LDFLAGS_ALL += -Wl,--wrap=outbound_fold_error,--wrap=outbound_write,--wrap=outbound_done,--wrap=loop_now_ns,--wrap=log_write

# These take longest: they wait for real time, or try many seeds.
UNIT_LONG := test_sink test_mqtt test_city test_journal_model test_mqtt_send test_alarm_random \
             test_cases_random test_engine_alarm_save test_engine
