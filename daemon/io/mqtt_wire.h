/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_MQTT_WIRE_H
#define IO_MQTT_WIRE_H
/*
 * mqtt_wire — Paho's many small reads and acknowledgements, in few large ones.
 *
 * Paho 1.3 does not buffer: a packet is taken off its socket by three or four recv() (its first byte, one
 * or two of its length, the rest), before each packet poll() is asked twice, and each PUBACK is a
 * writev() of four bytes that wakes the broker (Socket.c: Socket_getReadySocket, Socket_getch,
 * Socket_getdata, Socket_putdatas). That is half of what a subscriber costs. Paho has no hook for it, but
 * the program's own definition of a function comes before libc's when a shared library's call is bound
 * (ld.so(8)): mqtt_wire.c defines recv(), poll(), writev(), usleep() and close() for the process. They are
 * libc's to everybody but one: on Paho's receive thread, for the sockets that it polls,
 *
 *  - recv() reads what has come in one piece and hands it out as it is asked for; poll() knows about what
 *    is left. A socket that brings thousands of messages a second is read at a pace (mqtt_pace.h);
 *  - a PUBACK is held until that thread next turns to the kernel, that is, for as long as messages that
 *    have been read already are worked off, then all go in one send();
 *  - in a backlog a PUBLISH that Paho has another one to follow is written with MSG_MORE: the kernel sends
 *    them together, or when something that is under way is acknowledged (tcp(7), TCP_CORK);
 *  - usleep(), with which Paho looks away for 100 ms whenever nothing has come for a second, ends when
 *    something comes: an alarm in a quiet house is not late for it.
 *
 * It also turns Nagle's algorithm off on the sockets that it meets (tcp(7), TCP_NODELAY), which Paho
 * leaves on: a small packet behind an unacknowledged one waits for the other side's delayed
 * acknowledgement, 40 ms at most, and so did alarms (docs/performance.md).
 *
 * Promises: the bytes of a socket in their order, each once, in both directions; never within a packet
 * of which the kernel took a part. The kernel is asked at least every 16th time and every millisecond, so no
 * other socket of Paho's waits longer than that. What was read of a socket, or held for it, is never given to the one
 * that has its number next. An acknowledgement is at most late, never early: what a crash finds here
 * comes again, as if it had been under way.
 *
 * Does not: TLS (OpenSSL has a buffer of its own, and calls neither); sockets numbered above 1,023; anything
 * with flags. Another version of Paho that asks something else than poll() is left alone: only a
 * socket that came by there is known.
 *
 * Threads: what was read is the receive thread's own. What is held for sending is under one lock, as
 * Paho's other thread writes, too. close() counts, for all threads, atomically.
 */
#include <stdbool.h>
#include <stdint.h>

struct mqtt_wire_stats { /* since the start */
    uint64_t asked;      /* times that recv() was answered with bytes … */
    uint64_t read;       /* … and times that the kernel gave some for it */
    uint64_t acks;       /* PUBACKs held … */
    uint64_t sent;       /* … and sends of one or more of them */
    uint64_t more;       /* PUBLISHes that others followed in one piece */
};

/* The calling thread is Paho's receive thread: from its callbacks, each time. */
void mqtt_wire_begin(void);
/* The same, and a message has just come from the socket that was read last. */
void mqtt_wire_message(void);
/* Any thread: Paho is about to get one message more to publish (-1: it did not take it; backlog: others are
 * under way); and: all that it had are answered, or never will be. One client of a process publishes. */
void mqtt_wire_queued(int n, bool backlog);
void mqtt_wire_none_queued(void);
void mqtt_wire_stats(struct mqtt_wire_stats *out);

#endif
