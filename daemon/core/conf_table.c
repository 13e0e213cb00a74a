/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_table.h"

#include <string.h>

#define KIB    1024u
#define MIB    (1024u * KIB)
#define GIB    (1024ull * MIB)
#define MS     1000000ull
#define SECOND 1000000000ull
#define DAY    86400u
#define R(x)   CONF_IN_ROOT, offsetof(struct conf, x)
#define B(x)   CONF_IN_BROKER, offsetof(struct conf_broker, x)
#define S(x)   CONF_IN_SOURCE, offsetof(struct conf_source, x)
#define K(x)   CONF_IN_SINK, offsetof(struct conf_sink, x)

static const char *const lanes[] = {"all", "routine", "life-safety", NULL};
static const char *const languages[] = {"zh", "en", NULL};
static const char *const syncs[] = {"always", "interval", "never", NULL};
static const char *const sink_types[] = {"influxdb1", "influxdb2", "influxdb3",
                                         "victoriametrics", NULL};
static const char *const on_fulls[] = {"shed", "pause", NULL};
static const char *const levels[] = {"error", "warn", "notice", "info", "debug", NULL};

const char *const conf_later_keys[] = {"tiers", NULL};

const struct conf_section conf_sections[] = {
    {"gateway", false, CONF_IN_ROOT, 0, "who this gateway is", NULL, "网关本身"},
    {"brokers", true, CONF_IN_BROKER, 16, "MQTT brokers to receive from",
     "A list, at least one.\nThe session is kept at the broker\n.Pq clean start off ,\nso that "
     "messages wait there while the gateway is away: give the broker queues that are large "
     "enough.",
     "接收消息的 MQTT 服务器"},
    {"brokers.tls", false, CONF_IN_BROKER, 0,
     "for mqtts:// URLs; the host name is always verified", NULL, "TLS 证书，始终校验主机名"},
    {"sources", true, CONF_IN_SOURCE, 256, "what is subscribed, and how it is read",
     "A list, at least one.\nSources can be added, changed and removed without a restart.",
     "订阅哪些主题，按哪种格式解析"},
    {"registry", false, CONF_IN_ROOT, 0, "which compounds and devices there are (CSV)", NULL,
     "小区与设备台账（CSV）"},
    {"alerts", false, CONF_IN_ROOT, 0, "where alarms are told (gaihou-mqtt(7))",
     "A client of its own, named after the broker's client id with the suffix\n.Li -alerts .",
     "报警发布到哪里"},
    {"sinks", true, CONF_IN_SINK, 16, "databases that receive the points",
     "A list.\nSinks are independent of each other: one that is down fills only its own log.",
     "写入的时序数据库"},
    {"sinks.batch", false, CONF_IN_SINK, 0, "a block is closed by whichever comes first", NULL,
     "批次：先到者为准"},
    {"journal", false, CONF_IN_ROOT, 0, "the queue between brokers and databases",
     "Every message is in the journal before it is acknowledged to the broker.",
     "消息日志（先落日志，后确认）"},
    {"journal.archive", false, CONF_IN_ROOT, 0, "keeps compressed segments after their use",
     NULL, "用过的日志压缩存档"},
    {"http", false, CONF_IN_ROOT, 0, "metrics, health and the API of gaihouctl", NULL,
     "监控指标、健康检查与接口"},
    {"log", false, CONF_IN_ROOT, 0, "messages of the daemon itself, on stderr", NULL,
     "程序自身的日志"},
    {"store", false, CONF_IN_ROOT, 0, "ceilings of what is kept for people to look at", NULL,
     "死信与隔离区的上限"},
};
const size_t conf_sections_n = sizeof(conf_sections) / sizeof(conf_sections[0]);

