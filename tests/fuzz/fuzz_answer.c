/* SPDX-License-Identifier: Apache-2.0 */
/* answers: any body; a refusal is never an acceptance, named lines are in range and ascending. */
#include "base/check.h"
#include "core/answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 301, 400, 401, 404,
                                   413, 422, 429, 500, 503, 0};
    if (size < 4)
        return 0;
    char *body = malloc(size - 4 + 1); /* exactly as long, for the sanitizer */
    memcpy(body, data + 4, size - 4);
    struct answer_in in = {
        .flavour = (enum conf_sink_type)(data[0] % 4),
        .transport = (enum answer_transport)(data[1] % 16 < 5 ? data[1] % 16 : 0),
        .status = statuses[data[2] % (sizeof(statuses) / sizeof(statuses[0]))],
        .body = body,
        .body_len = size - 4,
        .lines = data[3] % 50 + 1u,
        .same_before = data[3] / 50,
    };
    struct answer a;
    answer_classify(&in, &a);
    ASSERT(a.reason && strlen(a.reason) < 32);
    ASSERT(a.class_ != ANSWER_OK || (in.transport == TRANSPORT_OK && in.status / 100 == 2));
    ASSERT(a.class_ != ANSWER_POISON || in.lines == 1);
    ASSERT(in.lines > 1 || (a.class_ != ANSWER_SPLIT && a.class_ != ANSWER_PARTIAL));
    ASSERT(a.n_refused == 0 || a.class_ == ANSWER_PARTIAL);
    for (size_t i = 0; i < a.n_refused; i++) {
        ASSERT(a.refused[i] >= 1 && a.refused[i] <= in.lines);
        ASSERT(i == 0 || a.refused[i] > a.refused[i - 1]);
    }
    free(body);
    return 0;
}
