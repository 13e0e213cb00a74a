# libjansson writes and reads the JSON of the HTTP API (io/store_query.c, ctl/).
LIBS += -ljansson