#define SYNC_MAN                                                                               \
    "When journal records reach the disk.\nWhatever is chosen, a record is in the page cache " \
    "before its message is acknowledged: a crash or\n.Li kill -9\nof the daemon loses "        \
    "nothing "                                                                                 \
    "that was acknowledged.\nAnd nothing derived from a message (point, block, cursor, "       \
    "snapshot) is written or sent before the journal is synced past that message: after a "    \
    "power "                                                                                   \
    "cut no database holds what the journal has forgotten.\nWhat differs is what a power cut " \
    "or "                                                                                      \
    "a crash of the kernel may take:\n.Bl -tag -width interval\n.It Cm always\nnothing that "  \
    "was "                                                                                     \
    "acknowledged.\nThe acknowledgement waits for\n.Xr fdatasync 2 :\na few hundred messages " \
    "a "                                                                                       \
    "second on flash.\n.It Cm interval\nat most the messages acknowledged within the "         \
    "last\n.Cm "                                                                               \
    "sync_interval\n.Pq plus the time one sync takes ,\nwhich the broker will not send "       \
    "again.\n"                                                                                 \
    ".It Cm never\nthe acknowledged messages that the kernel has not written yet, usually "    \
    "those "                                                                                   \
    "of the last half minute; a segment is synced when it is full, and the journal whenever "  \
    "points are about to leave.\n.El\nA failed write or sync stops the daemon in every mode: " \
    "after a failed sync the data may be gone."

