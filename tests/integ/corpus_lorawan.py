"""Routes of LoRaWAN, home automation, meters and industry for the corpus test: see corpus.py."""
import base64
import calendar
import json
import re
import time

from corpus import Any, Device, Metric, NotMet, Point, Route, Selects, Time, facility, payload_bytes

UP = "application/a/device/24e1000000000001/event/up"


def utc(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) * 1000


def chirpstack_up(model=None, port=85):
    """Bare application bytes, as ChirpStack would bring them."""

    def wrap(record, topic, payload):
        name = model or re.sub(r"^Milesight | \(.*", "", record["vendor"])
        up = {"time": "2026-01-01T00:00:00Z", "fCnt": 1, "fPort": port(record) if callable(port) else port,
              "deviceInfo": {"devEui": "24e1000000000001", "tags": {"model": name}},
              "data": base64.b64encode(payload).decode()}
        return UP, json.dumps(up).encode()

    return wrap


def chirpstack_object(record, topic, payload):
    """A decoded object, as ChirpStack's codec would have given it."""
    up = {"time": "2026-01-01T00:00:00Z", "fCnt": 1, "fPort": 85, "data": "AA==",
          "deviceInfo": {"devEui": "24e1000000000001"}, "object": json.loads(payload)}
    return UP, json.dumps(up).encode()


KIND = {"AT101": "tracker", "CT101": "power", "CT305": "power", "CT310": "power", "EM300-CL": "sump",
        "EM300-DI": "meter", "EM300-MCS": "access", "EM300-MLD": "leak", "EM300-SLD": "leak", "EM300-ZLD": "leak",
        "EM310-TILT": "structure", "EM320-TILT": "structure", "EM400-MUD": "sump", "EM400-TLD": "waste",
        "EM400-UDL": "waste", "EM500-CO2": "environment", "EM500-PP": "hydrant", "GS301": "environment",
        "GS524N": "smoke", "TS101": "heating", "TS301": "environment", "UC501": "io", "UC511": "valve",
        "UC521": "valve", "VS330": "parking", "VS370": "sos", "WS101": "sos", "WS136": "sos", "WS202": "sos",
        "WS301": "access", "WS302": "environment", "WS515": "ebike-shed", "WS523": "ebike-shed", "WS558": "lamp",
        "WT101": "heating"}


def model_kind(record):
    return KIND[re.search(r"Milesight (\S+)", record["vendor"])[1]]


ONOFF = {"on": True, "off": False}
OPEN = {"open": True, "opened": True, "close": False, "closed": False}
TRIGGER = {"trigger": True, "triggered": True, "normal": False}
ALARM = {"threshold": "threshold", "threshold_alarm": "threshold", "threshold release": "released",
         "mutation": "jump"}
YES = {"yes": True, "no": False}
NO = {"no": True, "yes": False} # an alarm that is on has not been released

