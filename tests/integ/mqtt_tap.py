"""A relay between gaihoud and its broker that notes what each acknowledged to the other, and when.

What a test may demand of a gateway begins at its PUBACK; only the wire knows when that was. The
tap follows the MQTT packets of each connection and calls a message acknowledged when the PUBACK
of its packet id passed. `acked` holds (monotonic time, key of the message), in that order.

What a gateway tells is told when the broker's PUBACK passed, whatever the broker loses later.
`told` holds (monotonic time when it was sent, topic, payload) in the order of the PUBACKs, of
topics that begin with one of `heads`.
"""
import contextlib
import socket
import threading
import time


class Tap:
    def __init__(self, port, to_port, key, heads=()):
        """key(topic, payload) → what to note of a message; None: nothing."""
        self.port, self.to_port, self.key = port, to_port, key
        self.heads = tuple(h.encode() for h in heads)
        self.acked, self.told = [], []
        self.relays = 0 # that have not passed on all they got
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            a, _ = self.listener.accept()
            try:
                b = socket.create_connection(("127.0.0.1", self.to_port), 5)
            except OSError:
                a.close()
                continue
            for s in (a, b):
                s.settimeout(None)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_ids, telling = {}, {}
            version = [5]
            with self.lock:
                self.relays += 2
            for args in ((a, b, self._from_client), (b, a, self._from_broker)):
                threading.Thread(target=self._relay, args=(*args, open_ids, telling, version),
                                 daemon=True).start()

    def _relay(self, source, to, see, *state):
        kept = bytearray()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                at = 0
                while (packet := next_packet(kept, at)) is not None:
                    kind, begin, end = packet
                    see(kind, kept, begin, end, *state)
                    at = end
                del kept[:at]
                to.sendall(data)
        for s in (source, to):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        with self.lock:
            self.relays -= 1

    def _from_client(self, kind, p, at, end, open_ids, telling, version):
        if kind >> 4 == 1: # CONNECT: its protocol level
            version[0] = p[at + 2 + int.from_bytes(p[at:at + 2], "big")]
        elif kind >> 4 == 4: # PUBACK
            key = open_ids.pop(int.from_bytes(p[at:at + 2], "big"), None)
            if key is not None:
                self.acked.append((time.monotonic(), key))
        elif kind >> 4 == 3 and self.heads and kind >> 1 & 3:
            topic, packet_id, payload = message(p, at, end, version[0])
            if topic.startswith(self.heads):
                telling[packet_id] = (time.monotonic(), topic.decode(), payload)

    def _from_broker(self, kind, p, at, end, open_ids, telling, version):
        if kind >> 4 == 3 and kind >> 1 & 3: # PUBLISH, QoS 1
            topic, packet_id, payload = message(p, at, end, version[0])
            open_ids[packet_id] = self.key(topic, payload)
        elif kind >> 4 == 4:
            said = telling.pop(int.from_bytes(p[at:at + 2], "big"), None)
            # MQTT 5 has a reason behind the id: 0x80 and above are refusals
            if said is not None and (end - at < 3 or p[at + 2] < 0x80):
                self.told.append(said)


def message(p, at, end, version):
    """(topic, packet id, payload) of a PUBLISH of QoS 1 or 2."""
    n = int.from_bytes(p[at:at + 2], "big")
    topic, at = bytes(p[at + 2:at + 2 + n]), at + 2 + n
    packet_id, at = int.from_bytes(p[at:at + 2], "big"), at + 2
    if version >= 5:
        length, at = number(p, at)
        at += length
    return topic, packet_id, bytes(p[at:end])


def number(p, at):
    """A variable byte integer and where it ends; (None, at) if it is not whole yet."""
    value = shift = 0
    while at < len(p):
        value |= (p[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if p[at - 1] < 128:
            return value, at
    return None, at


def next_packet(p, at):
    if at >= len(p):
        return None
    length, begin = number(p, at + 1)
    if length is None or begin + length > len(p):
        return None
    return p[at], begin, begin + length
