/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "city/city.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX    (512u << 20)
#define COUNT_OF(a) (sizeof(a) / sizeof(*(a)))

static const char *const names[] = {"团结坝", "国经", "金子村", "龙门浩", "海棠溪", "当阳桥",
                                    "响水路", "南湖", "青年路", "望江",   "红星",   "建设",
                                    "长安",   "朝阳", "前进",   "文化里"};
static const char *const endings[] = {"小区", "新村", "家属院", "老旧院落", "苑"};
static const char *const firms[] = {"anju", "hexie", "none", "jinke", "community"};
static const char *const models[] = {"专业物业", "社区物业", "居民自治"};
static const char *const tiers[] = {"规范型", "基础型", "托底型"};
static const char *const streets[] = {"longmenhao", "haitangxi", "huayuanlu", "nanping"};

static uint64_t draw(const struct city_options *o, uint32_t what, uint32_t i)
{
    uint32_t key[2] = {what, i};
    return hash64(o->fleet.seed ^ 0x726567, key, sizeof(key));
}

static uint64_t buildings(const struct city_options *o, uint32_t compound)
{
    return 4 + draw(o, 1, compound) % 9;
}

static int store(const char *dir, const char *name, struct buf *b, struct err *err)
{
    char *path = mem_printf("%s/%s", dir, name);
    char *temp = mem_printf("%s.new", path);
    int rc = 0;
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        rc = err_errno(err, -errno, "%s", temp);
        goto out;
    }
    for (size_t at = 0; at < b->len && rc == 0;) {
        ssize_t n = write(fd, b->data + at, b->len - at);
        if (n < 0 && errno != EINTR)
            rc = err_errno(err, -errno, "%s", temp);
        at += n > 0 ? (size_t)n : 0;
    }
    if (close(fd) < 0 && rc == 0)
        rc = err_errno(err, -errno, "%s", temp);
    if (rc == 0 && rename(temp, path) < 0)
        rc = err_errno(err, -errno, "%s", path);
out:
    free(temp);
    free(path);
    return rc;
}

static void put_compound(const struct city_options *o, struct fleet *f, uint32_t i,
                         struct buf *b)
{
    char code[64];
    int n = (int)fleet_compound_code(f, i, code);
    uint64_t name = draw(o, 2, i), street = draw(o, 3, i) % COUNT_OF(streets);
    buf_printf(b, "%.*s,%s%s", n, code, names[name % COUNT_OF(names)],
               endings[name / 16 % COUNT_OF(endings)]);
    if (i >= 8) /* names repeat in a big city; people then say a number */
        buf_printf(b, "%u号", i + 1);
    buf_printf(b, ",重庆市,nanan,%s,%s-%u,g%02u", streets[street], streets[street],
               (unsigned)(draw(o, 4, i) % 5 + 1), (unsigned)(draw(o, 5, i) % 20 + 1));
    unsigned firm = (unsigned)(draw(o, 6, i) % COUNT_OF(firms));
    const char *model = strcmp(firms[firm], "none") == 0        ? models[2]
                        : strcmp(firms[firm], "community") == 0 ? models[1]
                                                                : models[0];
    buf_printf(b, ",%s,%s,%s", firms[firm], model, tiers[draw(o, 7, i) % COUNT_OF(tiers)]);
    buf_printf(b, ",106.%06u,29.%06u,GCJ-02,,2024-01-01\n",
               (unsigned)(550000 + draw(o, 8, i) % 80000),
               (unsigned)(500000 + draw(o, 9, i) % 60000));
}

