#!/usr/bin/env python3
"""The engine worker against engines that lie, cut, drip and stay silent."""
import json
import time

from wharf_test import *
from engine_drive import *
from fake_engine import FakeEngine, answer, chunk, ID

PING_OK = b"HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK"


def cpu(pid):
    """Seconds of processor time."""
    with open("/proc/%d/stat" % pid) as f:
        s = f.read().rsplit(")", 1)[1].split()
    return (int(s[11]) + int(s[12])) / os.sysconf("SC_CLK_TCK")


def inspect(d, timeout=40):
    return d.ask("ENG_INSPECT", op=CONTAINER, name="drive", timeout=timeout)


def fake(name, **kw):
    return FakeEngine(scratch("fake") + "/" + name, **kw)


def versions():
    e = fake("v29", api="1.55")
    with Drive(e.host) as d:
        equal(d.up()["api"], "1.51", "a newer engine: our newest is spoken")
    equal([r[2] for r in e.asked("GET", "version")], ["/v1.51/version"],
          "its version is asked for once")
    e.close()
    e = fake("v20", api="1.41")
    with Drive(e.host) as d:
        equal(d.up()["api"], "1.41", "an older engine: its newest")
    e.close()
    e = fake("min")
    e.routes["GET /version"] = answer(
        {"message": "client version 1.24 is too old. Minimum supported API "
         "version is 1.40"}, "400 Bad Request")
    with Drive(e.host, more=["api=1.24"]) as d:
        s = d.down(error="too old")
        ok("1.24" in s["error"], "a pinned version is used as it is", s)
    ok(e.asked("GET", "/v1.24/version"), "and not another one")
    e.close()
    e = fake("none", api="2.0\r\nX: 1.41")
    with Drive(e.host) as d:
        ok(d.down(error="no Docker Engine"), "a version that is none")
    e.close()