const struct conf_option conf_options[] = {
    {.path = "gateway.id",
     CONF_CODE,
     R(gateway.id),
     CONF_REQUIRED,
     NULL,
     .max = 64,
     .shown = "gateway-1",
     .help = "name of this gateway, unique in the city",
     .man = "Part of the default client id and a tag of the gateway's own measurements.\nOnly "
            ".Li A\\(enZ a\\(enz 0\\(en9 . _ - ,\nat most 64; not with\n.Li -ls\nat its end, "
            "which "
            "the life-safety process adds to it.",
     .zh = "网关编号，全市唯一"},
    {.path = "gateway.timezone",
     CONF_ZONE,
     R(gateway.timezone),
     0,
     "Asia/Shanghai",
     .max = 64,
     .help = "IANA time zone for what people read",
     .zh = "时区"},
    {.path = "gateway.language",
     CONF_WORD,
     R(gateway.language),
     0,
     "zh",
     .words = languages,
     .help = "zh or en: language of what operators read",
     .zh = "界面语言"},
    {.path = "gateway.data_dir",
     CONF_PATH,
     R(gateway.data_dir),
     0,
     "/var/lib/gaihou",
     .max = 1024,
     .help = "folder of journal, outbound logs and store",
     .man = "The daemon must own it.\nWith\n.Cm lane : life-safety\nthe folder's name gets the "
            "suffix\n.Li -ls .",
     .zh = "数据目录"},
    {.path = "gateway.lane",
     CONF_ENUM,
     R(gateway.lane),
     0,
     "all",
     .words = lanes,
     .help = "all, routine or life-safety",
     .man =
         "Which devices this process serves.\n.Cm all\nis right unless life-safety devices "
         "(smoke, gas, lifts, calls for help) get a process of their own: then one file says\n"
         ".Cm routine\nand another\n.Cm life-safety .\nThe life-safety process adds\n.Li -ls\n"
         "to its client ids, data folder and socket, so that both files may otherwise be the "
         "same; sources with QoS 0 are refused in it.",
     .zh = "通道：全部、常规或生命安全"},

    {.path = "brokers.id",
     CONF_CODE,
     B(id),
     CONF_REQUIRED,
     NULL,
     .max = 64,
     .shown = "main",
     .help = "name by which sources refer to it",
     .zh = "名称，供 sources 引用"},
    {.path = "brokers.url",
     CONF_MQTT_URLS,
     B(url),
     CONF_REQUIRED,
     NULL,
     .max = 8,
     .shown = "mqtt://127.0.0.1:1883",
     .help = "mqtt:// or mqtts:// (TLS); a list fails over in order",
     .man = "Host and port; without a port 1883, with TLS 8883.\nUser name and password do not "
            "belong here.",
     .zh = "地址；可写列表，依次切换"},
    {.path = "brokers.client_id",
     CONF_STRING,
     B(client_id),
     0,
     NULL,
     .max = 128,
     .shown = "#gaihou-gateway-1",
     .help = "MQTT client id; default: gaihou- and the gateway's id",
     .man =
         "The broker keeps the session and its queue under this name: a change loses what is "
         "queued.\nNo other client may use it.",
     .zh = "客户端标识，默认 gaihou-网关编号"},
    {.path = "brokers.username",
     CONF_STRING,
     B(username),
     0,
     NULL,
     .max = 256,
     .shown = "#gaihou",
     .help = "user name at the broker",
     .zh = "用户名"},
    {.path = "brokers.password_file",
     CONF_SECRET,
     B(password_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#/etc/gaihou/secrets/main",
     .help = "file that holds the password, or a systemd credential's name",
     .man =
         "A name without a slash is looked up in\n.Ev CREDENTIALS_DIRECTORY\n.Pq systemd's "
         "Li LoadCredential= ;\nwrite\n.Pa ./name\nfor a file beside the configuration.\nOne "
         "newline at the end is dropped.",
     .zh = "密码文件，或 systemd 凭据名"},
    {.path = "brokers.tls.ca_file",
     CONF_PATH,
     B(tls.ca_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#ca.pem",
     .help = "certificate authorities (PEM); default: those of the system",
     .zh = "CA 证书"},
    {.path = "brokers.tls.cert_file",
     CONF_PATH,
     B(tls.cert_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#me.pem",
     .help = "our own certificate (PEM), with key_file",
     .zh = "客户端证书"},
    {.path = "brokers.tls.key_file",
     CONF_PATH,
     B(tls.key_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#me.key",
     .help = "its private key (PEM)",
     .zh = "客户端私钥"},
    {.path = "brokers.tls.key_password_file",
     CONF_SECRET,
     B(tls.key_password_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#key-password",
     .help = "file that holds the key's password, or a credential's name",
     .man = "As\n.Cm password_file .",
     .zh = "私钥密码文件"},
    {.path = "brokers.session_expiry",
     CONF_SECONDS,
     B(session_expiry_s),
     0,
     "7d",
     .min = 1,
     .max = 49710ull * DAY,
     .help = "how long the broker keeps our session and its queue",
     .man = "What comes while the gateway is away longer than this is lost at the broker.",
     .zh = "断线后服务器保留会话的时长"},
    {.path = "brokers.keepalive",
     CONF_SECONDS,
     B(keepalive_s),
     0,
     "30s",
     .min = 5,
     .max = 65535,
     .help = "ping interval when nothing else is sent",
     .zh = "心跳间隔"},
    {.path = "brokers.receive_maximum",
     CONF_INT,
     B(receive_maximum),
     0,
     "100",
     .min = 1,
     .max = 65535,
     .help = "messages in flight, and most that can come twice after a crash",
     .man =
         "QoS 1 messages that the broker may send before it has our acknowledgement "
         "(MQTT 5).\nIt bounds how many come twice after a lost connection, and how far back "
         "duplicates are looked for.\n100 allows 5,000 messages a second at 20 ms of round "
         "trip; raise it for fast feeds over slow lines.\nThe broker's own limit counts as "
         "well "
         "(mosquitto: max_inflight_messages, 20).",
     .zh = "未确认消息数上限"},
    {.path = "brokers.max_packet_bytes",
     CONF_SIZE,
     B(max_packet_bytes),
     0,
     "1MiB",
     .min = KIB,
     .max = 255 * MIB,
     .help = "the broker drops larger messages (MQTT 5)",
     .man = "At most a quarter of\n.Cm journal.segment_bytes .",
     .zh = "单条消息大小上限"},
    {.path = "brokers.share_group",
     CONF_CODE,
     B(share_group),
     0,
     NULL,
     .max = 64,
     .shown = "#gateways",
     .help = "subscribe as $share/GROUP/...: several gateways share the feed",
     .man =
         "Only for feeds of which each message can go to any gateway.\nA device's messages "
         "then spread over gateways, so duplicates and corrections of device clocks are judged "
         "by each for itself: prefer to partition by topic filter.\nRefused where rules are "
         "loaded: an alarm's state must stay with its device.",
     .zh = "共享订阅组"},

    {.path = "sources.profile",
     CONF_CODE,
     S(profile),
     CONF_REQUIRED | CONF_LIVE,
     NULL,
     .max = 64,
     .shown = "gaihou-json",
     .help = "how messages are read: gaihou-json, or a vendor's profile",
     .man =
         "The name of a profile in the files of\n.Cm profiles ,\nor\n.Cm gaihou-json ,\nwhich "
         "is built in: one JSON object of metric names to values on\n"
         ".Li gaihou/v1/up/{compound}/{device} .\nSeveral sources may share a broker, and a "
         "topic: their profiles are asked in the order of this list, until one knows the "
         "message.\nSee\n.Xr gaihou-profiles 5 .",
     .zh = "报文格式"},
    {.path = "sources.broker",
     CONF_CODE,
     S(broker),
     CONF_REQUIRED | CONF_LIVE,
     NULL,
     .max = 64,
     .shown = "main",
     .help = "id of a broker above",
     .zh = "所用服务器的名称"},
    {.path = "sources.qos",
     CONF_INT,
     S(qos),
     CONF_LIVE,
     "1",
     .min = 0,
     .max = 1,
     .help = "1: nothing acknowledged is lost; 0: no such promise",
     .man =
         "With 0 nobody notices a message that is lost before the journal: such sources are "
         "marked\n.Li unproven .\n2 is refused: duplicates are recognised here anyway, so 1 is "
         "exactly as safe and costs half.",
     .zh = "服务质量：0 或 1"},
    {.path = "sources.topics",
     CONF_TOPICS,
     S(topics),
     CONF_LIVE,
     NULL,
     .max = 256,
     .shown = "#[\"gaihou/v1/up/{compound}/{device}\"]",
     .help = "topic filters; default: the profile's own",
     .man =
         "MQTT filters with\n.Li +\nand\n.Li # ;\n.Li {name}\nstands for one level and names "
         "what is there.\nThe names that the profile takes device, compound or point from must "
         "be in each of them.\nA filter that several sources of a broker name is subscribed "
         "once, at the highest QoS.",
     .zh = "主题过滤器，默认用格式自带的"},

    {.path = "profiles",
     CONF_GLOBS,
     R(profiles),
     CONF_LIVE | CONF_NULLABLE,
     CONF_DEFAULT_PROFILES,
     .max = 32,
     .help = "files of vendors' profiles and codecs",
     .man = "Names, or patterns of names\n.Pq Li * ? [...]\nin one folder; what begins with a "
            "dot does not fit a pattern.\nAll files are checked, used or not.\nThe default may "
            "find nothing; a name or pattern that is given and finds nothing is an error.\nAt "
            "most 256 files of 1 MiB each.",
     .zh = "厂家报文格式（profile）文件"},
    {.path = "catalog",
     CONF_PATH,
     R(catalog),
     CONF_LIVE,
     "catalog.yaml",
     .max = 1024,
     .help = "facility kinds and their metrics",
     .zh = "设施种类与指标目录"},
    {.path = "registry.compounds",
     CONF_PATH,
     R(registry.compounds),
     CONF_LIVE,
     NULL,
     .max = 1024,
     .shown = "compounds.csv",
     .help = "compounds and where they are",
     .zh = "小区表"},
    {.path = "registry.devices",
     CONF_PATH,
     R(registry.devices),
     CONF_LIVE,
     NULL,
     .max = 1024,
     .shown = "devices.csv",
     .help = "devices; what is not in it goes to quarantine",
     .zh = "设备表；未登记者进入隔离区"},
    {.path = "registry.params",
     CONF_PATH,
     R(registry.params),
     CONF_LIVE,
     NULL,
     .max = 1024,
     .shown = "#params.csv",
     .help = "parameters of single devices",
     .zh = "单个设备的参数"},

    {.path = "rules",
     CONF_GLOBS,
     R(rules),
     CONF_LIVE | CONF_NULLABLE,
     CONF_DEFAULT_RULES,
     .max = 32,
     .help = "files of rules: what is an alarm",
     .man = "As\n.Cm profiles ;\nsee\n.Xr gaihou-rules 5 .\nWithout rules there are no "
            "alarms.",
     .zh = "报警规则文件"},
    {.path = "alerts.broker",
     CONF_CODE,
     R(alerts.broker),
     0,
     NULL,
     .max = 64,
     .shown = "main",
     .help = "id of the broker to which alarms are told; without: no one is",
     .man = "Alarms are evaluated and kept without it, too, and are written to the databases.",
     .zh = "发布报警的服务器"},
    {.path = "alerts.prefix",
     CONF_STRING,
     R(alerts.prefix),
     0,
     "gaihou/v1",
     .max = 128,
     .help = "topics of alarms and commands are below it",
     .man = "Without a slash at its ends, without wildcards.\nThe access lists of the broker "
            "name it, too.",
     .zh = "报警与命令的主题前缀"},

    {.path = "sinks.id",
     CONF_CODE,
     K(id),
     CONF_REQUIRED,
     NULL,
     .max = 64,
     .shown = "influx",
     .help = "name of this database, and of its log's folder",
     .man = "A changed id is another sink: its log begins empty, the old one's stays behind.",
     .zh = "名称"},
    {.path = "sinks.type",
     CONF_ENUM,
     K(type),
     CONF_REQUIRED,
     NULL,
     .words = sink_types,
     .shown = "influxdb1",
     .help = "influxdb1, influxdb2, influxdb3 or victoriametrics",
     .man =
         ".Bl -tag -width victoriametrics -compact\n.It Cm influxdb1\nneeds\n.Cm database ;\n"
         "may have\n.Cm retention_policy , username , password_file\n.It Cm influxdb2\nneeds\n"
         ".Cm org , bucket , token_file\n.It Cm influxdb3\nneeds\n.Cm database ;\nmay have\n"
         ".Cm token_file\n.It Cm victoriametrics\nneeds nothing; may have\n.Cm username , "
         "password_file ,\nor\n.Cm token_file\n.El\nBetween\n"
         ".Cm victoriametrics\nand the others it changes only while no line waits: they are "
         "written for one or the other.",
     .zh = "数据库类型"},
    {.path = "sinks.url",
     CONF_HTTP_URL,
     K(url),
     CONF_REQUIRED,
     NULL,
     .max = 512,
     .shown = "http://127.0.0.1:8086",
     .help = "http:// or https://, without /write",
     .zh = "地址"},
    {.path = "sinks.database",
     CONF_STRING,
     K(database),
     0,
     NULL,
     .max = 256,
     .shown = "gaihou",
     .help = "influxdb1, influxdb3: the database",
     .zh = "数据库名"},
    {.path = "sinks.retention_policy",
     CONF_STRING,
     K(retention_policy),
     0,
     NULL,
     .max = 256,
     .shown = "#autogen",
     .help = "influxdb1: default: the database's own",
     .zh = "保留策略"},
    {.path = "sinks.org",
     CONF_STRING,
     K(org),
     0,
     NULL,
     .max = 256,
     .shown = "#city",
     .help = "influxdb2: the organisation",
     .zh = "组织"},
    {.path = "sinks.bucket",
     CONF_STRING,
     K(bucket),
     0,
     NULL,
     .max = 256,
     .shown = "#gaihou",
     .help = "influxdb2: the bucket",
     .zh = "存储桶"},
    {.path = "sinks.username",
     CONF_STRING,
     K(username),
     0,
     NULL,
     .max = 256,
     .shown = "#gaihou",
     .help = "influxdb1, victoriametrics: user name",
     .zh = "用户名"},
    {.path = "sinks.password_file",
     CONF_SECRET,
     K(password_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#/etc/gaihou/secrets/influx",
     .help = "file that holds the password, or a systemd credential's name",
     .man = "As that of brokers.",
     .zh = "密码文件"},
    {.path = "sinks.token_file",
     CONF_SECRET,
     K(token_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#/etc/gaihou/secrets/influx-token",
     .help = "file that holds the token, or a systemd credential's name",
     .man = "As\n.Cm password_file .",
     .zh = "令牌文件"},
    {.path = "sinks.ca_file",
     CONF_PATH,
     K(ca_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#ca.pem",
     .help = "https://: certificate authorities; default: the system's",
     .zh = "CA 证书"},
    {.path = "sinks.batch.lines",
     CONF_INT,
     K(batch.lines),
     0,
     "5000",
     .min = 1,
     .max = 100000,
     .help = "lines of a block",
     .zh = "行数"},
    {.path = "sinks.batch.bytes",
     CONF_SIZE,
     K(batch.bytes),
     0,
     "1MiB",
     .min = 4 * KIB,
     .max = 8 * MIB,
     .help = "its size before compression",
     .zh = "压缩前大小"},
    {.path = "sinks.batch.age",
     CONF_NANOS,
     K(batch.age_ns),
     0,
     "1s",
     .min = 10 * MS,
     .max = 300 * SECOND,
     .help = "longest wait of a line",
     .zh = "最长等待"},
    {.path = "sinks.gzip",
     CONF_BOOL,
     K(gzip),
     0,
     "true",
     .help = "compress blocks, once",
     .zh = "压缩"},
    {.path = "sinks.in_flight",
     CONF_INT,
     K(in_flight),
     0,
     "2",
     .min = 1,
     .max = 16,
     .help = "requests at the same time",
     .zh = "并发请求数"},
    {.path = "sinks.timeout",
     CONF_NANOS,
     K(timeout_ns),
     0,
     "10s",
     .min = 100 * MS,
     .max = 600 * SECOND,
     .help = "for one request, then it is sent again",
     .zh = "请求超时"},
    {.path = "sinks.max_bytes",
     CONF_SIZE,
     K(max_bytes),
     0,
     "8GiB",
     .min = 16 * MIB,
     .max = 64 * 1024 * GIB,
     .help = "quota of its outbound log",
     .man =
         "Blocks wait there while the database is away.\nAt least 8 times\n.Cm batch.bytes .",
     .zh = "待发日志的配额"},
    {.path = "sinks.on_full",
     CONF_ENUM,
     K(on_full),
     0,
     "shed",
     .words = on_fulls,
     .help = "at the quota: shed the oldest routine points, or pause",
     .man =
         ".Cm shed\ndrops whole blocks of routine points, oldest first, counted and told.\n"
         ".Cm pause\nleaves the brokers until there is room: for all sinks, and the brokers' "
         "queues must hold what comes meanwhile.\nWhere rules are loaded it is refused "
         "without\n.Cm alarms_may_stop .",
     .zh = "写满时：丢弃最旧的常规数据，或暂停接收"},
    {.path = "sinks.alarms_may_stop",
     CONF_BOOL,
     K(alarms_may_stop),
     0,
     "false",
     .help = "on_full: pause also where rules are loaded",
     .man = "A gateway that has left its brokers raises no alarm, of smoke and gas neither: "
            "this says that it is known.",
     .zh = "允许因写满而停止报警"},

    {.path = "journal.max_bytes",
     CONF_SIZE,
     R(journal.max_bytes),
     0,
     "4GiB",
     .min = 4 * MIB,
     .max = 64 * 1024 * GIB,
     .help = "quota; near it the gateway leaves the brokers",
     .man = "At least 4 times\n.Cm segment_bytes .",
     .zh = "日志配额"},
    {.path = "journal.segment_bytes",
     CONF_SIZE,
     R(journal.segment_bytes),
     0,
     "64MiB",
     .min = MIB,
     .max = GIB,
     .help = "size of one file, a multiple of 4096",
     .zh = "单个文件大小"},
    {.path = "journal.sync",
     CONF_ENUM,
     R(journal.sync),
     0,
     "interval",
     .words = syncs,
     .help = "always, interval or never: what a power cut may take",
     .man = SYNC_MAN,
     .zh = "刷盘方式，决定断电时可能丢失什么"},
    {.path = "journal.sync_interval",
     CONF_NANOS,
     R(journal.sync_interval_ns),
     0,
     "200ms",
     .min = 10 * MS,
     .max = 60 * SECOND,
     .help = "with sync: interval",
     .zh = "刷盘间隔"},
    {.path = "journal.archive.keep",
     CONF_SECONDS,
     R(journal.archive.keep_s),
     0,
     "30d",
     .min = 3600,
     .max = 36500ull * DAY,
     .help = "age at which archived segments go",
     .zh = "存档保留时长"},
    {.path = "journal.archive.max_bytes",
     CONF_SIZE,
     R(journal.archive.max_bytes),
     0,
     "0",
     .min = 0,
     .max = 64 * 1024 * GIB,
     .help = "its quota, e.g. 16GiB; 0: no archive",
     .zh = "存档配额，0 为不存档"},

    {.path = "http.listen",
     CONF_LISTEN,
     R(http.listen),
     CONF_NULLABLE,
     "127.0.0.1:9690",
     .max = 64,
     .help = "ADDRESS:PORT, or null: no TCP",
     .man = "Other than loopback addresses need\n.Cm token_file .\nReading needs no token, "
            "writing does.",
     .zh = "监听地址"},
    {.path = "http.socket",
     CONF_PATH,
     R(http.socket),
     CONF_NULLABLE,
     "/run/gaihou/gaihou.sock",
     .max = 104,
     .help = "Unix socket for gaihouctl, or null",
     .man = "With\n.Cm lane : life-safety\nthe name gets the suffix\n.Li -ls .",
     .zh = "本机套接字"},
    {.path = "http.token_file",
     CONF_SECRET,
     R(http.token_file),
     0,
     NULL,
     .max = 1024,
     .shown = "#/etc/gaihou/secrets/http",
     .help = "bearer token for changes over TCP, or a credential's name",
     .man = "Without it changes are possible over the socket only.",
     .zh = "令牌文件"},
    {.path = "log.level",
     CONF_ENUM,
     R(log.level),
     CONF_LIVE,
     "info",
     .min = 3,
     .words = levels,
     .help = "error, warn, notice, info or debug",
     .zh = "日志级别"},
    {.path = "store.dead_bytes",
     CONF_SIZE,
     R(store.dead_bytes),
     0,
     "256MiB",
     .min = MIB,
     .max = 64 * GIB,
     .help = "dead letters; what does not fit is counted",
     .zh = "死信上限"},
    {.path = "store.quarantine_devices",
     CONF_INT,
     R(store.quarantine_devices),
     0,
     "10000",
     .min = 1,
     .max = 1000000,
     .help = "unknown devices remembered",
     .zh = "隔离区设备数上限"},
    {.path = "store.keep",
     CONF_SECONDS,
     R(store.keep_s),
     0,
     "400d",
     .min = 3600,
     .max = 36500ull * DAY,
     .help = "history of alarms that are over",
     .man =
         "Counted back from the newest transition; open cases and what is not told yet stay.",
     .zh = "告警历史保留时间"},
};
const size_t conf_options_n = sizeof(conf_options) / sizeof(conf_options[0]);

const struct conf_option *conf_option_find(const char *path, size_t len)
{
    for (size_t i = 0; i < conf_options_n; i++) {
        const char *p = conf_options[i].path;
        if (strlen(p) == len && memcmp(p, path, len) == 0)
            return &conf_options[i];
    }
    return NULL;
}

const struct conf_section *conf_section_find(const char *path, size_t len)
{
    for (size_t i = 0; i < conf_sections_n; i++) {
        const char *p = conf_sections[i].path;
        if (strlen(p) == len && memcmp(p, path, len) == 0)
            return &conf_sections[i];
    }
    return NULL;
}

const char *conf_leaf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

const char *conf_sink_type_name(int type)
{
    return sink_types[type];
}

const char *conf_lane_name(int lane)
{
    return lanes[lane];
}

const char *conf_sync_name(int sync)
{
    return syncs[sync];
}
