/* SPDX-License-Identifier: Apache-2.0 */
/* The platforms' envelopes: Alibaba, Tencent, Huawei, China Telecom, ThingsBoard. */
#include "city/speak_private.h"

#include <stdio.h>

/* -- Alink: properties bare, or each with its time ---------------------------------------------- */

/* {"lel":3.1,…} becomes {"lel":{"value":3.1,"time":T},…}: no text in it has a comma. */
static void wrap_values(struct turn *t, char *from)
{
    char bare[2048];
    size_t n = (size_t)(t->at - from);
    memcpy(bare, from, n);
    bare[n] = 0;
    t->at = from;
    for (char *p = bare, *rest; *p; p = rest) {
        char *colon = strchr(p, ':');
        rest = colon + 1 + strcspn(colon + 1, ",");
        say(t, "%.*s:{\"value\":%.*s,\"time\":%lld}", (int)(colon - p), p,
            (int)(rest - colon - 1), colon + 1, (long long)t->ts);
    }
}

void alink_data(struct turn *t)
{
    bool timed = device_draw(t, 1) % 2;
    say_topic(t, "/sys/%s/thing/event/property/post", t->id);
    say(t, "{\"id\":\"%llu%06u\",\"version\":\"1.0\",\"sys\":{\"ack\":0},\"params\":{",
        (unsigned long long)(device_draw(t, 2) % 1000), t->seq);
    char *from = t->at;
    truth_sample(t, timed ? 1 : 0);
    tell_all(t, NULL);
    truth_end(t);
    if (timed)
        wrap_values(t, from);
    say(t, "},\"method\":\"thing.event.property.post\"}");
}

bool alink_no_data(struct turn *t)
{
    if (turn_draw(t, 2)) {
        say_topic(t, "/sys/%s/thing/event/property/post_reply", t->id);
        say(t, "{\"code\":200,\"data\":{},\"id\":\"%u\",\"message\":\"success\"}", t->seq);
        say_ignored(t, "reply");
    } else {
        say_topic(t, "/sys/%s/thing/service/property/set", t->id);
        say(t, "{\"id\":\"9\",\"params\":{\"valve_open\":0},\"method\":\"thing.service\"}");
        say_ignored(t, "downlink");
    }
    return true;
}

/* -- Tencent ----------------------------------------------------------------------------------- */

void tencent_data(struct turn *t)
{
    static const struct word words[] = {{"on", NULL, 0}, {"dim", "brightness", 0}, {0}};
    bool timed = device_draw(t, 1) % 2;
    say_topic(t, "$thing/up/property/%s", t->id);
    say(t, "{\"method\":\"report\",\"clientToken\":\"%s-%u\",", t->code, t->seq);
    if (timed)
        say(t, "\"timestamp\":%lld,", (long long)t->ts);
    say(t, "\"params\":{");
    truth_sample(t, timed ? 1 : 0);
    if (strcmp(t->kind->code, "lamp") == 0) {
        bool on = value_of(t, "on") != 0;
        say(t, "\"power_switch\":%d", on);
        truth_bool(t, "on", on);
    }
    tell_all(t, words);
    truth_end(t);
    say(t, "}}");
}

bool tencent_no_data(struct turn *t)
{
    if (turn_draw(t, 2)) {
        say_topic(t, "$thing/down/property/%s", t->id);
        say(t, "{\"method\":\"control\",\"clientToken\":\"c%u\",\"params\":{}}", t->seq);
        say_ignored(t, "downlink");
    } else {
        say_topic(t, "$thing/up/property/%s", t->id);
        say(t, "{\"method\":\"control_reply\",\"clientToken\":\"c%u\",\"code\":0}", t->seq);
        say_ignored(t, "reply");
    }
    return true;
}

/* -- Huawei: a gateway's child; whole seconds -------------------------------------------------- */

void huawei_data(struct turn *t)
{
    say_topic(t, "$oc/devices/65f0_gateway-%s/sys/gateway/sub_devices/properties/report",
              t->home);
    say(t,
        "{\"devices\":[{\"device_id\":\"%s\",\"services\":[{\"service_id\":\"data\","
        "\"properties\":{",
        t->id);
    truth_sample(t, 1000);
    tell_all(t, NULL);
    truth_end(t);
    say(t, "},\"event_time\":\"");
    say_time_as(t, "YmdTHMSZ", 0);
    say(t, "\"}]}]}");
}

bool huawei_no_data(struct turn *t)
{
    switch (turn_draw(t, 3)) {
    case 0:
        say_topic(t, "$oc/devices/%s/sys/commands/request_id=%u", t->id, t->seq);
        say(t, "{\"service_id\":\"pump\",\"command_name\":\"ON\",\"paras\":{}}");
        say_ignored(t, "downlink");
        break;
    case 1:
        say_topic(t, "$oc/devices/%s/sys/events/up", t->id);
        say(t, "{\"services\":[{\"service_id\":\"$time_sync\",\"event_type\":\"x\"}]}");
        say_ignored(t, "status");
        break;
    default:
        say_topic(t, "$oc/devices/%s/sys/messages/up", t->id);
        say(t, "{\"content\":\"hello\"}");
        say_ignored(t, "other");
    }
    return true;
}

