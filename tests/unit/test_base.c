/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of base/: buf, arena, mem, err, hash, table, utf8, log. */
#include "unit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void test_buf(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_string_equal(buf_cstr(&b), "");
    assert_non_null(buf_room(&b, 0)); /* also when nothing was ever put */
    assert_false(b.failed);
    assert_int_equal(buf_puts(&b, "01234"), 0);
    assert_int_equal(buf_printf(&b, "%d", 56789), 0); /* exactly the ceiling */
    assert_string_equal(buf_cstr(&b), "0123456789");
    assert_int_equal(b.len, 10);
    assert_int_equal(buf_putc(&b, 'x'), -ENOBUFS); /* a small ceiling is one too */
    assert_true(b.failed);
    assert_int_equal(buf_put(&b, "", 0), 0);
    assert_string_equal(buf_cstr(&b), "0123456789");
    assert_null(buf_room(&b, SIZE_MAX));
    buf_clear(&b);
    assert_false(b.failed);
    assert_int_equal(buf_printf(&b, "%s", "01234567890"), -ENOBUFS);
    assert_int_equal(b.len, 0);
    buf_done(&b);
    assert_int_equal(buf_puts(&b, "again"), 0);
    buf_done(&b);

    buf_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_putc(&b, (char)('a' + i % 26)), 0);
    assert_int_equal(buf_putc(&b, 'a'), -ENOBUFS);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    buf_done(&b);
    buf_init(&b, 0);
    assert_int_equal(buf_putc(&b, 'a'), -ENOBUFS);
    buf_done(&b);
}

/* As calloc, whether or not there are large pages. */
static void test_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, (8 << 20) - 1, 8 << 20, (19 << 20) + 5};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned char *p = mem_zalloc_large(sizes[i], 1);
        for (size_t k = 0; k < sizes[i]; k += 511) {
            assert_int_equal(p[k], 0);
            p[k] = (unsigned char)(k % 251);
        }
        for (size_t k = 0; k < sizes[i]; k += 511)
            assert_int_equal(p[k], k % 251);
        free(p);
    }
}

static void test_arena(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 300000);
    char *first = arena_strdup(&a, "first");
    for (int i = 0; i < 1000; i++) {
        size_t n = (size_t)i % 50;
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xaa, n);
    }
    char *large = arena_alloc(&a, 200000);
    assert_non_null(large);
    memset(large, 1, 200000);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(first, "first");
    assert_null(arena_alloc(&a, 200000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_non_null(arena_alloc(&a, 8)); /* still of use */
    arena_done(&a);
    assert_non_null(arena_alloc(&a, 200000));
    arena_done(&a);
}

static void test_mem(void **state)
{
    (void)state;
    char *s = mem_printf("%d-%s", 7, "x");
    assert_string_equal(s, "7-x");
    free(s);
    assert_null(mem_strdup(NULL));
    s = mem_strndup("abc", 2);
    assert_string_equal(s, "ab");
    free(s);
    s = mem_dup("abc", 4);
    assert_string_equal(s, "abc");
    free(s);
    free(mem_zalloc(0));
    free(mem_realloc_array(NULL, 0, 8));
    char *z = mem_zalloc_array(10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(z[i], 0);
    free(z);
}

static void test_err(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_set(&e, -EINVAL, "bad %d", 3), -EINVAL);
    assert_string_equal(e.text, "bad 3");
    assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_errno(&e, -ENOENT, "open %s", "f"), -ENOENT);
    assert_string_equal(e.text, "open f: No such file or directory");
    char *longer = mem_zalloc(2001);
    memset(longer, 'x', 2000);
    err_errno(&e, -ENOENT, "%s", longer);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    free(longer);
}

