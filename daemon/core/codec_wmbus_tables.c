/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EN 13757-3:2018: primary VIFs (table 10), extensions FD (table 14) and FB (table 12), combinable
 * VIFEs (table 15), error codes (table 18); media of EN 13757-7 table 13. Energy is brought to
 * kW.h and MJ and mass to kg by the exponent, so that meters of one kind agree in name and unit
 * however they choose their resolution.
 */
#include "core/codec_wmbus_private.h"

#include <stddef.h>

#define KWH "energy", "kwh", "kW.h"
#define MJ  "energy", "mj", "MJ"

static const struct wmbus_vif primary[] = {
    {0x00, 0x07, -6, WMBUS_SCALED, false, KWH}, /* 10^(n-3) Wh */
    {0x08, 0x0f, -6, WMBUS_SCALED, false, MJ},  /* 10^n J */
    {0x10, 0x17, -6, WMBUS_SCALED, false, "volume", "m3", "m3"},
    {0x18, 0x1f, -3, WMBUS_SCALED, false, "mass", "kg", "kg"},
    {0x20, 0x23, 0, WMBUS_UNSIGNED, true, "on_time", NULL, NULL},
    {0x24, 0x27, 0, WMBUS_UNSIGNED, true, "operating_time", NULL, NULL},
    {0x28, 0x2f, -3, WMBUS_SCALED, false, "power", "w", "W"},
    {0x30, 0x37, 0, WMBUS_SCALED, false, "power", "j_h", "J/h"},
    {0x38, 0x3f, -6, WMBUS_SCALED, false, "volume_flow", "m3h", "m3/h"},
    {0x40, 0x47, -7, WMBUS_SCALED, false, "volume_flow", "m3min", "m3/min"},
    {0x48, 0x4f, -9, WMBUS_SCALED, false, "volume_flow", "m3s", "m3/s"},
    {0x50, 0x57, -3, WMBUS_SCALED, false, "mass_flow", "kgh", "kg/h"},
    {0x58, 0x5b, -3, WMBUS_SCALED, false, "flow_temperature", "c", "Cel"},
    {0x5c, 0x5f, -3, WMBUS_SCALED, false, "return_temperature", "c", "Cel"},
    {0x60, 0x63, -3, WMBUS_SCALED, false, "temperature_difference", "k", "K"},
    {0x64, 0x67, -3, WMBUS_SCALED, false, "external_temperature", "c", "Cel"},
    {0x68, 0x6b, -3, WMBUS_SCALED, false, "pressure", "bar", "bar"},
    {0x6c, 0x6c, 0, WMBUS_DATE, false, "date", NULL, NULL},
    {0x6d, 0x6d, 0, WMBUS_DATE, false, "datetime", NULL, NULL},
    {0x6e, 0x6e, 0, WMBUS_SCALED, false, "heat_cost_units", NULL, "1"},
    {0x70, 0x73, 0, WMBUS_UNSIGNED, true, "averaging_duration", NULL, NULL},
    {0x74, 0x77, 0, WMBUS_UNSIGNED, true, "actuality_duration", NULL, NULL},
    {0x78, 0x78, 0, WMBUS_DIGITS, false, "fabrication_number", NULL, NULL},
    {0x79, 0x79, 0, WMBUS_DIGITS, false, "enhanced_id", NULL, NULL},
    {0x7a, 0x7a, 0, WMBUS_UNSIGNED, false, "bus_address", NULL, NULL},
    {0x7f, 0x7f, 0, WMBUS_UNSIGNED, false, "manufacturer_specific", NULL, NULL},
};

static const struct wmbus_vif fb[] = {
    {0x00, 0x01, 2, WMBUS_SCALED, false, KWH}, /* 10^(n-1) MWh */
    {0x02, 0x03, 0, WMBUS_SCALED, false, "reactive_energy", "kvarh", NULL},
    {0x04, 0x05, 0, WMBUS_SCALED, false, "apparent_energy", "kvah", "kV.A.h"},
    {0x08, 0x09, 2, WMBUS_SCALED, false, MJ}, /* 10^(n-1) GJ */
    {0x0c, 0x0f, -1, WMBUS_SCALED, false, "energy", "mcal", NULL},
    {0x10, 0x11, 2, WMBUS_SCALED, false, "volume", "m3", "m3"},
    {0x14, 0x17, -3, WMBUS_SCALED, false, "reactive_power", "kvar", NULL},
    {0x18, 0x19, 5, WMBUS_SCALED, false, "mass", "kg", "kg"}, /* 10^(n+2) t */
    {0x1a, 0x1b, -1, WMBUS_SCALED, false, "humidity", "percent", "%"},
    {0x28, 0x29, 5, WMBUS_SCALED, false, "power", "w", "W"}, /* 10^(n-1) MW */
    {0x2a, 0x2a, -1, WMBUS_SCALED, false, "phase_uu", "deg", "deg"},
    {0x2b, 0x2b, -1, WMBUS_SCALED, false, "phase_ui", "deg", "deg"},
    {0x2c, 0x2f, -3, WMBUS_SCALED, false, "frequency", "hz", "Hz"},
    {0x30, 0x31, 8, WMBUS_SCALED, false, "power", "j_h", "J/h"}, /* 10^(n-1) GJ/h */
    {0x34, 0x37, -3, WMBUS_SCALED, false, "apparent_power", "kva", "kV.A"},
    {0x74, 0x77, -3, WMBUS_SCALED, false, "temperature_limit", "c", "Cel"},
    {0x78, 0x7f, -3, WMBUS_SCALED, false, "power_cumulated_maximum", "w", "W"},
};

