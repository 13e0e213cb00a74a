/* SPDX-License-Identifier: Apache-2.0 */
/* The native way, and what speaks from boxes in the house: Zigbee2MQTT, Tasmota, lifts. */
#include "city/speak_private.h"

/* -- gaihou's own ---------------------------------------------------------------------------- */

void native_data(struct turn *t)
{
    say_topic(t, "gaihou/v1/up/%s/%s", t->compound, t->id);
    say(t, "{\"ts\":%lld", (long long)t->ts);
    truth_sample(t, 1);
    tell_all(t, NULL);
    truth_end(t);
    say(t, "}");
}

bool native_no_data(struct turn *t)
{
    say_topic(t, "gaihou/v1/up/%s/%s", t->compound, t->id);
    say_ignored(t, "empty");
    return true;
}

/* -- Zigbee2MQTT: one of them in each compound, whose bridge puts the compound in front --------- */

void zigbee_data(struct turn *t)
{
    const char *code = t->kind->code;
    bool timed = device_draw(t, 1) % 2;
    unsigned quality = 40 + (unsigned)turn_draw(t, 200);
    double battery = 30 + (double)(device_draw(t, 2) % 70);
    enum odd odd;
    say_topic(t, "%s/zigbee2mqtt/%s", t->compound, t->id);
    truth_sample(t, timed ? 1 : 0);
    double v = odd_or(t, "battery_pct", battery, &odd);
    if (odd == ODD_TYPE)
        say(t, "{\"battery\":\"ERR\",");
    else
        say(t, "{\"battery\":%d,", (int)v);
    truth_number(t, "battery_pct", v, 0, odd);
    say(t, "\"linkquality\":%u,\"voltage\":%u", quality, 2700 + t->seq % 300);
    truth_number(t, "signal_quality", quality, 0, ODD_NOT);
    truth_number(t, "battery_v", (2700 + t->seq % 300) / 1000.0, 3, ODD_NOT);
    if (strcmp(code, "door") == 0) {
        bool open = value_of(t, "open") != 0;
        say(t, ",\"contact\":%s", open ? "false" : "true");
        truth_bool(t, "open", open);
    } else if (strcmp(code, "leak") == 0) {
        bool leak = value_of(t, "leak") != 0;
        say(t, ",\"water_leak\":%s", leak ? "true" : "false");
        truth_bool(t, "leak", leak);
    } else {
        say(t, ",\"action\":\"%s\"", t->seq % 5 ? "" : "emergency");
        if (t->seq % 5 == 0)
            truth_bool(t, "button_event", true);
    }
    if (timed)
        say(t, ",\"last_seen\":%lld", (long long)t->ts);
    truth_end(t);
    say(t, "}");
}

bool zigbee_no_data(struct turn *t)
{
    switch (turn_draw(t, 3)) {
    case 0:
        say_topic(t, "%s/zigbee2mqtt/%s/set", t->compound, t->id);
        say(t, "{\"state\":\"ON\"}");
        say_ignored(t, "downlink");
        break;
    case 1:
        say_topic(t, "%s/zigbee2mqtt/bridge/logging", t->compound);
        say(t, "{\"level\":\"info\",\"message\":\"Connected\",\"namespace\":\"z2m:mqtt\"}");
        say_ignored(t, "log");
        break;
    default:
        say_topic(t, "%s/zigbee2mqtt/bridge/devices", t->compound);
        say(t, "[{\"ieee_address\":\"0x00158d0000000001\",\"type\":\"EndDevice\"}]");
        say_ignored(t, "status");
    }
    return true;
}

/* -- Tasmota: whole seconds of the site's zone -------------------------------------------------- */

static void tasmota_meter(struct turn *t)
{
    static const struct word words[] = {
        {"energy", "Total", 0}, {"power", "Power", 0}, {"voltage", "Voltage", 0}, {0}};
    say_topic(t, "%s/tele/%s/SENSOR", t->compound, t->id);
    say(t, "\",\"ENERGY\":{\"TotalStartTime\":\"2025-01-01T00:00:00\",\"Factor\":0.97,"
           "\"Current\":");
    double amps = round(value_of(t, "power") / value_of(t, "voltage") * 1000) / 1000;
    truth_number(t, "power_factor", 0.97, 2, ODD_NOT);
    truth_number(t, "current", amps, 3, ODD_NOT);
    t->at = text_fixed(t->at, amps, 3);
    tell_all(t, words);
    say(t, "}}");
}

