/* SPDX-License-Identifier: Apache-2.0 */
/* LoRaWAN by two network servers: decoded by the server, or a Milesight sensor's bytes. */
#include "base/base64.h"
#include "city/speak_private.h"

#include <stdlib.h>

static const struct word object_words[] = {
    {"battery_pct", "battery", 0}, {"rssi", NULL, 0}, {0}};
/* a pressure is told in kPa */
static const struct word hydrant_words[] = {
    {"battery_pct", "battery", 0}, {"rssi", NULL, 0}, {"pressure", "pressure", 1000}, {0}};

static const struct word *words_of(const struct turn *t)
{
    return strcmp(t->kind->code, "hydr") == 0 ? hydrant_words : object_words;
}

static int rssi_of(const struct turn *t)
{
    return -70 - (int)(device_draw(t, 1) % 45) - (int)(t->seq % 3);
}

/* What the network server knows: the sample beside that of the sensor. */
static void truth_of_radio(struct turn *t, int rssi, double snr)
{
    truth_sample(t, 1);
    truth_number(t, "rssi", rssi, 0, ODD_NOT);
    truth_number(t, "snr", snr, 2, ODD_NOT);
    truth_number(t, "report_seq", t->seq, 0, ODD_NOT);
    truth_end(t);
}

/* -- ChirpStack v4 --------------------------------------------------------------------------- */

static void chirpstack_head(struct turn *t, const char *model)
{
    unsigned long long a = device_draw(t, 2) ^ t->seq * 0x9e3779b97f4a7c15ull;
    say(t, "{\"deduplicationId\":\"%08llx-%04llx-4%03llx-8%03llx-%012llx\",\"time\":\"",
        a >> 32, a >> 16 & 0xffff, a & 0xfff, a >> 4 & 0xfff,
        (unsigned long long)device_draw(t, 3) >> 16);
    say_time(t);
    say(t,
        "\",\"deviceInfo\":{\"tenantId\":\"52f14cd4-c6f1-4fbd-8f87-4025e1d49242\","
        "\"tenantName\":\"%s\",\"applicationId\":\"ca739e26-7b67-4f14-b69e-d568c22a5a75\","
        "\"applicationName\":\"renovation\",\"deviceProfileId\":"
        "\"605d08d4-65f5-4d2c-8a5a-3d2457662f79\",\"deviceProfileName\":\"%s\","
        "\"deviceName\":\"%s\",\"devEui\":\"%s\",\"deviceClassEnabled\":\"CLASS_A\",\"tags\":{}"
        "},",
        t->home, model, t->code, t->id);
    say(t, "\"devAddr\":\"%08llx\",\"adr\":true,\"dr\":5,\"fCnt\":%u,\"confirmed\":false,",
        (unsigned long long)(device_draw(t, 4) & 0xffffffff), t->seq);
}

static void chirpstack_tail(struct turn *t)
{
    int rssi = rssi_of(t);
    say(t, ",\"rxInfo\":[{\"gatewayId\":\"24e124fffef5%04llx\",\"uplinkId\":%u,\"nsTime\":\"",
        (unsigned long long)(device_draw(t, 5) & 0xffff), t->seq * 7919 % 65536);
    say_time(t);
    say(t,
        "\",\"rssi\":%d,\"snr\":%.2f,\"channel\":%u,\"location\":{\"latitude\":29.55,"
        "\"longitude\":106.57},\"context\":\"EFwMtA==\",\"crcStatus\":\"CRC_OK\"}],",
        rssi, 6.25, t->seq % 8);
    say(t, "\"txInfo\":{\"frequency\":486300000,\"modulation\":{\"lora\":{\"bandwidth\":125000,"
           "\"spreadingFactor\":7,\"codeRate\":\"CR_4_5\"}}},\"regionConfigId\":\"cn470_10\"}");
    truth_of_radio(t, rssi, 6.25);
}

static void chirpstack_topic(struct turn *t, const char *event)
{
    say_topic(t, "application/ca739e26-7b67-4f14-b69e-d568c22a5a75/device/%s/event/%s", t->id,
              event);
}

void chirpstack_data(struct turn *t)
{
    chirpstack_topic(t, "up");
    chirpstack_head(t, t->kind->name);
    say(t, "\"fPort\":10,\"data\":\"AQIDBAUGBwg=\",\"object\":{");
    truth_sample(t, 1);
    tell_all(t, words_of(t));
    truth_end(t);
    say(t, "}");
    chirpstack_tail(t);
}

bool chirpstack_no_data(struct turn *t)
{
    static const char *const events[][3] = {
        {"join", "join", "\"devAddr\":\"01a2b3c4\""},
        {"ack", "reply", "\"queueItemId\":\"a1\",\"acknowledged\":true,\"fCntDown\":4"},
        {"txack", "reply", "\"downlinkId\":77,\"queueItemId\":\"a1\",\"fCntDown\":4"},
        {"log", "log",
         "\"level\":\"WARNING\",\"code\":\"UPLINK_F_CNT_RESET\",\"description\":\"\""},
    };
    size_t i = turn_draw(t, 4);
    chirpstack_topic(t, events[i][0]);
    say(t, "{\"time\":\"");
    say_time(t);
    say(t, "\",\"deviceInfo\":{\"devEui\":\"%s\"},%s}", t->id, events[i][2]);
    say_ignored(t, events[i][1]);
    return true;
}

/* -- Milesight's bytes ----------------------------------------------------------------------- */

