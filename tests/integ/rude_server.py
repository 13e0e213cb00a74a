"""An HTTP server that answers as it is told: databases at their worst.

`answer` is asked for each POST: answer(request) -> (status, body, headers), or HANG, CLOSE,
GARBAGE. What came is kept in `requests`, raw and unpacked.
"""
import collections
import gzip
import http.server
import socket
import threading

HANG, CLOSE, GARBAGE = "hang", "close", "garbage"
OK = (204, b"", {})

Request = collections.namedtuple("Request", "path headers raw lines at")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._say(200 if self.path.startswith("/ping") else 404, b"", {})

    def do_POST(self):
        rude = self.server.rude
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        with rude.lock:
            r = Request(self.path, dict(self.headers), raw, body.decode().splitlines(),
                        rude.clock())
            rude.requests.append(r)
        what = rude.answer(r) # may take its time
        if what == HANG:
            rude.released.wait(60)
            self.close_connection = True
        elif what == CLOSE:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif what == GARBAGE:
            self.wfile.write(b"\x00\x01 what is this\r\n\r\n")
            self.close_connection = True
        else:
            self._say(*what)

    def _say(self, status, body, headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


class RudeServer:
    def __init__(self, clock):
        self.clock = clock
        self.requests = []
        self.answer = lambda r: OK
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.daemon_threads = True
        self.http.rude = self
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def script(self, *answers):
        """These answers in order, then OK."""
        left = list(answers)
        self.answer = lambda r: left.pop(0) if left else OK

    def accepted(self):
        """Lines that the last answers took; a test that refuses lines counts for itself."""
        return {line for r in self.requests for line in r.lines}

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()
