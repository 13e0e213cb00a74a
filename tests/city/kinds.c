/* SPDX-License-Identifier: Apache-2.0 */
#include "city/kinds.h"

#define KIND(name, code, title, interval, weight, life_safety, battery, yard, symbol)          \
    {                                                                                          \
        name, code, title, interval, weight, life_safety, battery, yard, symbol##_metrics,     \
            &symbol##_n_metrics, symbol##_begin, symbol##_step                                 \
    }

/* Weights are about what a renovated compound of a few hundred households has. */
const struct fleet_kind fleet_kinds[] = {
    /* name, code, title, interval s, weight, life safety, battery, yard */
    KIND("elevator", "lift", "电梯", 10, 3, true, false, false, elevator),
    KIND("sump", "sump", "集水井", 30, 3, false, false, false, sump),
    KIND("manhole", "hole", "窨井", 300, 3, false, true, true, manhole),
    KIND("drain-gas", "drain", "管网气体", 120, 1, true, false, true, drain_gas),
    KIND("gas", "gas", "燃气报警器", 60, 12, true, false, false, gas),
    KIND("smoke", "smoke", "烟感", 300, 14, true, true, false, smoke),
    KIND("electric-fire", "efire", "电气火灾监控", 60, 4, true, false, false, electric_fire),
    KIND("water-supply", "water", "二次供水", 15, 1, false, false, false, water_supply),
    KIND("hydrant", "hydr", "消火栓", 600, 2, true, true, true, hydrant),
    KIND("pump", "pump", "水泵", 30, 2, false, false, false, pump),
    KIND("lamp", "lamp", "路灯", 60, 12, false, false, true, lamp),
    KIND("charger", "chg", "充电桩", 30, 4, false, false, true, charger),
    KIND("ebike-shed", "shed", "电动自行车棚", 60, 2, true, false, true, ebike_shed),
    KIND("parking", "park", "车位", 300, 8, false, true, true, parking),
    KIND("heating", "heat", "供暖", 60, 3, false, false, false, heating),
    KIND("structure", "wall", "墙体结构", 300, 2, true, true, false, structure),
    KIND("leak", "leak", "漏水绳", 600, 4, false, true, false, leak),
    KIND("meter", "mwater", "水表", 900, 4, false, true, false, meter_water),
    KIND("meter", "mgas", "燃气表", 900, 2, false, true, false, meter_gas),
    KIND("meter", "mheat", "热量表", 900, 1, false, true, false, meter_heat),
    KIND("meter", "mpower", "电表", 900, 3, false, false, false, meter_power),
    KIND("environment", "env", "环境监测", 60, 2, false, false, true, environment),
    KIND("waste", "bin", "垃圾箱", 600, 3, false, true, true, waste),
    KIND("sos", "sos", "一键呼救", 300, 3, true, true, false, sos),
    KIND("access", "door", "单元门禁", 60, 2, false, false, false, access),
    KIND("power", "power", "配电", 30, 1, false, false, false, power),
    KIND("uplink", "uplink", "物联网关", 60, 2, false, false, true, uplink),
};
const size_t fleet_n_kinds = sizeof(fleet_kinds) / sizeof(*fleet_kinds);
