#!/usr/bin/python3
"""wharfd before an engine that does each of the wrong things at each of the
calls by which it is known: status says so, nothing spins, no worker ends, and
the engine is found when it is well again.  WHARF_MODES of them are tried."""
from fault_test import *
from fake_engine import FakeEngine, answer, chunk

MODES = count("MODES", 6, 1000)
SAID = 30       # s; 5 where the machine is idle, which is printed
OK200 = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n"


def drip(raw, pause=0.3):
    def f(c, body):
        for i in range(len(raw)):
            c.sendall(raw[i:i + 1])
            time.sleep(pause)
        return None
    return f


def endless(head, part):
    def f(c, body):
        c.sendall(head)
        while True:
            c.sendall(part)
            time.sleep(0.0005)
    return f


def say(raw):
    """Sends this and closes."""
    def f(c, body):
        c.sendall(raw)
        return None
    return f


def silent(c, body):
    time.sleep(600)


def deep(n):
    return answer(b"[" * n + b"]" * n)


BROKEN = {
    "silence": silent,
    "nothing": lambda c, body: None,
    "a slow header": drip(OK200 + b"\r\n"),
    "a slow body": drip(OK200 + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000),
    "a short body": say(OK200 + b"Content-Length: 10\r\n\r\n{}"),
    "a header line without end": endless(OK200 + b"X-Y: ", b"y" * 4096),
    "headers without end": endless(OK200, b"X-Y: z\r\n" * 512),
    "chunks without end": endless(
        OK200 + b"Transfer-Encoding: chunked\r\n\r\n", chunk(b" " * 4096)),
    "a bad chunk length": say(
        OK200 + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "a negative length": say(OK200 + b"Content-Length: -1\r\n\r\n{}"),
    "two lengths": say(OK200 + b"Content-Length: 2\r\nContent-Length: 9\r\n"
                       b"\r\n{}"),
    "HTTP/0.9": say(b"<html>hello</html>"),
    "a redirect": answer(b"", "302 Found", ["Location: file:///etc/passwd"]),
    "100 without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "noise": say(bytes(range(256)) * 100),
    "500": answer({"message": "no"}, "500 Internal Server Error"),
}
WRONG = {       # to the list of containers
    "a number for a list": answer(b"7"),
    "an object for a list": answer({"Id": [1, 2]}),
    "a list of wrong things": answer([1, None, [], {"Id": 7, "Names": {}},
                                      {"Id": "x", "State": []}]),
    "JSON that is cut": answer(b'[{"Id":"'),
    "JSON that is deep": deep(100000),
    "JSON that is huge": answer(b"[" + b"1," * 4000000 + b"1]"),
    "rubbish behind JSON": answer(b"[] []"),
}
CALLS = {"GET /_ping": BROKEN, "GET /version": BROKEN, "GET /events": BROKEN,
         "GET /containers/json": dict(BROKEN, **WRONG)}


def all_modes():
    return [(call, name) for call, modes in CALLS.items() for name in modes]


def engine_state(w):
    return w.status()["engines"][0]


def well(w, e):
    e.routes.clear()
    e.routes["GET /containers/json"] = answer([])
    wait_for(lambda: engine_state(w)["state"] == "up", 60, "engine is up")


def is_said(w):
    e = engine_state(w)
    return e["state"] != "up" and e.get("error")


def one(w, e, call, name, what, took):
    """One mode.  A ping must be right; of the other calls some are taken as
    they are, or waited for."""
    title = "%s: %s" % (call, name)
    pids = {n: w.pid(n) for n in WORKERS}
    e.routes[call] = what
    start = time.monotonic()
    e.cut()     # it comes up again only past this mode
    bad_ping = call == "GET /_ping" and name != "two lengths"
    if bad_ping:
        wait_for(lambda: is_said(w), SAID, title + ": status says so")
        took.append((time.monotonic() - start, title))
    before = {n: cpu(p) for n, p in pids.items()}
    time.sleep(2)
    used = max(cpu(p) - before[n] for n, p in pids.items()) / 2
    rc, _, _ = w.ctl("status", timeout=30)
    stays = not bad_ping or is_said(w)  # not up by a bad answer
    well(w, e)
    now = {n: w.pid(n) for n in WORKERS}
    ok(rc == 0 and stays and used < 0.8 and now == pids, title, "rc %d, busy %.2f, "
       "%r then %r" % (rc, used, pids, now))
    return used


def main():
    rng = seeded()
    modes = all_modes()
    rng.shuffle(modes)
    modes.sort(key=lambda m: m[0] != "GET /_ping")  # a half of them pings
    modes = [m for pair in zip(modes, reversed(modes)) for m in pair]
    modes = list(dict.fromkeys(modes))
    e = FakeEngine(scratch("fake") + "/s.sock", api="1.41")

    class At:
        host, bridge = e.host, True
    e.routes["GET /containers/json"] = answer([])
    took, used = [], []
    with Daemon(At, small_project(), wait=False) as w:
        wait_for(w.answers, 30, "wharfd answers")
        for call, name in modes[:MODES]:
            well(w, e)
            used.append(one(w, e, call, name, CALLS[call][name], took))
        diag("%d modes; busiest process %.0f %%" % (
            len(used), 100 * max(used)))
        if took:
            diag("%d bad pings said after %.1f s at most (%s)" % (
                len(took), *max(took)))
        equal(crashes(w), [], "no worker crashed")
        equal(w.stop(signal.SIGTERM), 0, "it stops cleanly")
    e.close()


run(main)
