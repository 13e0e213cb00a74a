# The date library reports with exceptions; base/zone.cc turns them into error codes.
$(B)/obj/base/zone.cc.o: CXXFLAGS_ALL += -fexceptions

# clang's check of virtual tables needs its C++ runtime, and programs are linked as C.
$(B)/obj/base/zone.cc.o $(B)/obj/core/json.cc.o: CXXFLAGS_ALL += -fno-sanitize=vptr

# io/mqtt_diagnose asks OpenSSL itself why a handshake fails.
LIBS += -lssl

# libjansson writes and reads the JSON of the HTTP API (io/store_query.c, ctl/).
LIBS += -ljansson

# Paho without its tracing: named as an object, and before Paho's archive, so that it is linked
# whether or not anything of ours asks for it. From our archive alone it would come too late.
ifeq ($(PAHO),lean)
LIBS := $(B)/obj/io/paho/lean.c.o $(LIBS)
endif
