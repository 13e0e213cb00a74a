$(B)/unit/test_answer: LIBS += -ljansson
