"""Routes of Chinese platforms and makers for the corpus test: see corpus.py."""
from corpus import Any, ByName, Count, Device, Metric, NotMet, Point, Route, Selects, Time, facility


def below(prefix, fields):
    return {prefix + k: v for k, v in fields.items()}


COMMAND = NotMet("the frame's command word is not a measurement")
HUAQIANG = {"cmd": COMMAND, "battery": Metric("battery_pct"), "temperature": Metric("temperature"),
            "devVolt": Metric("battery_v"), "rsrp": Metric("rssi"),
            "lowThreshold": Metric("pressure_low_limit", 0.001), "pressure[0]": Metric("pressure", 0.001),
            "samples": Count("pressure")}
INNER = {"c": Metric("event_code", map=str), "b[0].id": Point(), "b[0].v": Metric("part_state", map=int),
         "b[0].t": Metric("event_text"), "tm": Time(1)}
CTWING = [
    Route("Li’An smoke via CTWing AEP", "ctwing-aep", kind="smoke", fields={
        "IMEI": Device(), "payload.serviceData.TData": Metric("temperature"),
        "payload.serviceData.Battery_Level": Metric("battery_pct"),
        "payload.serviceData.Alarm_Status": Metric("silenced", map={2: True}),
        "payload.serviceData.RSRP": Metric("rssi", -1)}),
    Route("Li’An gas via CTWing AEP", "ctwing-aep", kind="gas", topic="v1/up/ad19", fields={
        "IMEI": Device(), "payload.gas_sensor_state": Metric("alarm", map={1: True}),
        "payload.valve_state": Metric("valve_open", map={2: False}), "payload.gas_value": Metric("lel"),
        "payload.battery_voltage": Metric("battery_v")}),
    Route("HuaQiang W308 smoke via CTWing AEP", "ctwing-aep", kind="smoke", fields={
        "IMEI": Device(), **below("decoded.APPdata.", dict(HUAQIANG, alert=Metric("alarm", map={0: False})))}),
    Route("HuaQiang W306 hydrant via CTWing AEP", "ctwing-aep", kind="hydrant", fields={
        "IMEI": Device(),
        **below("decoded.APPdata.", dict(HUAQIANG, alert=Metric("low_pressure", map={1: True})))}),
    Route("CTWing AEP", "ctwing-aep", kind="hydrant", topic="v1/up/ad",
          ends=lambda r: "ignored:reply" if "commandResponse" in r["payload"] else None,
          fields={"deviceId": Device(), "messageType": Selects("online"),
                  "eventType": Metric("online", map={1: True})}),
    Route("fire user-information transmitter via CTWing AEP", "ctwing-aep", kind="smoke", topic="ctwing/ad",
          fields={"messageType": Selects("fire-transmitter"), **below("decoded.APPdata.", INNER)}),
    Route("fire user-information transmitter", "ctwing-aep", kind="smoke", topic="ctwing/transmitter/1501708501",
          fields=INNER),
    Route("WXHS geomagnetic parking via CTWing AEP", "ctwing-aep", kind="parking", fields={
        "IMEI": Device(), "timestamp": NotMet("the device's own time is taken, and judged by the engine"),
        "payload.ptime": Time(1), "payload.parking_state": Metric("occupied", map={0: False, 1: True}),
        "payload.battery_voltage": Metric("battery_v"), "payload.Signal_Power": Metric("rssi"),
        "payload.X_value": Metric("field_x_raw_count"), "payload.Y_value": Metric("field_y_raw_count"),
        "payload.Z_value": Metric("field_z_raw_count"), "payload.Park_cnt": Metric("park_count")}),
]

CHIPS = {"chipcode": Device(), "type": Selects("electric"), "decoded.current2": Metric("current_a"),
         "decoded.current3": Metric("current_b"), "decoded.current4": Metric("current_c"),
         "temperature1": Metric("temp_a", map=float), "signal_intensity": Metric("signal_quality"),
         "event": Metric("event", map={1361: "over_current", "1361": "over_current"}),
         "event_loop": Metric("event_loop"), "alarmvalue": Metric("alarm_value", map=float)}
TEXTS = {"event": Metric("event_code"), "content": Metric("event_text"), "dcode": Device(), "mac": Device(),
         "address": Point()}
