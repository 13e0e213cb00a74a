# test_city takes the city's objects but for its main; the library must then come after them.
$(B)/unit/test_city: $(patsubst tests/%.c,$(O)/tests/%.o,$(filter-out %/main.c,$(CITY_SRC)))
$(B)/unit/test_city: private LIBS := $(LIB) $(LIBS)