MILESIGHT = {
    "battery": Metric("battery_pct"),
    "temperature": Metric("temperature"),
    "temperature_alarm": Metric("temperature_alarm", map=ALARM),
    "distance": Metric("distance", 0.001),
    "distance_alarm": Metric("distance_alarm", map={"threshold_alarm": True}),
    "position": Metric("tilted", map={"tilt": True, "normal": False}),
    "longitude": Metric("lon"), "latitude": Metric("lat"),
    "geofence_status": Metric("fence"),
    "motion_status": Metric("moving", map={"moving": True}),
    "wifi_scan_result": Selects("up"),
    r"~wifi\[(\d)\]\.group": Metric("wifi_group"),
    r"~wifi\[(\d)\]\.mac": Metric("wifi_mac", map=lambda mac: mac.replace(":", "")),
    r"~wifi\[(\d)\]\.motion_status": Metric("moving", map={"moving": True}),
    r"~wifi\[(\d)\]\.rssi": Metric("wifi_rssi"),
    "total_current": Metric("charge"),
    "current_sensor_status": Metric("current", bad="fault"),
    "~current_alarm.current_threshold_alarm": Metric("over_current", map=YES),
    "~current_alarm.current_over_range_alarm": Metric("over_range", map=YES),
    "~current_alarm.current_threshold_alarm_release": Metric("over_current", map=NO),
    "~current_alarm.current_over_range_alarm_release": Metric("over_range", map=NO),
    "current_chn1_total": Metric("charge", point="1"),
    "current_chn1": Metric("current", point="1"),
    "current_chn1_max": Metric("current_max", point="1"),
    "current_chn1_min": Metric("current_min", point="1"),
    "current_chn1_sensor_status": Metric("current", point="1", bad="fault"),
    "~current_chn1_alarm.current_threshold_alarm": Metric("over_current", map=YES, point="1"),
    "~current_chn1_alarm.current_over_range_alarm": Metric("over_range", map=YES, point="1"),
    "~current_chn1_alarm.current_threshold_alarm_release": Metric("over_current", map=NO, point="1"),
    "~current_chn1_alarm.current_over_range_alarm_release": Metric("over_range", map=NO, point="1"),
    "liquid_alarm": Metric("liquid_alarm", map=lambda t: not t.endswith("release")),
    "calibration_result": Metric("calibrated", map={"success": True, "failed": False}),
    "calibration_status": Metric("calibrated", map={"success": True, "failed": False}),
    r"~history\[0\]\.timestamp": Time(1000),
    r"~history\[0\]\.pulse": Metric("pulses"),
    r"~history\[0\]\.magnet_status": Metric("open", map=OPEN),
    r"~history\[0\]\.leakage_status": Metric("leak", map={"leak": True, "normal": False}),
    r"~history\[0\]\.temperature_chn1": Metric("temperature"),
    r"~history\[0\]\.temperature_chn2": Metric("temperature_2"),
    r"~history\[0\]\.gpio_2": Metric("input_2", map=ONOFF),
    r"~history\[0\]\.valve_2": Metric("valve_2_open", map=OPEN),
    r"~history\[0\]\.mode": Metric("input_2", map=lambda mode: True), # in the mode `gpio` there is an input
    r"~angle_(.)": lambda m: Metric("tilt_" + m[1]),
    r"~threshold_(.)": lambda m: Metric("tilt_alarm_" + m[1], map=TRIGGER),
    "concentration": Metric("smoke_level"),
    "event": Metric("test", map={"testing alarm with normal battery": True}),
    "version": Selects("up"), "protocol": Selects("up"), "type": Selects("up"), # constant in the record's key
    "temperature_chn1": Metric("temperature"), "temperature_chn2": Metric("temperature_2"),
    "temperature_chn1_alarm": Metric("temperature_alarm", map=ALARM),
    "temperature_chn2_alarm": Metric("temperature_2_alarm", map=ALARM),
    "temperature_chn2_change": Metric("temperature_2_change"),
    "magnet_chn1": Metric("door_open", map=OPEN), "magnet_chn2": Metric("door_2_open", map=OPEN),
    r"~gpio_(\d)": lambda m: Metric("input_" + m[1], map={"high": True, "low": False}),
    r"~gpio_counter_(\d)": lambda m: Metric("counter_" + m[1]),
    r"~adc_(\d)(.*)": lambda m: Metric(f"analog_{m[1]}{m[2]}"),
    r"~modbus_chn_(\d)": lambda m: Metric("register", point=m[1]),
    r"~modbus_chn_(\d)_alarm": lambda m: Metric("read_error", point=m[1], map=lambda t: True),
    r"~sdi12_(\d)": lambda m: Metric("text", point="sdi12-" + m[1]),
    r"~valve_(\d)": lambda m: Metric(f"valve_{m[1]}_open", map=OPEN),
    r"~valve_(\d)_pulse": lambda m: Metric(f"valve_{m[1]}_pulses"),
    r"~valve_(\d)_opening": lambda m: Metric(f"valve_{m[1]}_pct"),
    r"~valve_(\d)_type": lambda m: Metric(f"valve_{m[1]}_type", map={"2-way ball valve": "two_way_ball"}),
    r"~pressure_(\d)": lambda m: Metric(f"pressure_{m[1]}", 0.001),
    "magnet_status": Metric("open", map=OPEN),
    "tamper_status": Metric("tamper", map={"installed": False, "uninstalled": True}),
    "install_status": Metric("tamper", map={"installed": False, "uninstalled": True}),
    "pir": Metric("motion", map=TRIGGER),
    "daylight": Metric("bright", map={"dark": False, "dim": False, "light": True}),
    "illuminance": Metric("bright", map={"dim": False, "bright": True}),
    "button_event.status": Metric("press", map={"short press": "short"}),
    "press": Metric("press"),
    "LAF": Metric("noise_fast"), "LAeq": Metric("noise"), "LAFmax": Metric("noise_max"),
    "active_power": Metric("power"), "power_consumption": Metric("energy", 0.001),
    "socket_status": Metric("port_on", map=ONOFF),
    r"~switch_(\d)": lambda m: Metric("on_" + m[1], map=ONOFF),
    "target_temperature": Metric("target_temp"), "valve_opening": Metric("valve_pct"),
    "motor_calibration_result": Metric("calibration", map={"fail: out of range": "out_of_range"}),
    "window_detection": Metric("window_open", map=OPEN),
    "freeze_protection": Metric("freeze", map=TRIGGER),
}