static const struct wmbus_vif fd[] = {
    {0x00, 0x03, -3, WMBUS_SCALED, false, "credit", NULL, NULL},
    {0x04, 0x07, -3, WMBUS_SCALED, false, "debit", NULL, NULL},
    {0x08, 0x08, 0, WMBUS_UNSIGNED, false, "transmission_counter", NULL, "1"},
    {0x09, 0x09, 0, WMBUS_UNSIGNED, false, "device_type", NULL, NULL},
    {0x0a, 0x0a, 0, WMBUS_UNSIGNED, false, "manufacturer_code", NULL, NULL},
    {0x0b, 0x0b, 0, WMBUS_DIGITS, false, "parameter_set", NULL, NULL},
    {0x0c, 0x0c, 0, WMBUS_UNSIGNED, false, "model_version", NULL, NULL},
    {0x0d, 0x0d, 0, WMBUS_UNSIGNED, false, "hardware_version", NULL, NULL},
    {0x0e, 0x0e, 0, WMBUS_UNSIGNED, false, "firmware_version", NULL, NULL},
    {0x0f, 0x0f, 0, WMBUS_UNSIGNED, false, "software_version", NULL, NULL},
    {0x10, 0x10, 0, WMBUS_DIGITS, false, "customer_location", NULL, NULL},
    {0x11, 0x11, 0, WMBUS_DIGITS, false, "customer", NULL, NULL},
    {0x12, 0x16, 0, WMBUS_SECRET, false, "access_code", NULL, NULL},
    {0x17, 0x17, 0, WMBUS_UNSIGNED, false, "error_flags", NULL, NULL},
    {0x18, 0x18, 0, WMBUS_UNSIGNED, false, "error_mask", NULL, NULL},
    {0x19, 0x19, 0, WMBUS_SECRET, false, "security_key", NULL, NULL},
    {0x1a, 0x1a, 0, WMBUS_UNSIGNED, false, "digital_output", NULL, NULL},
    {0x1b, 0x1b, 0, WMBUS_UNSIGNED, false, "digital_input", NULL, NULL},
    {0x1c, 0x1c, 0, WMBUS_UNSIGNED, false, "baud_rate", NULL, NULL},
    {0x1f, 0x1f, 0, WMBUS_UNSIGNED, false, "remote_control", NULL, NULL},
    {0x20, 0x20, 0, WMBUS_UNSIGNED, false, "first_storage", NULL, NULL},
    {0x21, 0x21, 0, WMBUS_UNSIGNED, false, "last_storage", NULL, NULL},
    {0x22, 0x22, 0, WMBUS_UNSIGNED, false, "storage_block_size", NULL, NULL},
    {0x24, 0x27, 0, WMBUS_UNSIGNED, true, "storage_interval", NULL, NULL},
    {0x28, 0x28, 0, WMBUS_UNSIGNED, false, "storage_interval", "months", "mo"},
    {0x29, 0x29, 0, WMBUS_UNSIGNED, false, "storage_interval", "years", "a"},
    {0x2c, 0x2f, 0, WMBUS_UNSIGNED, true, "since_last_readout", NULL, NULL},
    {0x30, 0x30, 0, WMBUS_DATE, false, "tariff_start", NULL, NULL},
    {0x31, 0x31, 0, WMBUS_UNSIGNED, false, "tariff_duration", "min", "min"},
    {0x32, 0x32, 0, WMBUS_UNSIGNED, false, "tariff_duration", "h", "h"},
    {0x33, 0x33, 0, WMBUS_UNSIGNED, false, "tariff_duration", "d", "d"},
    {0x34, 0x37, 0, WMBUS_UNSIGNED, true, "tariff_period", NULL, NULL},
    {0x38, 0x38, 0, WMBUS_UNSIGNED, false, "tariff_period", "months", "mo"},
    {0x39, 0x39, 0, WMBUS_UNSIGNED, false, "tariff_period", "years", "a"},
    {0x3a, 0x3a, 0, WMBUS_SCALED, false, "counter", NULL, "1"},
    {0x3c, 0x3f, 0, WMBUS_UNSIGNED, true, "transmission_period", NULL, NULL},
    {0x40, 0x4f, -9, WMBUS_SCALED, false, "voltage", "v", "V"},
    {0x50, 0x5f, -12, WMBUS_SCALED, false, "current", "a", "A"},
    {0x60, 0x60, 0, WMBUS_UNSIGNED, false, "reset_counter", NULL, "1"},
    {0x61, 0x61, 0, WMBUS_UNSIGNED, false, "cumulation_counter", NULL, "1"},
    {0x62, 0x62, 0, WMBUS_UNSIGNED, false, "control_signal", NULL, NULL},
    {0x63, 0x63, 0, WMBUS_UNSIGNED, false, "day_of_week", NULL, NULL},
    {0x64, 0x64, 0, WMBUS_UNSIGNED, false, "week_number", NULL, NULL},
    {0x66, 0x66, 0, WMBUS_UNSIGNED, false, "parameter_activation", NULL, NULL},
    {0x67, 0x67, 0, WMBUS_UNSIGNED, false, "supplier_information", NULL, NULL},
    {0x68, 0x68, 0, WMBUS_UNSIGNED, false, "since_last_cumulation", "h", "h"},
    {0x69, 0x69, 0, WMBUS_UNSIGNED, false, "since_last_cumulation", "d", "d"},
    {0x6a, 0x6a, 0, WMBUS_UNSIGNED, false, "since_last_cumulation", "months", "mo"},
    {0x6b, 0x6b, 0, WMBUS_UNSIGNED, false, "since_last_cumulation", "years", "a"},
    {0x6c, 0x6c, 0, WMBUS_UNSIGNED, false, "battery_time", "h", "h"},
    {0x6d, 0x6d, 0, WMBUS_UNSIGNED, false, "battery_time", "d", "d"},
    {0x6e, 0x6e, 0, WMBUS_UNSIGNED, false, "battery_time", "months", "mo"},
    {0x6f, 0x6f, 0, WMBUS_UNSIGNED, false, "battery_time", "years", "a"},
    {0x70, 0x70, 0, WMBUS_DATE, false, "battery_changed", NULL, NULL},
    {0x71, 0x71, 0, WMBUS_SCALED, false, "rf_level", "dbm", "dB{mW}"},
    {0x73, 0x73, 0, WMBUS_UNSIGNED, false, "listening_window", NULL, NULL},
    {0x74, 0x74, 0, WMBUS_UNSIGNED, false, "battery_remaining", "d", "d"},
    {0x75, 0x75, 0, WMBUS_UNSIGNED, false, "stops", NULL, "1"},
};