static void tasmota_lamp(struct turn *t)
{
    unsigned quality = 30 + (unsigned)turn_draw(t, 70);
    bool on = value_of(t, "on") != 0;
    say_topic(t, "%s/tele/%s/STATE", t->compound, t->id);
    say(t,
        "\",\"UptimeSec\":%u,\"Heap\":25,\"POWER\":\"%s\",\"Wifi\":{\"AP\":1,\"RSSI\":%u,"
        "\"Signal\":-%u}",
        t->seq * 60, on ? "ON" : "OFF", quality, 110 - quality / 2);
    truth_number(t, "uptime", t->seq * 60, 0, ODD_NOT);
    truth_bool(t, "on", on);
    truth_number(t, "signal_quality", quality, 0, ODD_NOT);
    truth_number(t, "rssi", -(double)(110 - quality / 2), 0, ODD_NOT);
    static const struct word words[] = {{"dim", "Dimmer", 0}, {0}};
    tell_one(t, metric_at(t, "dim"), words);
    say(t, "}");
}

void tasmota_data(struct turn *t)
{
    say(t, "{\"Time\":\"");
    say_time_as(t, "Y-m-dTH:M:S", 8);
    truth_sample(t, 1000);
    if (strcmp(t->kind->code, "lamp") == 0)
        tasmota_lamp(t);
    else
        tasmota_meter(t);
    truth_end(t);
}

bool tasmota_no_data(struct turn *t)
{
    if (turn_draw(t, 2)) {
        say_topic(t, "%s/stat/%s/RESULT", t->compound, t->id);
        say(t, "{\"POWER\":\"ON\"}");
        say_ignored(t, "reply");
    } else {
        say_topic(t, "%s/tele/%s/INFO1", t->compound, t->id);
        say(t, "{\"Info1\":{\"Module\":\"Generic\",\"Version\":\"14.1.0(release)\"}}");
        say_ignored(t, "status");
    }
    return true;
}

/* -- lifts, by the kinds of information of GB/T 24476 ---------------------------------------- */

void elevator_state_data(struct turn *t)
{
    static const char *const directions[] = {"stop", "up", "down"};
    static const char *const doors[] = {"closed", "open"};
    static const struct word words[] = {{"floor", "currentFloor", 0},
                                        {"speed", "speed", 0},
                                        {"car_temp", "carTemperature", 0},
                                        {0}};
    int direction = (int)value_of(t, "direction"), door = (int)value_of(t, "door");
    bool people = value_of(t, "people") > 0;
    say_topic(t, "elevator/%s/state", t->id);
    say(t, "{\"msgId\":\"%s-%u\",\"time\":\"", t->code, t->seq);
    say_time_as(t, "Y-m-dTH:M:S", 8);
    say(t,
        ".%03d+08:00\",\"serviceMode\":1,\"carDirection\":%d,\"doorStatus\":%d,"
        "\"passengerStatus\":%d",
        (int)(t->ts % 1000), direction, door, people);
    truth_sample(t, 1);
    truth_text(t, "state", "normal");
    truth_text(t, "direction", directions[direction]);
    truth_text(t, "door", doors[door]);
    truth_bool(t, "occupied", people);
    tell_one(t, metric_at(t, "floor"), words);
    tell_one(t, metric_at(t, "speed"), words);
    tell_one(t, metric_at(t, "car_temp"), words);
    truth_end(t);
    say(t, "}");
}

bool elevator_state_no_data(struct turn *t)
{
    say_topic(t, "elevator/%s/event", t->id);
    say(t, "{\"msgId\":\"e%u\",\"event\":\"inspection_begins\"}", t->seq);
    say_ignored(t, "status");
    return true;
}