static unsigned char *put_battery(struct turn *t, unsigned char *at, double pct)
{
    enum odd odd;
    if (t->odd == ODD_TYPE) /* bytes have no other type */
        t->odd = ODD_RANGE;
    double v = odd_or(t, "battery_pct", pct, &odd);
    at[0] = 0x01;
    at[1] = 0x75;
    at[2] = (unsigned char)lround(v);
    truth_number(t, "battery_pct", at[2], 0, odd);
    return at + 3;
}

static unsigned char *put_flag(unsigned char *at, unsigned char channel, bool on)
{
    at[0] = channel;
    at[1] = 0x00;
    at[2] = on;
    return at + 3;
}

/* An ultrasonic sensor over the water; 65533: no echo. */
static unsigned char *put_distance(struct turn *t, unsigned char *at, double mm)
{
    enum odd odd = t->odd ? ODD_SENTINEL : ODD_NOT;
    unsigned v = odd ? 65533 : (unsigned)lround(mm);
    t->odd = ODD_NOT;
    at[0] = 0x03;
    at[1] = 0x82;
    at[2] = (unsigned char)v;
    at[3] = (unsigned char)(v >> 8);
    /* what stands for no value is kept as it was told, not as a distance */
    truth_number(t, "distance", odd ? v : v / 1000.0, 3, odd);
    return at + 4;
}

static size_t frame(struct turn *t, unsigned char *p)
{
    unsigned char *at = p;
    const char *code = t->kind->code;
    if (strcmp(code, "leak") == 0) {
        at = put_battery(t, at, value_of(t, "battery_pct"));
        at = put_flag(at, 0x05, value_of(t, "leak") != 0);
        truth_bool(t, "leak", value_of(t, "leak") != 0);
    } else if (strcmp(code, "door") == 0) {
        at = put_battery(t, at, 40 + (double)(device_draw(t, 6) % 60));
        at = put_flag(at, 0x03, value_of(t, "open") != 0);
        at = put_flag(at, 0x04, false);
        truth_bool(t, "open", value_of(t, "open") != 0);
        truth_bool(t, "tamper", false);
    } else { /* what has a level: the sensor hangs 5.2 m above the ground */
        if (strcmp(code, "hole") == 0)
            at = put_battery(t, at, value_of(t, "battery_pct"));
        at = put_distance(t, at, 5200 - 1000 * value_of(t, "level"));
    }
    return (size_t)(at - p);
}

void milesight_data(struct turn *t)
{
    unsigned char p[32];
    struct buf b;
    chirpstack_topic(t, "up");
    chirpstack_head(t, "milesight");
    truth_sample(t, 1);
    size_t n = frame(t, p);
    truth_end(t);
    buf_init(&b, 256);
    (void)base64_put(&b, p, n);
    say(t, "\"fPort\":85,\"data\":\"%.*s\"", (int)b.len, b.data);
    buf_done(&b);
    chirpstack_tail(t);
}

bool milesight_no_data(struct turn *t)
{
    return chirpstack_no_data(t);
}

/* -- The Things Stack v3 --------------------------------------------------------------------- */

static void tts_ids(struct turn *t)
{
    say(t,
        "{\"end_device_ids\":{\"device_id\":\"%s\",\"application_ids\":{\"application_id\":"
        "\"yard\"},\"dev_eui\":\"",
        t->code);
    for (const char *p = t->id; *p; p++)
        say(t, "%c", *p >= 'a' ? *p - 32 : *p);
    say(t,
        "\",\"join_eui\":\"0000000000000000\",\"dev_addr\":\"260B1234\"},\"received_at\":\"");
    say_time(t);
    say(t, "\",");
}

static void tts_uplink(struct turn *t)
{
    int rssi = rssi_of(t);
    say(t,
        "\"uplink_message\":{\"session_key_id\":\"AYx%llx\",\"f_port\":2,\"f_cnt\":%u,"
        "\"frm_payload\":\"AQID\",\"decoded_payload\":{",
        (unsigned long long)(device_draw(t, 7) & 0xffffffffffull), t->seq);
    truth_sample(t, 1);
    tell_all(t, words_of(t));
    truth_end(t);
    say(t,
        "},\"rx_metadata\":[{\"gateway_ids\":{\"gateway_id\":\"yard-1\"},\"rssi\":%d,\"snr\":7."
        "5,"
        "\"channel_rssi\":%d}],\"settings\":{\"data_rate\":{\"lora\":{\"bandwidth\":125000,"
        "\"spreading_factor\":7}},\"frequency\":\"486300000\"},\"received_at\":\"",
        rssi, rssi);
    say_time(t);
    say(t, "\",\"consumed_airtime\":\"0.061696s\"}");
    truth_of_radio(t, rssi, 7.5);
}

void tts_data(struct turn *t)
{
    say_topic(t, "v3/yard@ttn/devices/%s/up", t->code);
    tts_ids(t);
    tts_uplink(t);
    say(t, "}");
}

bool tts_no_data(struct turn *t)
{
    switch (turn_draw(t, 3)) {
    case 0:
        say_topic(t, "v3/yard@ttn/devices/%s/join", t->code);
        tts_ids(t);
        say(t, "\"join_accept\":{\"session_key_id\":\"AYx9\"}}");
        say_ignored(t, "join");
        break;
    case 1:
        say_topic(t, "v3/yard@ttn/devices/%s/down/failed", t->code);
        tts_ids(t);
        say(t, "\"downlink_failed\":{\"error\":{\"name\":\"x\"}}}");
        say_ignored(t, "reply");
        break;
    default: /* by hand, in the console */
        say_topic(t, "v3/yard@ttn/devices/%s/up", t->code);
        tts_ids(t);
        say(t, "\"simulated\":true,\"uplink_message\":{\"f_port\":2,\"decoded_payload\":{}}}");
        say_ignored(t, "simulated");
    }
    return true;
}