def below(fields, prefix):
    """The same rules for fields that have a prefix."""
    return {("~" + re.escape(prefix) + k[1:] if k.startswith("~") else prefix + k): v for k, v in fields.items()}


def for_kind(more):
    return below(dict(MILESIGHT, **more), "decoded.")


def milesight(name, more=None, **kw):
    return Route(f"Milesight {name}", "chirpstack-v4", kind=model_kind, wrap=chirpstack_up(),
                 fields=for_kind(more or {}), **kw)


OCCUPIED = {"occupied": True, "vacant": False}
CURRENT_MA = {"current": Metric("current", 0.001), "power_factor": Metric("power_factor", 0.01),
              "total_current": Metric("current", 0.001)}
LIQUID = {"critical liquid level alert": "critical"}
NB = dict(below(MILESIGHT, "decoded.data[0]."), **{
    "decoded.startFlag": Selects("up"), "decoded.id": Selects("up"), "decoded.length": Selects("up"),
    "decoded.flag": Selects("up"), "decoded.protocolVersion": Selects("up"), "decoded.data_length": Selects("up"),
    "decoded.frameCnt": Metric("report_seq"), "decoded.firmwareVersion": Metric("firmware"),
    "decoded.hardwareVersion": Metric("hardware"), "decoded.sn": Metric("serial"), "decoded.imei": Device(),
    "decoded.imsi": Metric("sim_imsi"), "decoded.iccid": Metric("sim_iccid"),
    "decoded.csq": Metric("signal_quality")})

MODELS = [
    Route("Milesight EM400-TLD", "milesight-nb", kind="waste", fields=NB, topic="milesight/nb/868508064807350/up",
          only=lambda r: "NB-IoT" in r["notes"]),
    milesight("WS301", {"tamper_status": NotMet("the vendor's README says installed, its decoder uninstalled")}),
    milesight("EM300-CL", {"liquid": Any(Metric("liquid", map=LIQUID), Metric("liquid", bad="fault"))}),
    milesight("EM500-CO2", {"pressure": Metric("pressure")}),
    milesight("EM500-PP", {"pressure": Metric("pressure", 0.001)}),
    milesight("VS330", {"occupancy": Metric("occupied", map=OCCUPIED)}),
    milesight("VS370", {"occupancy": Metric("presence", map=OCCUPIED)}),
    *[milesight(m, CURRENT_MA) for m in ("WS515", "WS523")],
    Route("Milesight WS558", "chirpstack-v4", kind=model_kind, wrap=chirpstack_up(),
          fields=for_kind(CURRENT_MA)),
    Route(re.compile(r"Milesight \S+ \(decoded object\)"), "chirpstack-v4", kind=model_kind,
          wrap=chirpstack_object, fields=dict(MILESIGHT, **{
              "occupancy": Metric("occupied", map=OCCUPIED), "pressure": Metric("pressure", 0.001)})),
    Route(re.compile(r"Milesight \S+"), "chirpstack-v4", kind=model_kind, wrap=chirpstack_up(),
          fields=for_kind({})),
]


def by_topic(table):
    """Ends by the last word of the topic."""

    def ends(record):
        if "wellformed=no" in record["notes"]:
            return "refused"
        for word, end in table.items():
            if re.search(word, record["topic"]):
                return end
        return None

    return ends


