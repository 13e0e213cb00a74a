#include "ctl/exit.h"
#include "ctl/site.h"
#include "ctl/tools.h"
int tools_profile_new(struct site *s, const char *name, const char *topic, const char *out,
                      char **samples, size_t n)
{
    (void)s;
    (void)name;
    (void)topic;
    (void)out;
    (void)samples;
    (void)n;
    return CTL_REFUSED;
}
