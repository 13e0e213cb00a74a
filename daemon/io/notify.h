/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H
/*
 * notify — what we tell systemd (sd_notify(3)). Without systemd every call does nothing.
 *
 * Thread-safe; never blocks for long (one datagram); failures are of no consequence to us, and
 * systemd notices a missing READY or WATCHDOG by itself.
 */
void notify_ready(void);     /* also after a reload has ended, whichever way */
void notify_reloading(void); /* with the moment, as Type=notify-reload wants it */
void notify_stopping(void);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* one line */
void notify_watchdog(void);

#endif