#define N(a) (sizeof(a) / sizeof(*(a)))

const struct wmbus_vif *wmbus_vif(enum wmbus_table table, uint8_t code)
{
    const struct wmbus_vif *rows = table == WMBUS_PRIMARY ? primary
                                   : table == WMBUS_FB    ? fb
                                                          : fd;
    size_t n = table == WMBUS_PRIMARY ? N(primary) : table == WMBUS_FB ? N(fb) : N(fd);
    for (size_t i = 0; i < n; i++)
        if (code >= rows[i].first && code <= rows[i].last)
            return &rows[i];
    return NULL;
}

static const struct wmbus_vife combinable[] = {
    {0x00, 0x00, WMBUS_SAME, 0, ""}, /* no error */
    {0x01, 0x01, WMBUS_ERROR, 0, "too many DIFEs"},
    {0x02, 0x02, WMBUS_ERROR, 0, "storage number not implemented"},
    {0x03, 0x03, WMBUS_ERROR, 0, "unit number not implemented"},
    {0x04, 0x04, WMBUS_ERROR, 0, "tariff number not implemented"},
    {0x05, 0x05, WMBUS_ERROR, 0, "function not implemented"},
    {0x06, 0x06, WMBUS_ERROR, 0, "data class not implemented"},
    {0x07, 0x07, WMBUS_ERROR, 0, "data size not implemented"},
    {0x0b, 0x0b, WMBUS_ERROR, 0, "too many VIFEs"},
    {0x0c, 0x0c, WMBUS_ERROR, 0, "illegal VIF group"},
    {0x0d, 0x0d, WMBUS_ERROR, 0, "illegal VIF exponent"},
    {0x0e, 0x0e, WMBUS_ERROR, 0, "VIF and DIF do not fit"},
    {0x0f, 0x0f, WMBUS_ERROR, 0, "action not implemented"},
    {0x15, 0x15, WMBUS_ERROR, 0, "no data"},
    {0x16, 0x16, WMBUS_ERROR, 0, "overflow"},
    {0x17, 0x17, WMBUS_ERROR, 0, "underflow"},
    {0x18, 0x18, WMBUS_ERROR, 0, "data error"},
    {0x1c, 0x1c, WMBUS_ERROR, 0, "premature end of record"},
    {0x20, 0x35, WMBUS_RATE, 0, NULL},
    {0x36, 0x38, WMBUS_RATE, 0, NULL},
    {0x39, 0x39, WMBUS_DATES, 0, "start"},
    {0x3a, 0x3a, WMBUS_SAME, 0, "uncorrected"},
    {0x3b, 0x3b, WMBUS_SAME, 0, "positive"},
    {0x3c, 0x3c, WMBUS_SAME, 0, "negative"},
    {0x3e, 0x3e, WMBUS_SAME, 0, "base"},
    {0x40, 0x40, WMBUS_SAME, 0, "lower_limit"},
    {0x48, 0x48, WMBUS_SAME, 0, "upper_limit"},
    {0x42, 0x43, WMBUS_DATES, 0, NULL},
    {0x46, 0x47, WMBUS_DATES, 0, NULL},
    {0x4a, 0x4b, WMBUS_DATES, 0, NULL},
    {0x4e, 0x4f, WMBUS_DATES, 0, NULL},
    {0x6a, 0x6b, WMBUS_DATES, 0, NULL},
    {0x6e, 0x6f, WMBUS_DATES, 0, NULL},
    {0x70, 0x70, WMBUS_SHIFT, -6, ""},
    {0x71, 0x71, WMBUS_SHIFT, -5, ""},
    {0x72, 0x72, WMBUS_SHIFT, -4, ""},
    {0x73, 0x73, WMBUS_SHIFT, -3, ""},
    {0x74, 0x74, WMBUS_SHIFT, -2, ""},
    {0x75, 0x75, WMBUS_SHIFT, -1, ""},
    {0x76, 0x76, WMBUS_SHIFT, 0, ""},
    {0x77, 0x77, WMBUS_SHIFT, 1, ""},
    {0x7d, 0x7d, WMBUS_SHIFT, 3, ""},
    {0x7e, 0x7e, WMBUS_SAME, 0, "future"},
};