/* -- CTWing ------------------------------------------------------------------------------------- */

static void ctwing_parking(struct turn *t)
{
    bool occupied = value_of(t, "occupied") != 0;
    enum odd odd;
    double volts = odd_or(t, "battery_v", 3 + round(value_of(t, "battery_pct")) / 200, &odd);
    int rssi = (int)lround(value_of(t, "rssi"));
    say(t,
        "\"payload\":{\"parking_state\":%d,\"Signal_Power\":%d,\"Send_cnt\":%u,\"ptime\":%lld,"
        "\"battery_voltage\":",
        occupied, rssi, t->seq, (long long)t->ts);
    if (odd == ODD_TYPE)
        say(t, "\"ERR\"");
    else
        t->at = text_fixed(t->at, volts, 3);
    say(t, "}");
    truth_bool(t, "occupied", occupied);
    truth_number(t, "battery_v", volts, 3, odd);
    truth_number(t, "rssi", rssi, 0, ODD_NOT);
    truth_number(t, "report_seq", t->seq, 0, ODD_NOT);
}

static void ctwing_gas(struct turn *t)
{
    static const struct word words[] = {{"lel", "gas_value", 0}, {0}};
    say(t, "\"payload\":{\"gas_sensor_state\":0,\"valve_state\":1,\"fan_state\":2,"
           "\"error_code\":0");
    tell_one(t, metric_at(t, "lel"), words);
    say(t, "}");
    truth_bool(t, "alarm", false);
    truth_bool(t, "valve_open", true);
    truth_bool(t, "fan_on", false);
    truth_bool(t, "fault", false);
}

static void ctwing_smoke(struct turn *t)
{
    static const struct word words[] = {
        {"battery_pct", "Battery_Level", 0}, {"temperature", "TData", 0}, {0}};
    int rsrp = -(int)lround(value_of(t, "rssi"));
    say(t,
        "\"payload\":{\"serviceId\":\"notification\",\"serviceData\":{\"Alarm_Status\":7,"
        "\"SNR\":12,\"RSRP\":%d",
        rsrp);
    tell_one(t, metric_at(t, "battery_pct"), words);
    tell_one(t, metric_at(t, "temperature"), words);
    say(t, "}}");
    static const char *const no[] = {"alarm", "silenced", "fault", "battery_low", "tamper"};
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        truth_bool(t, no[i], false);
    truth_number(t, "rssi", -rsrp, 0, ODD_NOT);
    truth_number(t, "snr", 12, 0, ODD_NOT);
}

static void ctwing_head(struct turn *t, const char *type)
{
    say_topic(t, "v1/up/ad%s", t->kind->code);
    say(t,
        "{\"timestamp\":%lld,\"tenantId\":\"2000012345\",\"productId\":\"1501\",\"protocol\":"
        "\"lwm2m\",\"messageType\":\"%s\",\"deviceId\":\"%s\",\"IMSI\":\"undefined\","
        "\"IMEI\":\"%s\",",
        (long long)t->ts, type, t->code, t->id);
}

void ctwing_data(struct turn *t)
{
    ctwing_head(t, "dataReport");
    truth_sample(t, 1);
    if (strcmp(t->kind->code, "park") == 0)
        ctwing_parking(t);
    else if (strcmp(t->kind->code, "gas") == 0)
        ctwing_gas(t);
    else
        ctwing_smoke(t);
    truth_end(t);
    say(t, "}");
}

bool ctwing_no_data(struct turn *t)
{
    ctwing_head(t, turn_draw(t, 2) ? "commandResponse" : "dataReport");
    if (strstr(t->said->payload, "commandResponse")) {
        say(t, "\"taskId\":1,\"result\":{\"resultCode\":\"DELIVERED\"}}");
        say_ignored(t, "reply");
    } else {
        say(t, "\"payload\":{\"serviceData\":{\"Alarm_Status\":14,\"TData\":21}}}");
        say_ignored(t, "simulated");
    }
    return true;
}

/* -- ThingsBoard: a gateway and its children -------------------------------------------------- */

void thingsboard_child(struct turn *t, bool first)
{
    static const struct word words[] = {{"battery_pct", "battery", 0}, {0}};
    say_topic(t, "v1/gateway/telemetry");
    say(t, "%s\"%s\":[{\"ts\":%lld,\"values\":{", first ? "{" : ",", t->id, (long long)t->ts);
    truth_sample(t, 1);
    tell_all(t, words);
    truth_end(t);
    say(t, "}}]");
}

bool thingsboard_no_data(struct turn *t)
{
    if (turn_draw(t, 2)) {
        say_topic(t, "v1/gateway/rpc");
        say(t, "{\"device\":\"%s\",\"data\":{\"id\":1,\"method\":\"toggle\"}}", t->id);
        say_ignored(t, "downlink");
    } else {
        say_topic(t, "v1/gateway/claim");
        say(t, "{\"%s\":{\"secretKey\":\"value\",\"durationMs\":60000}}", t->id);
        say_ignored(t, "config");
    }
    return true;
}
