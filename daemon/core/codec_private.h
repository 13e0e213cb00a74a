/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CODEC_PRIVATE_H
#define CORE_CODEC_PRIVATE_H
/*
 * codec_private — what the files of codec share; included by core/codec*.c only.
 *
 * The codecs that are C: each writes one value (object or array) into d. 0; -EBADMSG with
 * f->why (and f->at, f->checksum where known); -E2BIG. The shapes that they write are told in
 * gaihou-profiles(5).
 */
#include "core/codec.h"

/* HJ 212-2017 data packets: an array of frames, each {QN, ST, CN, MN, Flag, DataTime, …,
 * CP: {name: value…}, factors: [{code, Rtd, Flag, Avg, Min, Max …}]}. */
int codec_hj212(const char *p, size_t n, struct doc *d, struct codec_fault *f);
/* GB/T 26875.3-2011 frames: an array of frames, see codec_gb26875.c. */
int codec_gb26875(const char *p, size_t n, struct doc *d, struct codec_fault *f);
/* wM-Bus / M-Bus telegram without link-layer CRCs (EN 13757-3/-4): {id, manufacturer, version,
 * medium, status, records: [{vif name, value, unit, function, storage, tariff, subunit}], and
 * flat names}. */
int codec_wmbus(const char *p, size_t n, struct doc *d, struct codec_fault *f);
/* Sparkplug B 3.0 payload (protobuf), as it is: {timestamp, seq, uuid, metrics: [{name, alias,
 * timestamp, datatype, is_historical, is_transient, is_null, value}]}. */
int codec_sparkplug(const char *p, size_t n, struct doc *d, struct codec_fault *f);

#endif
