"""Routes of Chinese platforms and makers for the corpus test: see corpus.py."""

from corpus import Device, Metric, NotMet, Point, Route, Selects, Time, facility



def has(text):
    return lambda record: text in record["payload"]


SITES = "a tag of the example's own site: it is no metric of any kind of facility"
BITS = {"1": True, "2": False, 1: True, 2: False}

ctwing = [
    Route("Li’An smoke via CTWing AEP", "ctwing-aep", "smoke", fields={
        "IMEI": Device(), "payload.serviceData.TData": Metric("temperature"),
        "payload.serviceData.Battery_Level": Metric("battery_pct"),
        "payload.serviceData.Alarm_Status": Metric("state", map={2: "muted"}),
        "payload.serviceData.RSRP": Metric("rssi", -1)}),
    Route("Li’An gas via CTWing AEP", "ctwing-aep", "gas", topic="ctwing/up", fields={
        "IMEI": Device(), "payload.gas_sensor_state": Metric("alarm", map={1: True}),
        "payload.valve_state": Metric("valve_open", map=BITS), "payload.gas_value": Metric("lel"),
        "payload.battery_voltage": Metric("battery_v")}),
    Route("HuaQiang W308 smoke via CTWing AEP", "ctwing-aep", "smoke", fields={
        "IMEI": Device(), "decoded.APPdata.cmd": Metric("event_code", map=str),
        "decoded.APPdata.alert": Metric("alarm", map={0: False}), "decoded.APPdata.devVolt": Metric("battery_v"),
        "decoded.APPdata.battery": Metric("battery_pct"), "decoded.APPdata.temperature": Metric("temperature"),
        "decoded.APPdata.rsrp": Metric("rssi")}),
    Route("HuaQiang W306 hydrant via CTWing AEP", "ctwing-aep", "hydrant", fields={
        "IMEI": Device(), "decoded.APPdata.cmd": Metric("event_code", map=str),
        "decoded.APPdata.alert": Metric("low_pressure", map={1: True, 0: False}),
        "decoded.APPdata.battery": Metric("battery_pct"), "decoded.APPdata.temperature": Metric("temperature"),
        "decoded.APPdata.lowThreshold": Metric("pressure_low_limit", 0.001),
        "decoded.APPdata.pressure[0]": Metric("pressure", 0.001),
        "decoded.APPdata.samples": Metric("batch_size")}),
    Route("CTWing AEP", "ctwing-aep", "hydrant", topic="ctwing/up", only=has("OnlineOffline"), fields={
        "deviceId": Device(), "messageType": Selects("online", "offline"), "eventType": Metric("online", map={1: True})}),
    Route("CTWing AEP", "ctwing-aep", topic="ctwing/up", ends="ignored:reply"),
    Route("fire user-information transmitter via CTWing AEP", "ctwing-aep", "smoke", topic="ctwing/up", fields={
        "messageType": Selects("fire-transmitter"), "decoded.APPdata.c": Metric("event_code", map=str),
        "decoded.APPdata.b[0].id": Point(), "decoded.APPdata.b[0].v": Metric("part_state", map=int),
        "decoded.APPdata.tm": Time(1)}),
    Route("fire user-information transmitter", "ctwing-aep", "smoke", topic="ctwing/transmitter/223", fields={
        "c": Metric("pre_alarm", map={22: True}), "b[0].id": Point(), "b[0].v": Metric("part_state", map=int),
        "b[0].t": Metric("event_text")}),
    Route("WXHS geomagnetic parking via CTWing AEP", "ctwing-aep", "parking", fields={
        "IMEI": Device(), "payload.parking_state": Metric("occupied", map={0: False}),
        "payload.battery_voltage": Metric("battery_v"), "payload.Signal_Power": Metric("rssi"),
        "payload.Park_cnt": Metric("park_count")}),
]

oceanconnect = [
    Route("Wanlin NB301 smoke via Huawei OceanConnect", "huawei-oceanconnect", "smoke", topic="oceanconnect/up", fields={
        "decoded.imei": Device(), "decoded.event": Metric("test", map={"10": True}),
        "decoded.temperature": Metric("temperature"), "decoded.battery_code": Metric("battery_code"),
        "decoded.signal": Metric("signal_quality")}),
    Route("Wanlin NB306 smoke via Huawei OceanConnect", "huawei-oceanconnect", "smoke", topic="oceanconnect/up", fields={
        "service.data.devId": Device(), "decoded.service.data.temperature": Metric("temperature"),
        "service.data.electricQuantity": Metric("battery_pct"),
        "service.data.devState": Metric("state", map={0: "normal"}),
        "service.data.smokescope": Metric("smoke_level")}),
    Route("Wanlin NB pressure gauge via Huawei OceanConnect", "huawei-oceanconnect", "hydrant",
          topic="oceanconnect/up", fields={
              "decoded.imei": Device(), "decoded.event": Metric("event_code"),
              "decoded.low": Metric("pressure_low_limit"), "decoded.high": Metric("pressure_high_limit"),
              "decoded.present": Metric("pressure")}),
    Route("Wanlin NB level gauge via Huawei OceanConnect", "huawei-oceanconnect", "sump",
          topic="oceanconnect/up", fields={
              "decoded.imei": Device(), "decoded.event": Metric("event_code"),
              "decoded.low": Metric("level_low_limit"), "decoded.high": Metric("level_high_limit"),
              "decoded.present": Metric("level")}),
]