static void test_problems(void **state)
{
    (void)state;
    struct problems *p = problems_new(3);
    problems_add(p, "a.yaml", 2, 5, "unknown key '%s'", "x");
    problems_warn(p, "a.yaml", 3, 0, "old");
    assert_int_equal(problems_count(p), 2);
    assert_int_equal(problems_errors(p), 1);
    problems_add(p, "b.csv", 0, 0, "empty");
    problems_add(p, "b.csv", 1, 1, "lost");
    problems_add(p, "b.csv", 1, 2, "lost");
    assert_string_equal(problems_get(p, 0), "a.yaml:2:5: error: unknown key 'x'");
    assert_string_equal(problems_get(p, 1), "a.yaml:3: warning: old");
    assert_string_equal(problems_get(p, 2), "b.csv: error: empty");
    assert_int_equal(problems_count(p), 4);
    assert_int_equal(problems_errors(p), 4);
    assert_non_null(strstr(problems_get(p, 3), "2 more"));
    problems_free(p);
    problems_free(NULL);
}

/* Why it is refused is said, however many warnings came before it. */
static void test_problems_behind_warnings(void **state)
{
    (void)state;
    struct problems *p = problems_new(4);
    for (int i = 1; i <= 9; i++)
        problems_warn(p, "a.csv", i, 0, "old");
    problems_add(p, "b.yaml", 1, 0, "bad");
    problems_add(p, "b.yaml", 2, 0, "worse");
    problems_add(p, "b.yaml", 3, 0, "more");
    assert_int_equal(problems_errors(p), 3);
    assert_int_equal(problems_count(p), 5);
    assert_string_equal(problems_get(p, 1), "a.csv:2: warning: old");
    assert_string_equal(problems_get(p, 2), "b.yaml:1: error: bad");
    assert_string_equal(problems_get(p, 3), "b.yaml:2: error: worse");
    assert_true(problems_is_warning(p, 1));
    assert_false(problems_is_warning(p, 2));
    assert_non_null(strstr(problems_get(p, 4), "8 more"));
    problems_free(p);
    p = problems_new(1);
    problems_warn(p, "a.csv", 1, 0, "old");
    problems_add(p, "b.yaml", 1, 0, "bad");
    assert_string_equal(problems_get(p, 0), "b.yaml:1: error: bad");
    problems_free(p);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"in_flight", "timeout", "url", "max_bytes", "id"};
    assert_string_equal(err_nearest("inflight", names, 5), "in_flight");
    assert_string_equal(err_nearest("timout", names, 5), "timeout");
    assert_string_equal(err_nearest("ulr", names, 5), "url");
    assert_string_equal(err_nearest("max-byts", names, 5), "max_bytes");
    assert_null(err_nearest("completely_other", names, 5));
    assert_null(err_nearest("x", names, 5)); /* not "id": nothing in common */
    assert_null(err_nearest("qo", names, 5));
    assert_null(err_nearest("cn", (const char *const[]){"zh", "en"}, 2));
    assert_null(err_nearest("", names, 5));
    assert_null(err_nearest("a", names, 0));
}

static void test_hash(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    char zeros[32] = {0}; /* RFC 3720 B.4 */
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    memset(zeros, 0xff, 32);
    assert_int_equal(crc32c(0, zeros, 32), 0x62a8ab43);
    assert_true(hash64(1, "a", 1) != hash64(2, "a", 1));
    assert_true(hash64(0, "", 0) == UINT64_C(0x2d06800538d394c2)); /* XXH3's own vector */
    assert_true(hash_seed() == hash_seed());
    struct hash128 h = hash128("", 0);
    assert_true(h.hi == UINT64_C(0x99aa06d3014798d8) && h.lo == UINT64_C(0x6001c324468d497f));
}

static bool same_number(const void *ctx, uint32_t value, const void *key, size_t len)
{
    const uint32_t *keys = ctx;
    return len == 4 && memcmp(&keys[value], key, 4) == 0;
}

static uint64_t number_hash(uint32_t key, bool collide)
{
    return collide ? 5 : hash64(hash_seed(), &key, 4);
}

static void check_table(uint32_t n, bool collide)
{
    uint32_t *keys = mem_zalloc_array(n, sizeof(*keys));
    struct table t;
    table_init(&t, n);
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = i * 2654435761u;
        table_add(&t, number_hash(keys[i], collide), i);
    }
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(
            table_find(&t, number_hash(keys[i], collide), same_number, keys, &keys[i], 4), i);
    uint32_t absent = 12345;
    assert_true(table_find(&t, number_hash(absent, collide), same_number, keys, &absent, 4) ==
                UINT32_MAX);
    table_done(&t);
    free(keys);
}