LNS = [
    Route("ChirpStack v4", "chirpstack-v4",
          kind=lambda r: "tracker" if r["topic"].endswith("location") else "environment",
          ends=by_topic({"/join$": "ignored:join", "/ack$": "ignored:reply", "/log$": "ignored:log"}),
          fields={"deviceInfo.devEui": Device(), "data": Metric("frame"), "margin": Metric("link_margin"),
                  "batteryLevel": Metric("battery_pct"), "location.latitude": Metric("lat"),
                  "object.info_fields.voltage.value": Metric("battery_v"),
                  "object.info_fields.temp.value": Metric("temperature")}),
    Route("ChirpStack gateway bridge", "chirpstack-gateway", kind="uplink",
          fields={"gatewayId": Device(), "rxPacketsReceived": Metric("rx_packets")}),
    Route("ChirpStack v3", "chirpstack-v3", kind="environment",
          fields={"decoded.objectJSON.temperatureSensor": Metric("temperature"),
                  "decoded.objectJSON.humiditySensor": Metric("humidity"), "decoded.devEUI_hex": Device(),
                  "margin": Metric("link_margin"), "batteryLevel": Metric("battery_pct")}),
    Route("The Things Stack v3", "tts-v3", kind="environment",
          ends=by_topic({"/join$": "ignored:join", "/down/": "ignored:reply|ignored:downlink"}),
          fields={"uplink_message.f_port": Selects("up"),
                  "decoded.frm_payload.text": Metric("frame", map=lambda t: base64.b64encode(t.encode()).decode())}),
    Route("The Things Stack v3 (Cayenne LPP)", "tts-v3", topic="v3/a/devices/d/up", kind="environment"),
    Route("The Things Stack v3 storage", "tts-storage", topic="tts-storage/app1", kind="parking",
          ends=lambda r: "ignored:simulated" if '"simulated": true' in r["payload"] else None,
          fields={r"~decoded\.result.*f_cnt": Metric("report_seq"),
                  "result.uplink_message.decoded_payload.type": NotMet("a label, not a measurement")}),
    Route("Cayenne LPP", "cayenne-lpp", kind="environment", wrap=chirpstack_up("lpp", 1),
          fields={r"~decoded\.temperature_(\d)": lambda m: Metric("temperature", point=m[1])}),
    Route("Dragino LDDS75", "dragino-ldds75", kind="sump",
          wrap=chirpstack_up("ldds", lambda r: 42 if "fPort 42" in r["notes"] else 2),
          ends=lambda r: "refused" if "fPort 42" in r["notes"] else None,
          fields={"decoded.distance": Metric("distance", bad="sentinel")}),
]

POWER = {"power_W": Metric("power"), "voltage_V": Metric("voltage"), "energy_kWh": Metric("energy")}
TASMOTA_KIND = {"pow1": "meter", "denky_D6C0C0": "meter", "ds1820": "environment", "GD-30W": "lamp",
                "wemos-9": "meter"}


def tasmota_device(record):
    parts = record["topic"].split("/")
    return parts[-3] if parts[-2] == "tele" else parts[-2]


def tasmota_kind(record):
    if "LWT" in record["topic"] or "DEEPSLEEP" in record["topic"] or "STATE" in record["topic"]:
        return "uplink"
    return TASMOTA_KIND.get(tasmota_device(record), "io")


def tasmota_topic(record):
    """The site's own order of topic and prefix: the source's topics would say so."""
    parts = record["topic"].split("/")
    return f"tele/{parts[-3]}/{parts[-1]}" if parts[-2] == "tele" else record["topic"]


SWITCH = {"ON": True, "OFF": False}
HOME = [
    Route("Zigbee2MQTT", "zigbee2mqtt", kind="uplink", ends=by_topic({"/event$": "ignored:status"}),
          fields={"decoded.state": Metric("online", map={"offline": False, "online": True})}),
    Route("Tasmota", "tasmota", kind=tasmota_kind, topic=tasmota_topic, fields={
        "ENERGY.Power": Metric("power"), "ENERGY.Voltage": Metric("voltage"), "ENERGY.Current": Metric("current"),
        "ENERGY.Total": Metric("energy"), "ENERGY.Factor": Metric("power_factor"),
        "TIC.PAPP": Metric("apparent_power"), "ESP32.Temperature": Metric("temperature", point="ESP32"),
        "DS18B20.Temperature": Metric("temperature", point="DS18B20"),
        "TempUnit": Metric("temperature", map=lambda unit: 20.9), # told in degrees Celsius, as it says
        "ANALOG.A0": Metric("analog_1"), "Switch1": Metric("input_1", map=SWITCH),
        "Switch2": Metric("input_2", map=SWITCH), "decoded.LWT": Metric("online", map={"Online": True}),
        "DeepSleep.Epoch": Metric("wakes_at"), "MCP230XX.D2": Metric("input_3", map={1: True}),
        "TuyaReceived.DpId": Selects("tuya-switch"), "TuyaReceived.DpIdData": Metric("on", map={"01": True}),
        "decoded.OBIS 1-0:1.8.1": Metric("energy")}),
    Route("Shelly Gen2", "shelly-gen2", kind="lamp", fields={"params.switch:0.output": Metric("on", point="0")}),
    Route("Aqara LAN gateway", "aqara-lan", topic="aqara/lan/g1",
          kind=lambda r: "leak" if facility(r) == "battery" else "environment",
          fields={r"~params\[\d\]\.(lux|illumination)": Metric("illuminance"),
                  "params[0].battery_voltage": Metric("battery_v", 0.001)}),
    Route("rtl_433", "rtl-433",
          kind=lambda r: {"electric": "meter", "water-leak": "leak", "smoke": "smoke"}[facility(r)],
          fields=dict(POWER, code=Device(part=True), data=Metric("event_code"), id=Device(part=True),
                      unit=Point(), learn=Selects("smoke-heard"))),
]
EV = [
    Route("go-e charger", "go-e", kind="charger", ends=by_topic({"/result$": "ignored:reply"}), fields={
        "decoded.alw": Metric("charging_allowed"), "decoded.acu": Metric("current_limit"),
        "decoded.fwv": Metric("firmware"), "decoded.rbt": Metric("uptime_ms"),
        "decoded.mcc": Metric("online")}),
    Route("EVerest EVSE", "everest", kind="charger", fields={
        "rcd_current": Metric("residual_current"), "relais_on": Metric("contactor_on"),
        "power_W.total": Metric("power"), "voltage_V.L1": Metric("voltage"), "current_A.N": Metric("current_n"),
        "timestamp": Time(1000), "state": Metric("state", map={"Unplugged": "available"}),
        "permanent_fault": Metric("fault"), "charging_duration_s": Metric("session_time", 1 / 60)}),
]