EVENTS = {"1361": "over_current", 1361: "over_current"}
wanlin = [
    Route("Wanlin electric-fire detector", "wanlin-json", "electric-fire", topic="wanlin/up", fields={
        "chipcode": Device(), "type": Selects("electric"), "event": Metric("event", map=EVENTS),
        "decoded.current2": Metric("current_a"), "decoded.current3": Metric("current_b"),
        "decoded.current4": Metric("current_c"), "temperature1": Metric("temp_a", map=float),
        "signal_intensity": Metric("signal_quality"), "event_loop": Metric("event_loop"),
        "alarmvalue": Metric("alarm_value", map=float)}),
    Route("Wanlin fire-alarm host", "wanlin-json", lambda r: "sos" if facility(r) == "sos" else "smoke",
          topic="wanlin/up", fields={
              "dcode": Device(), "event": Metric("event_code"), "address": Point(),
              "content": Metric("event_text")}),
    Route("Wanlin gas valve manipulator", "wanlin-json", "gas", topic="wanlin/up", fields={
        "deviceCode": Device(), "dcode": Device(), "detail.event": Metric("event_code"), "event": Metric("event_code"),
        "detail.state": Metric("valve_open", map=BITS), "state": Metric("valve_open", map=BITS),
        "content": Metric("event_text"), "Signal_Intensity": Metric("signal_quality", map=float)}),
    Route("Wanlin temp/humidity sensor", "wanlin-json", "environment", topic="wanlin/up", fields={
        "mac": Device(), "event": Metric("event_code"), "content": Metric("event_text")}),
    Route("(websocket client of an energy-platform)", "wanlin-json", topic="wanlin/up"),
]

tencent = [
    Route("Tencent IoT Explorer", "tencent-iot", "lamp", only=has('"control"'), ends="ignored:downlink"),
    Route("Tencent IoT Explorer", "tencent-iot", "smoke", only=has("event_post"), fields={
        "eventId": Metric("event_code"), "type": Metric("event_text"), "params.Voltage": Metric("battery_v"),
        "params.Percent": Metric("battery_pct")}),
    Route("Tencent IoT Explorer", "tencent-iot", "lamp", fields={
        "params.power_switch": Metric("on", map={0: False, 1: True}), "params.brightness": Metric("dim")}),
    Route("Tencent IoT Explorer (sub-device TCP)", "tencent-iot", "lamp", topic="$thing/up/property/QYEWBRB1PS/dev1"),
    Route("Tencent IoT Explorer (gateway)", "tencent-iot", "lamp", fields={
        "type": Metric("online", map={"online": True, "offline": False}),
        "payload.devices[0].device_name": Device(part=True), "params.brightness": Metric("dim"),
        "timestamp": Time(1000)}),
]

platforms = [
    Route("Huawei IoTDA", "huawei-iotda", "environment", fields={
        "services[0].properties.value": Metric("temperature"), "services[1].properties.level": Metric("battery_pct")}),
    Route("JetLinks", "jetlinks", "environment"),
    Route("PandaX iothub (Modbus RTU through)", "pandax", "environment", topic="v1/devices/d1/raw",
          wrap=lambda record, topic, payload: (topic, record["payload"].encode()), fields={
              "decoded.humidity": Metric("humidity"), "decoded.temperature": Metric("temperature")}),
    Route("PandaX iothub", "pandax", "environment", topic="v1/devices/d1/rowdata"),
    Route("PandaX iothub (gateway)", "pandax", "environment", topic="pandax/gateway/connect", only=has("online"), fields={
        "devA": Metric("online", map={"online": True}, nth=0), "devB": Metric("online", map={"offline": False}, nth=1)}),
    Route("PandaX iothub (gateway)", "pandax", "environment", topic="pandax/gateway/telemetry",
          ends="samples", fields={"devA.ts": Time(1), "devA.values.telemetry2": NotMet(SITES)}),
    Route("ThingsBoard gateway API", "thingsboard", "environment", fields={
        "Device A[0].values.temperature": Metric("temperature", nth=0),
        "Device A[1].values.humidity": Metric("humidity", nth=1),
        "Device B[0].values.temperature": Metric("temperature", nth=2), "device": Device(),
        "Device A.battery": Metric("battery_pct"), "Device A.fw_version": Metric("firmware")}),
    Route("EMQX Neuron driver state", "neuron", "uplink", fields={
        "states[1].node": Device(), "states[1].link": Metric("online", map={0: False}, nth=1),
        "states[1].running": Metric("running_state", nth=1)}),
    Route("EMQX Neuron tags-format", "neuron", "pump"),
    Route("EMQX Neuron ECP-format", "neuron", "pump"),
    Route("EMQX Neuron (Modbus→MQTT) values-format", "neuron", "pump", fields={"~.*": NotMet(SITES)}),
    Route("EMQX Neuron custom format", "neuron", "pump", fields={"~.*": NotMet(SITES)}),
]

ROUTES = ctwing + oceanconnect + wanlin + tencent + platforms