static const struct wmbus_vife behind_fc[] = {
    {0x01, 0x01, WMBUS_SAME, 0, "l1"},    {0x02, 0x02, WMBUS_SAME, 0, "l2"},
    {0x03, 0x03, WMBUS_SAME, 0, "l3"},    {0x04, 0x04, WMBUS_SAME, 0, "n"},
    {0x05, 0x05, WMBUS_SAME, 0, "l1_l2"}, {0x06, 0x06, WMBUS_SAME, 0, "l2_l3"},
    {0x07, 0x07, WMBUS_SAME, 0, "l3_l1"},
};

static const struct wmbus_vife other = {0, 0, WMBUS_OTHER, 0, NULL};

static const struct wmbus_vife *find(const struct wmbus_vife *rows, size_t n, uint8_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= rows[i].first && code <= rows[i].last)
            return &rows[i];
    return &other;
}

const struct wmbus_vife *wmbus_vife(uint8_t code)
{
    return find(combinable, N(combinable), code);
}

const struct wmbus_vife *wmbus_vife2(uint8_t code)
{
    return find(behind_fc, N(behind_fc), code);
}

const char *wmbus_medium(uint8_t code)
{
    static const char *const names[] = {
        [0x00] = "other",
        [0x01] = "oil",
        [0x02] = "electricity",
        [0x03] = "gas",
        [0x04] = "heat",
        [0x05] = "steam",
        [0x06] = "warm water",
        [0x07] = "water",
        [0x08] = "heat cost allocator",
        [0x09] = "compressed air",
        [0x0a] = "cooling",
        [0x0b] = "cooling (inlet)",
        [0x0c] = "heat (inlet)",
        [0x0d] = "heat/cooling",
        [0x0e] = "bus",
        [0x15] = "hot water",
        [0x16] = "cold water",
        [0x17] = "water (two registers)",
        [0x18] = "pressure",
        [0x19] = "A/D converter",
        [0x1a] = "smoke detector",
        [0x1b] = "room sensor",
        [0x1c] = "gas detector",
        [0x20] = "breaker",
        [0x21] = "valve",
        [0x25] = "display",
        [0x28] = "waste water",
        [0x29] = "waste",
        [0x31] = "communication controller",
        [0x32] = "repeater",
        [0x33] = "bidirectional repeater",
        [0x36] = "radio converter (system side)",
        [0x37] = "radio converter (meter side)",
    };
    const char *name = code < N(names) ? names[code] : NULL;
    return name ? name : "unknown";
}