static void test_table(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 200; n++)
        check_table(n, false);
    check_table(100000, false);
    check_table(300, true);
    struct table t = {0};
    assert_true(table_find(&t, 1, same_number, NULL, "", 0) == UINT32_MAX);
    table_done(&t);
}

/* Code points the long way: every one alone, cut short, and with a continuation too many. */
static void test_utf8(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        char s[5];
        size_t n = 0;
        if (c < 0x80)
            s[n++] = (char)c;
        else if (c < 0x800)
            s[n++] = (char)(0xc0 | c >> 6);
        else if (c < 0x10000)
            s[n++] = (char)(0xe0 | c >> 12);
        else
            s[n++] = (char)(0xf0 | c >> 18);
        if (c >= 0x10000)
            s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        if (c >= 0x800)
            s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        if (c >= 0x80)
            s[n++] = (char)(0x80 | (c & 0x3f));
        bool good = c < 0xd800 || (c > 0xdfff && c < 0x110000);
        s[n] = (char)0x80;
        assert_int_equal(utf8_valid(s, n), good);
        assert_int_equal(utf8_char(s, n + 1), good ? n : 0);
        assert_false(utf8_valid(s, n + 1));
        if (n > 1)
            assert_false(utf8_valid(s, n - 1));
    }
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("0123456\xe4\xb8\xad"
                           "89abcdef",
                           18)); /* across the words of eight */
    assert_false(utf8_valid("01234567\xff", 9));
    assert_false(utf8_valid("\xc0\x80", 2));
    assert_false(utf8_valid("\xe0\x9f\xbf", 3));
    assert_false(utf8_valid("\xf0\x8f\xbf\xbf", 4));
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(utf8_clean(&b, "a\xff\xe4\xb8\xad\xe4\xb8", 7), 0);
    assert_string_equal(buf_cstr(&b), "a\xef\xbf\xbd\xe4\xb8\xad\xef\xbf\xbd\xef\xbf\xbd");
    buf_done(&b);
    buf_init(&b, 5);
    assert_int_equal(buf_puts(&b, "x"), 0);
    assert_int_equal(utf8_clean(&b, "a\xff\xff", 3), -ENOBUFS);
    assert_string_equal(buf_cstr(&b), "x");
    buf_done(&b);
}

static void test_log(void **state)
{
    (void)state;
    int fds[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    log_debug("not said");
    errno = EBUSY;
    log_warn("two\nlines %d", 7);
    int after = errno;
    log_error("%3000s", "x");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    char out[8192];
    ssize_t n = read(fds[0], out, sizeof(out));
    assert_true(n > 16);
    assert_memory_equal(out, "<4>two lines 7\n<3>", 18);
    assert_int_equal(out[n - 1], '\n');
    assert_ptr_equal(memchr(out + 15, '\n', (size_t)n - 15), out + n - 1);
    assert_int_equal(after, EBUSY);
    close(fds[0]);
    close(fds[1]);
    close(saved);

    struct log_state s = {0};
    assert_false(log_healed(&s));
    assert_true(log_broke(&s));
    assert_false(log_broke(&s));
    assert_true(log_healed(&s));
    assert_false(log_healed(&s));
    struct log_limit l = {0};
    uint64_t held = 99;
    assert_true(log_allowed(&l, 0, 100, &held));
    assert_int_equal(held, 0);
    assert_false(log_allowed(&l, 50, 100, &held));
    assert_false(log_allowed(&l, 99, 100, &held));
    assert_true(log_allowed(&l, 100, 100, &held));
    assert_int_equal(held, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf),     cmocka_unit_test(test_large),
        cmocka_unit_test(test_arena),   cmocka_unit_test(test_mem),
        cmocka_unit_test(test_err),     cmocka_unit_test(test_problems),
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_table),   cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_log),     cmocka_unit_test(test_problems_behind_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