GAUGE = {"imei": Device()}
WANLIN = [
    Route("Wanlin NB301 smoke via Huawei OceanConnect", "huawei-oceanconnect", kind="smoke", topic="oceanconnect/up",
          fields=below("decoded.", {"imei": Device(), "event": Metric("test", map={"10": True}),
                                    "temperature": Metric("temperature"), "battery_code": Metric("battery_code"),
                                    "signal": Metric("signal_quality")})),
    Route("Wanlin NB306 smoke via Huawei OceanConnect", "huawei-oceanconnect", kind="smoke", topic="oceanconnect/up",
          fields={"service.data.devId": Device(), "decoded.service.data.temperature": Metric("temperature"),
                  "service.data.electricQuantity": Metric("battery_pct"),
                  "service.data.devState": Metric("alarm", map={0: False}),
                  "service.data.smokescope": Metric("smoke_level")}),
    Route("Wanlin NB pressure gauge via Huawei OceanConnect", "huawei-oceanconnect", kind="hydrant",
          topic="oceanconnect/up", fields=below("decoded.", dict(
              GAUGE, event=Metric("low_pressure", map={"03": True}), low=Metric("pressure_low_limit"),
              high=Metric("pressure_high_limit"), present=Metric("pressure")))),
    Route("Wanlin NB level gauge via Huawei OceanConnect", "huawei-oceanconnect", kind="sump",
          topic="oceanconnect/up", fields=below("decoded.", dict(
              GAUGE, event=Metric("level_high", map={"04": True}), low=Metric("level_low_limit"),
              high=Metric("level_high_limit"), present=Metric("level")))),
    Route("Wanlin electric-fire detector", "wanlin-json", kind="electric-fire", topic="wanlin/up", fields=CHIPS),
    Route("Wanlin fire-alarm host", "wanlin-json", topic="wanlin/up", fields=TEXTS,
          kind=lambda r: "sos" if facility(r) == "sos" else "smoke"),
    Route("Wanlin gas valve manipulator", "wanlin-json", kind="gas", topic="wanlin/up", fields=dict(
        TEXTS, deviceCode=Device(), Signal_Intensity=Metric("signal_quality", map=int),
        state=Metric("valve_open", map={1: True}),
        **{"detail.event": Metric("event_code"), "detail.state": Metric("valve_open", map={"2": False})})),
    Route("Wanlin temp/humidity sensor", "wanlin-json", kind="environment", topic="wanlin/up", fields=TEXTS),
    Route("(websocket client of an energy-platform)", "wanlin-json", topic="wanlin/up"),
]

ONLINE = {"online": True, "offline": False}
PLATFORMS = [
    Route("Tencent IoT Explorer", "tencent-iot",
          kind=lambda r: "environment" if "/event/" in r["topic"] else "lamp",
          ends=lambda r: "ignored:downlink" if "/down/" in r["topic"] else None,
          fields={"params.power_switch": Metric("on", map={0: False, 1: True}), "params.brightness": Metric("dim"),
                  "timestamp": Any(Time(1), Time(1000)), "clientToken": Selects("property"),
                  "eventId": Metric("event_code"), "type": Metric("event_text"),
                  "params.Voltage": Metric("battery_v"), "params.Percent": Metric("battery_pct"),
                  "params.voltage": Metric("battery_v"), "params.name": Selects("property"),
                  "method": Selects("property", "event")}),
    Route("Tencent IoT Explorer (gateway)", "tencent-iot", kind="lamp",
          fields={"type": Metric("online", map=ONLINE), "payload.devices[0].device_name": Device(part=True),
                  "params.brightness": Metric("dim"), "timestamp": Time(1000)}),
    Route("Tencent IoT Explorer (sub-device TCP)", "tencent-iot", kind="lamp", topic="$thing/up/property/p/d"),
    Route("Huawei IoTDA", "huawei-iotda", kind="environment",
          fields={"services[0].properties.value": Metric("temperature"),
                  "services[1].properties.level": Metric("battery_pct")}),
    Route("JetLinks", "jetlinks", kind="environment"),
    Route("PandaX iothub (Modbus RTU through)", "pandax", kind="environment", topic="v1/devices/d1/raw",
          wrap=lambda r, topic, payload: (topic, r["payload"].encode()),
          fields={"decoded.humidity": Metric("humidity"), "decoded.temperature": Metric("temperature")}),
    Route("PandaX iothub", "pandax", kind="environment", topic="v1/devices/d1/rowdata"),
    Route("PandaX iothub (gateway)", "pandax", kind="environment",
          topic=lambda r: "pandax/gateway/" + ("connect" if facility(r) == "connectivity" else "telemetry"),
          fields={"devA.values.telemetry2": ByName("telemetry2"), "devA.ts": Time(1),
                  "devA": Metric("online", map=ONLINE), "devB": Metric("online", map=ONLINE)}),
    Route("ThingsBoard gateway API", "thingsboard", kind="environment",
          fields={"device": Device(), "Device A.battery": Metric("battery_pct"),
                  "Device A.fw_version": Metric("firmware")}),
    Route("EMQX Neuron (Modbus→MQTT) values-format", "neuron", kind="io", fields={
        r"~values\.(.*)": lambda m: ByName(m[1]), r"~errors\.(.*)": lambda m: ByName(m[1], bad="fault")}),
    Route("EMQX Neuron custom format", "neuron", kind="io", fields={
        r"~values\.(.*)": lambda m: ByName(m[1]), r"~data\.child_node\.tag_values\.(.*)": lambda m: ByName(m[1]),
        "gateway_info.sn": NotMet("a member that only this site's custom format has")}),
    Route("EMQX Neuron driver state", "neuron", kind="uplink", fields={
        "states[1].node": Device(), "states[1].link": Metric("online", map={0: False}, nth=1),
        "states[1].running": Metric("running_state", nth=1)}),
    Route("EMQX Neuron tags-format", "neuron", kind="io"),
    Route("EMQX Neuron ECP-format", "neuron", kind="io"),
]

ROUTES = CTWING + WANLIN + PLATFORMS