def lengths():
    e = fake("lengths")
    path = "GET /containers/drive/json"
    with Drive(e.host) as d:
        d.up()
        equal((inspect(d).status, inspect(d).status), (404, 404), "two calls")
        a, b = e.asked("GET", "containers/drive")
        equal(a[0], b[0], "go over one connection")
        for what, head in (
                ("two lengths", b"Content-Length: 2\r\nContent-Length: 2\r\n"),
                ("two equal lengths, cases mixed",
                 b"Content-Length: 2\r\ncontent-length:2\r\n"),
                ("length and chunks",
                 b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")):
            body = chunk(b"{}") + b"0\r\n\r\n" if b"chunked" in head else b"{}"
            e.routes[path] = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body
            n = len(e.asked("GET", "containers/drive"))
            inspect(d)
            inspect(d)
            a, b = e.asked("GET", "containers/drive")[n:]
            ok(a[0] != b[0], "%s: the connection is not used again" % what)
    e.close()


def broken():
    e = fake("broken")
    path = "GET /containers/drive/json"
    ok200 = b"HTTP/1.1 200 OK\r\n"
    with Drive(e.host) as d:
        d.up()
        for what, raw, codes in (
                ("garbage", b"\x00\xff nonsense\r\n\r\n", ["engine away"]),
                ("HTTP/0.9", b"<html>", ["engine away"]),
                ("short body", ok200 + b"Content-Length: 9\r\n\r\n{}",
                 ["engine away"]),
                ("cut chunk", ok200 + b"Transfer-Encoding: chunked\r\n\r\n"
                 b"ff\r\n{}", ["engine away"]),
                ("bad chunk", ok200 + b"Transfer-Encoding: chunked\r\n\r\n"
                 b"zz\r\n{}\r\n0\r\n\r\n", ["engine away"]),
                ("negative length", ok200 + b"Content-Length: -1\r\n\r\n{}",
                 ["engine away"]),
                ("header flood", ok200 + b"X: y\r\n" * 40000,
                 ["engine away"]),
                ("100-continue flood", b"HTTP/1.1 100 Continue\r\n\r\n" * 9000,
                 ["engine away"]),
                ("9 MiB of JSON", ok200 + b"\r\n" + b" " * (9 << 20),
                 ["input/output error"])):
            def bad(c, body, raw=raw):
                c.sendall(raw)
                return None
            e.routes[path] = bad
            a = inspect(d)
            ok(a.code in codes, "%s is an error" % what, a)
        e.routes[path] = answer(b"", "302 Found", ["Location: file:///etc/x"])
        a = inspect(d)
        equal(a.status, 302, "a redirect is an answer, and not followed")
        del e.routes[path]
        equal(inspect(d).status, 404, "the next call works")
        equal(len([s for s in d.states() if s["up"] == 0]), 1,
              "and the engine was never taken for gone")
    e.close()


def retries():
    e = fake("retries")
    restart = "POST /containers/%s/restart" % ID
    with Drive(e.host) as d:
        d.up()
        e.routes[restart] = lambda c, body: None
        a = d.ask("ENG_CONTAINER", op=RESTART, id=ID)
        equal(a.code, "engine away", "a restart without an answer fails")
        equal(len(e.asked("POST", "/restart")), 1, "and is sent only once")
        e.routes["GET /containers/%s/json" % ID] = answer(
            {"Config": {"Labels": {}}})
    with Drive(e.host) as d:
        d.up()
        a = d.ask("ENG_CONTAINER", op=RESTART, id=ID)
        equal(a.code, "refused", "no labels: not ours")
        equal(len(e.asked("POST", "/restart")), 1, "and nothing is sent")
    e.close()


def streams():
    e = fake("streams")
    dir = scratch("tars")
    path = tar(dir + "/c.tar", {"Dockerfile": b"FROM x\n"})
    line = b'{"errorDetail":{"message":"no"},"error":"no"}\n'
    got = []

    def build(c, body):
        got.append(body)
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(len(line)):
            c.sendall(chunk(line[i:i + 1]))
        return b"0\r\n\r\n"
    e.routes["POST /build"] = build
    e.routes["POST /containers/%s/exec" % ID] = answer(
        {"Id": "e" * 64}, "201 Created")
    start = "POST /exec/%s/start" % ("e" * 64)
    inspected = "GET /exec/%s/json" % ("e" * 64)
    e.routes[inspected] = answer({"Running": False, "ExitCode": 7})
    with Drive(e.host) as d:
        d.up()
        a = d.ask("ENG_BUILD", body=path)
        equal((a.status, a.bytes()), (200, line),
              "a build's lines pass as they are")
        with open(path, "rb") as f:
            equal(got, [f.read()], "and its context arrived whole")
        a = d.ask("ENG_BUILD", body=path, end=20000)
        equal(a.code, "invalid request", "a cut context")
        wait_for(lambda: len(got) == 2, 5, "the connection to end")
        ok(got[1].endswith(b"<cut>"), "never ends like a whole one")

        def output(raw):
            def f(c, body):
                c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for i in range(len(raw)):
                    c.sendall(raw[i:i + 1])
                return None
            return f
        e.routes[start] = output(b"\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\1x")
        a = d.ask("ENG_EXEC", id=ID, arg=["a"])
        equal((a.exit, a.bytes(1), a.bytes(2)), (7, b"x", b"err"),
              "frames split at every byte")
        e.routes[start] = output(b"\x01\0\0\0\xff\xff\xff\xffyyy")
        a = d.ask("ENG_EXEC", id=ID, arg=["a"])
        equal(a.bytes(1), b"yyy", "a frame of 4 GiB that ends early")
        e.routes[start] = output(b"no frames at all")
        equal(d.ask("ENG_EXEC", id=ID, arg=["a"]).code, "engine away",
              "output without frames")
        e.routes[start] = output(b"\x01\0\0\0\0\0\0\x0dOCI runtime: " +
                                 b"\x01\0\0\0\0\0\0\x04no\r\n")
        e.routes[inspected] = answer({"Running": False, "ExitCode": 127})
        a = d.ask("ENG_EXEC", id=ID, arg=["a"])
        equal((a.exit, a.error), (127, "OCI runtime: no"),
              "what could not be started says why")
        e.routes[inspected] = answer({"Running": True, "ExitCode": None})
        equal(d.ask("ENG_EXEC", id=ID, arg=["a"]).code, "timeout",
              "an exec that never ends")
    e.close()


def slow_asker():
    e = fake("slow")
    block = b"\x01\0\0\0\0\0\xff\xf8" + b"y" * 0xfff8
    total = 1024

    def output(c, body):
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for i in range(total):
            c.sendall(block)
        return None
    e.routes["POST /containers/%s/exec" % ID] = answer(
        {"Id": "e" * 64}, "201 Created")
    e.routes["POST /exec/%s/start" % ("e" * 64)] = output
    e.routes["GET /exec/%s/json" % ("e" * 64)] = answer(
        {"Running": False, "ExitCode": 0})
    with Drive(e.host) as d:
        d.up()
        d.ask("ENG_EXEC", id=ID, arg=["a"])
        before = d.rss()
        d.line("hold")
        t = d.send("ENG_EXEC", id=ID, arg=["a"])
        time.sleep(1)
        used, busy = d.rss() - before, cpu(d.worker())
        time.sleep(1)
        busy = cpu(d.worker()) - busy
        # ASan keeps what was freed
        ok(used < 4096 or "san" in BUILD, "64 MiB of output wait at the "
           "engine while the asker does not read (%d KiB)" % used)
        ok(busy < 0.1, "without a busy loop (%.2f s)" % busy)
        d.line("go")
        a = d.wait(t)
        equal((a.exit, len(a.bytes(1))), (0, total * 0xfff8),
              "and all come when it does")
    e.close()


def event(n, action, id=ID, labels=None, **attrs):
    """API 1.52 and later: no status, no id, no from."""
    return json.dumps({"Type": "container", "Action": action, "Actor": {
        "ID": id, "Attributes": dict(
            {"wharf.service": "svc", "wharf.dir": "/srv/svc",
             "wharf.role": "app", "name": "drive"}, **dict(labels or {},
                                                          **attrs))},
        "scope": "local", "time": 1800000000, "timeNano": n}).encode()


def events():
    e = fake("events")
    base = 1800000000 * 10**9
    with Drive(e.host) as d:
        d.up()
        raw = b"\x1e" + event(base + 1, "start") + b"\n\x1e" + \
            event(base + 2, "die", exitCode="3") + event(
                base + 3, "exec_create: sh -c secret") + event(
                base + 4, "start", labels={"wharf.role": "image"}) + event(
                base + 5, "start", labels={"wharf.dir": "/else"}) + event(
                base + 6, "attach") + event(base + 7, "start", id="x") + \
            event(base + 8, "health_status: healthy") + b"\n"
        for i in range(0, len(raw), 7):
            e.stream.sendall(chunk(raw[i:i + 7]))
        d.until(lambda: d.events("health_status: healthy"), 10, "last event")
        equal([(x["action"], x["time_ns"] - base, x.get("exit_code"))
               for x in d.events()],
              [("start", 1, None), ("die", 2, 3), ("exec_create", 3, None),
               ("health_status: healthy", 8, None)],
              "events of our containers, in any chunks and shape")
        time.sleep(1.1)     # it has been up long enough not to be paced
        e.cut()
        d.up(epoch=2)
        since = e.asked("GET", "/events")[-1][2]
        ok("since=1800000000.000000008&" in since, "resumed at the last one",
           since)
        e.stream.sendall(chunk(event(base + 8, "health_status: healthy")))
        e.stream.sendall(chunk(event(base + 8, "stop")))
        d.until(lambda: d.events("stop"), 10, "new event")
        equal(len(d.events("health_status: healthy")), 1,
              "what was seen does not come again")
        n = len(e.asked("GET", "/events"))
        e.stream.sendall(chunk(b"nonsense"))
        d.up(epoch=3)
        ok(len(e.asked("GET", "/events")) > n, "nonsense: opened again")
        d.line("type=PEER")
        d.until(lambda: len(d.states()) > 0 and d.states()[-1] ==
                d.states()[-2], 5, "a new peer is told the state")
    e.close()
    e = fake("flap")
    e.routes["GET /events"] = answer(b"")
    with Drive(e.host) as d:
        time.sleep(3)
        n = len(e.asked("GET", "/events"))
        ok(2 <= n < 12, "a stream that ends at once is paced (%d)" % n)
    e.close()


def silent():
    for what, kw in (("silent", dict()), ("with a full backlog",
                                         dict(accept=False, backlog=0))):
        e = fake("silent", **kw)
        if not kw:
            e.routes["GET /_ping"] = lambda c, body: time.sleep(100)
        else:
            filler = []
            for i in range(4):
                s = socket.socket(socket.AF_UNIX)
                s.setblocking(False)
                s.connect_ex(e.path)
                filler.append(s)
        with Drive(e.host) as d:
            d.until(lambda: [s for s in d.states() if s.get("error")], 10,
                    "noticed")
            ok(True, "an engine that is %s is down" % what)
            t = d.send("ENG_LIST")
            before = cpu(d.worker())
            time.sleep(3)
            used = cpu(d.worker()) - before
            ok(used < 0.1, "without a busy loop (%.2f s)" % used)
            ok(d.last(t) is None, "requests wait")
            tags = [d.send("ENG_LIST") for i in range(300)]
            d.until(lambda: d.last(tags[-1]), 10, "an answer")
            equal(d.last(tags[-1]).code, "busy", "but not without end")
        e.close()
    e = fake("late")
    with Drive(e.host) as d:
        d.up()
        e.routes["GET /containers/drive/json"] = lambda c, b: time.sleep(100)
        t = d.send("ENG_INSPECT", op=CONTAINER, name="drive")
        time.sleep(0.2)
        e.close()
        os.unlink(e.path)
        equal(d.wait(t, 5).code, "engine away", "a break ends what runs")
        d.down(error="No such file")
        e = FakeEngine(e.path)
        d.up(epoch=2)
        ok(True, "and the engine is found again")
    e.close()


def main():
    versions()
    lengths()
    broken()
    retries()
    streams()
    slow_asker()
    events()
    silent()


run(main)
