/* SPDX-License-Identifier: Apache-2.0 */
/* notify: what arrives at a systemd of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void expect(int fd, const char *wanted)
{
    char text[1024];
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, wanted, strlen(wanted));
}

static void tells(void **state)
{
    (void)state;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/test_notify.%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    setenv("NOTIFY_SOCKET", sa.sun_path, 1);
    notify_ready();
    expect(fd, "READY=1");
    notify_reloading();
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=");
    notify_status("lag %d s\nREADY=1", 3);
    expect(fd, "STATUS=lag 3 s");
    notify_stopping();
    expect(fd, "STOPPING=1");
    notify_watchdog();
    expect(fd, "WATCHDOG=1");
    unsetenv("NOTIFY_SOCKET");
    notify_ready(); /* nobody is told */
    char c;
    assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    close(fd);
    unlink(sa.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
