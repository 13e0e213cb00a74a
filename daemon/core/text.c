/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"
#include "base/num.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool text_is_code(const char *s, size_t n)
{
    if (n == 0 || n > TEXT_CODE_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!is_lower(c) && !(c >= 'A' && c <= 'Z') && !is_digit(c) && c != '.' && c != '_' &&
            c != '-')
            return false;
    }
    return true;
}

static bool is_word(const char *s, size_t n, char joint)
{
    if (n == 0 || n > TEXT_CODE_MAX || !is_lower(s[0]))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!is_lower(s[i]) && !is_digit(s[i]) && s[i] != joint)
            return false;
    return true;
}

bool text_is_name(const char *s, size_t n)
{
    return is_word(s, n, '_');
}

bool text_is_kind(const char *s, size_t n)
{
    return is_word(s, n, '-');
}

bool text_is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        if (c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0)
            return false;
    }
    return true;
}

bool text_seconds(const char *s, size_t n, uint32_t *out)
{
    uint64_t unit = 1, value = 0;
    if (n > 1 && !is_digit(s[n - 1])) {
        static const char units[] = "smhd";
        static const uint32_t seconds[] = {1, 60, 3600, 86400};
        const char *u = memchr(units, s[n - 1], 4);
        if (!u)
            return false;
        unit = seconds[u - units];
        n--;
    }
    if (n == 0 || n > 10)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s[i]))
            return false;
        value = value * 10 + (uint64_t)(s[i] - '0');
    }
    if (value * unit > UINT32_MAX)
        return false;
    *out = (uint32_t)(value * unit);
    return true;
}

bool text_bool(const char *s, size_t n, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"no", false}, {"true", true}, {"false", false},
                 {"1", true},   {"0", false},  {"是", true},   {"否", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strlen(words[i].word) == n && strncasecmp(words[i].word, s, n) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

/* Takes 1 to `most` digits at *at; -1 if there is none. */
static int take_digits(const char *s, size_t n, size_t *at, size_t most)
{
    int v = 0;
    size_t from = *at;
    while (*at < n && *at - from < most && is_digit(s[*at]))
        v = v * 10 + (s[(*at)++] - '0');
    return *at == from ? -1 : v;
}

bool text_is_date(const char *s, size_t n)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    size_t at = 0;
    int y = take_digits(s, n, &at, 4);
    if (y < 1900 || at >= n || (s[at] != '-' && s[at] != '/'))
        return false;
    char sep = s[at++];
    int m = take_digits(s, n, &at, 2);
    if (m < 1 || m > 12 || at >= n || s[at++] != sep)
        return false;
    int d = take_digits(s, n, &at, 2);
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return at == n && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

size_t text_utf8_valid(const char *s, size_t n)
{
    if (utf8_valid(s, n))
        return n;
    size_t i = 0, k;
    while (i < n && (k = utf8_char(s + i, n - i)) > 0)
        i += k;
    return i;
}

size_t text_utf8_chars(const char *s, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xc0) != 0x80;
    return chars;
}

bool text_double(const char *s, size_t n, double *out)
{
    return num_get_double(s, n, out) == 0;
}

const char *text_odd_blank(const char *s, size_t n)
{
    static const struct {
        const char *bytes, *name;
    } blanks[] = {{"\u3000", "full-width blank (U+3000)"},
                  {"\u00a0", "no-break space (U+00A0)"},
                  {"\u200b", "space without width (U+200B)"}};
    for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        size_t len = strlen(blanks[i].bytes);
        if (n >= len && memcmp(s, blanks[i].bytes, len) == 0)
            return blanks[i].name;
    }
    return NULL;
}

const char *text_odd_blank_in(const char *s)
{
    for (size_t n = strlen(s); n > 0; s++, n--) {
        const char *name = text_odd_blank(s, n);
        if (name)
            return name;
    }
    return NULL;
}
