"""An engine that answers as a real one never will."""
import json
import os
import socket
import threading

ID = "c0" * 32
LABELS = {"wharf.service": "svc", "wharf.dir": "/srv/svc",
          "wharf.role": "app"}


def answer(body, status="200 OK", headers=()):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = ["HTTP/1.1 " + status, "Content-Length: %d" % len(body)]
    return "\r\n".join(lines + list(headers)).encode() + b"\r\n\r\n" + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class FakeEngine:
    """`routes` maps "METHOD path-suffix" (no version, no query) to bytes to
    send, or to a function(connection, request) that returns what follows:
    None closes the connection."""

    def __init__(self, path, api="1.55", backlog=64, accept=True):
        self.path = path
        self.host = "unix://" + path
        self.api = api
        self.routes = {}
        self.requests = []      # (connection number, method, target)
        self.connections = 0
        self.open = []
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        self.socket.bind(path)
        self.socket.listen(backlog)
        if accept:
            threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                n = self.connections
                self.open.append(c)
            threading.Thread(target=self.serve, args=(c, n),
                             daemon=True).start()

    def serve(self, c, n):
        f = c.makefile("rb")
        try:
            while self.one(c, f, n):
                pass
        except (OSError, ValueError):
            pass
        # makefile holds the socket: without shutdown no end is seen
        try:
            c.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        c.close()

    def one(self, c, f, n):
        line = f.readline().decode()
        if not line:
            return False
        method, target, _ = line.split(" ", 2)
        headers = {}
        while True:
            h = f.readline().decode().strip()
            if not h:
                break
            k, v = h.split(":", 1)
            headers[k.lower()] = v.strip()
        body = self.body(f, headers)
        with self.lock:
            self.requests.append((n, method, target))
        path = target.split("?")[0]
        if path.startswith("/v1."):
            path = path[path.index("/", 1):]
        reply = self.routes.get(method + " " + path)
        if reply is None:
            reply = self.default(method, path)
        if callable(reply):
            reply = reply(c, body)
        if reply is None:
            return False
        c.sendall(reply)
        return True

    def body(self, f, headers):
        if "content-length" in headers:
            return f.read(int(headers["content-length"]))
        out = b""
        while headers.get("transfer-encoding") == "chunked":
            line = f.readline()
            if not line:
                return out + b"<cut>"
            n = int(line, 16)
            out += f.read(n)
            f.readline()
            if n == 0:
                return out
        return out

    def default(self, method, path):
        if path == "/_ping":
            return answer(b"OK", headers=["Api-Version: " + self.api])
        if path == "/version":
            return answer({"Version": "fake"})
        if path == "/events":
            return self.events
        if path == "/containers/%s/json" % ID:
            return answer({"Id": ID, "Config": {"Labels": LABELS}})
        return answer({"message": "page not found"}, "404 Not Found")

    def events(self, c, body):
        """Keeps a stream open; send_event writes to it."""
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.stream = c
        threading.Event().wait()

    def asked(self, method, part):
        with self.lock:
            return [r for r in self.requests
                    if r[1] == method and part in r[2]]

    def cut(self):
        """Closes every connection."""
        with self.lock:
            for c in self.open:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.open = []

    def close(self):
        self.socket.close()
        self.cut()