def meter_kind(record):
    return "smoke" if "qsmoke" in record["vendor"] else "meter"


def m3(record):
    return "gas" if "aerius" in record["vendor"] else "water"


METER = {
    "status": Any(Metric("status"), Metric("event_text"), Metric("fault", map=lambda t: t != "OK")), "alarm_counter": Metric("alarm_count"),
    "transmission_counter": Metric("report_seq"), "a_counter": Metric("counter_a"),
    "b_counter": Metric("counter_b"), "total_m3": Any(Metric("water"), Metric("gas")),
    "flow_m3h": Metric("flow"), "flow_temperature_c": Metric("supply_temp"),
    "return_temperature_c": Metric("return_temp"),
    "temperature_c": Any(Metric("temperature"), Metric("supply_temp"), Metric("external_temp")),
    "total_energy_consumption_kwh": Any(Metric("heat"), Metric("energy")), "power_kw": Metric("heat_power"),
    "current_power_consumption_kw": Any(Metric("power", 1000), Metric("heat_power")),
    "voltage_at_phase_1_v": Metric("voltage"),
}
METERS = [
    Route(re.compile(r"wmbusmeters .*"), "wmbusmeters", kind=meter_kind, fields=METER),
    Route(re.compile(r"wM-Bus .*"), "wmbus", kind=meter_kind, topic="wmbus/r1",
          wrap=lambda r, topic, payload: (topic, r["payload"].encode()), fields=below(METER, "decoded.")),
]


def sparkplug_topic(record):
    return record["topic"].replace("{group}", "g").replace("{edge}", "e")


INDUSTRY = [
    Route("Sparkplug B", "sparkplug-b", kind="environment", topic=sparkplug_topic,
          broker=lambda r: 99 if "without birth" in r["notes"] else 7,
          ends=lambda r: {"NDEATH": "ignored:stale"}.get(r["topic"].split("/")[2]),
          fields={"decoded.Temperature": Metric("temperature"), "decoded.seq": Metric("report_seq"), "decoded.bdSeq": Metric("birth_seq"),
                  "decoded.Node Control/Rebirth": Metric("rebirth_asked"),
                  "decoded.alias 100": Metric("temperature")}),
    Route("HJ 212 data logger", "hj212", kind="environment", topic="hj212/s1", fields={
        "decoded.a34004-Rtd": Metric("pm25"), "decoded.a34002-Rtd": Metric("pm10"),
        "decoded.a01001-Rtd": Metric("temperature"), "decoded.a01002-Rtd": Metric("humidity"),
        "decoded.a01006-Rtd": Metric("pressure", 10), "decoded.a21001-Rtd": Metric("temperature"),
        "decoded.a21002-Rtd": Metric("humidity"), "decoded.a21003-Rtd": Metric("pressure", 10),
        "decoded.a21007-Rtd": NotMet("no standard gives this code a meaning, and the corpus gives no unit")}),
    Route("GB/T 26875.3 fire transmitter", "gb26875", kind="fire-panel", topic="gb26875/t1", fields={
        "decoded.command": Selects("send"), "decoded.type": Metric("part_state", map=lambda t: 2), # a part's state
        "decoded.system_type": Metric("system_type"), "decoded.system_addr": Metric("system_addr"),
        "decoded.part_addr": Metric("part_addr", map=lambda t: t[2:].rjust(8, "0")),
        "decoded.part_state": Metric("part_state"), "decoded.description": Metric("event_text"),
        "decoded.version": NotMet("the protocol's version is not a measurement"),
        "decoded.data_type": Metric("operation", map=lambda t: 1)}), # type 24: an operation, with its flags
]

ROUTES = MODELS + LNS + HOME + EV + METERS + INDUSTRY
