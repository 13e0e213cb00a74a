# The date library reports with exceptions; base/zone.cc turns them into error codes.
$(B)/obj/base/zone.cc.o: CXXFLAGS_ALL += -fexceptions