static void put_device(const struct city_options *o, struct fleet *f, const struct speak *speak,
                       uint32_t i, const uint32_t *uplinks, struct buf *b)
{
    const struct device_state *d = fleet_device(f, i);
    const struct fleet_kind *k = &fleet_kinds[d->kind];
    char code[64], compound[64];
    int n = (int)fleet_device_code(f, i, code);
    int c = (int)fleet_compound_code(f, d->compound, compound);
    unsigned building = (unsigned)(d->number % buildings(o, d->compound)) + 1;
    unsigned unit = (unsigned)(draw(o, 10, i) % 4) + 1,
             floor = (unsigned)(draw(o, 11, i) % 7) + 1;
    char id[64];
    if (speak && speak_family(speak, i) != FAMILY_NATIVE)
        id[speak_source_id(speak, i, id)] = 0;
    else
        (void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)draw(o, 12, i));
    buf_printf(b, "%.*s,%s,%s,%.*s,", n, code, id, k->name, c, compound);
    if (k->yard)
        buf_puts(b, ",,,,"); /* building, unit, room, point */
    else
        buf_printf(b, "b%02u,%u,%u0%u,,", building, unit, floor, unit);
    buf_printf(b, "%us,%.*s-p%u,", k->interval_s, c, compound, unit % 3 + 1);
    if (k->battery && uplinks[d->compound] != UINT32_MAX) {
        char uplink[64];
        int u = (int)fleet_device_code(f, uplinks[d->compound], uplink);
        buf_printf(b, "%.*s", u, uplink);
    }
    buf_printf(b, ",%s,%s,2024-05-20,,,", k->life_safety ? "yes" : "no",
               strcmp(k->name, "sos") == 0 ? "family" : "");
    if (k->yard)
        buf_printf(b, "%s %u\n", k->title, (unsigned)d->number);
    else
        buf_printf(b, "%u号楼%u单元%s\n", building, unit, k->title);
}

static void put_params(struct fleet *f, uint32_t i, struct buf *b)
{
    const struct device_state *d = fleet_device(f, i);
    if (strcmp(fleet_kinds[d->kind].name, "sump") != 0)
        return;
    char code[64];
    int n = (int)fleet_device_code(f, i, code);
    buf_printf(b, "%.*s,level_high,1.2\n%.*s,range.level.max,2.5\n", n, code, n, code);
}

int city_registry(const struct city_options *o, struct err *err)
{
    if (mkdir(o->out, 0755) < 0 && errno != EEXIST)
        return err_errno(err, -errno, "%s", o->out);
    struct fleet *f = fleet_new(&o->fleet);
    struct speak *speak = o->speak.families ? speak_new(&o->speak, o->fleet.seed, f) : NULL;
    struct buf compounds, devices, params;
    buf_init(&compounds, FILE_MAX);
    buf_init(&devices, FILE_MAX);
    buf_init(&params, FILE_MAX);
    buf_puts(&compounds,
             "compound,name,city,district,street,community,grid,firm,model,tier,lon,"
             "lat,datum,merged_into,valid_from\n");
    buf_puts(&devices,
             "device,source_id,kind,compound,building,unit,room,point,expected_interval,"
             "power_domain,uplink,life_safety,consent,installed,retired,replaces,note\n");
    buf_puts(&params, "device,name,value\n");
    uint32_t *uplinks = mem_zalloc_array(o->fleet.compounds, sizeof(*uplinks));
    memset(uplinks, 0xff, o->fleet.compounds * sizeof(*uplinks));
    for (uint32_t i = 0; i < o->fleet.devices; i++) {
        const struct device_state *d = fleet_device(f, i);
        if (strcmp(fleet_kinds[d->kind].name, "uplink") == 0)
            uplinks[d->compound] = i;
    }
    for (uint32_t i = 0; i < o->fleet.compounds; i++)
        put_compound(o, f, i, &compounds);
    for (uint32_t i = 0; i < o->fleet.devices; i++) {
        put_device(o, f, speak, i, uplinks, &devices);
        put_params(f, i, &params);
    }
    int rc = 0;
    if (compounds.failed || devices.failed || params.failed)
        rc =
            err_set(err, -EFBIG, "a registry file would be larger than %u MiB", FILE_MAX >> 20);
    if (rc == 0)
        rc = store(o->out, "compounds.csv", &compounds, err);
    if (rc == 0)
        rc = store(o->out, "devices.csv", &devices, err);
    if (rc == 0)
        rc = store(o->out, "params.csv", &params, err);
    free(uplinks);
    speak_free(speak);
    buf_done(&compounds);
    buf_done(&devices);
    buf_done(&params);
    fleet_free(f);
    return rc;
}
