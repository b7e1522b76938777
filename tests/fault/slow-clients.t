#!/usr/bin/python3
"""Clients of the control socket that drip, stall and stay silent, many at a
time: others are served, and the limits hold.  WHARF_CLIENTS at WHARF_SECONDS."""
import struct

from fault_test import *

CLIENTS = count("CLIENTS", 500, 500)
SECONDS = count("SECONDS", 6, 60)
ASKS = count("ASKS", 40, 300)
LIMIT = 256     # CLIENTS_MAX
# struct frame_head: length, type, flags, source, instance, zero, id, gen
HEAD = struct.Struct("=IHHBBHII")
KINDS = ["silent", "drips", "half", "reads nothing"]


def status_type():
    """The number of CTL_STATUS: its place in the message table."""
    with open(TOP + "/include/msg.def") as f:
        names = re.findall(r"^MSG\((\w+),", f.read(), re.M)
    return names.index("CTL_STATUS") + 1


class Slow(threading.Thread):
    """So many clients, each of its kind; one that is dropped comes again."""

    def __init__(self, path, n):
        super().__init__(daemon=True)
        self.path, self.n = path, n
        self.ended = threading.Event()
        self.dropped = 0
        self.refused = 0
        self.most = 0
        self.request = HEAD.pack(HEAD.size, status_type(), 0, 0, 0, 0, 1, 0)

    def connect(self, i):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(self.path)
            kind = KINDS[i % len(KINDS)]
            if kind == "half":
                s.send(self.request[:7])
            elif kind == "reads nothing":
                for n in range(1, 5):
                    s.send(self.request[:12] + struct.pack("=II", n, 0))
        except OSError:
            self.refused += 1
            s.close()
            return None
        return [s, kind, 0]

    def alive(self, c):
        """Sends the next byte, where it is one that drips."""
        s, kind, at = c
        try:
            if kind == "drips":
                s.send(self.request[at % HEAD.size:][:1])
                c[2] += 1
            if kind != "reads nothing" and s.recv(4096) == b"":
                return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def run(self):
        clients = [None] * self.n
        while not self.ended.is_set():
            for i, c in enumerate(clients):
                if c is not None and not self.alive(c):
                    self.dropped += 1
                    c[0].close()
                    c = None
                clients[i] = c or self.connect(i)
            self.most = max(self.most, sum(c is not None for c in clients))
            self.ended.wait(1)
        for c in clients:
            if c is not None:
                c[0].close()

    def stop(self):
        self.ended.set()
        self.join()


def ask(w, n, least):
    """ms that `wharfctl status` takes, n times and for so many seconds."""
    ms, start = [], time.monotonic()
    while len(ms) < n or time.monotonic() - start < least:
        t = time.monotonic()
        rc, _, err = w.ctl("status", "-j", timeout=60)
        ms.append((time.monotonic() - t) * 1000)
        if rc != 0:
            raise RuntimeError("status: exit %d: %s" % (rc, err))
        time.sleep(0.02)
    return ms


def say(name, ms):
    diag("%s: %d x status, p50 %.1f ms, p99 %.1f ms, max %.1f ms" % (
        name, len(ms), percentile(ms, 50), percentile(ms, 99), max(ms)))


def flood(w):
    pid = w.pid("control")
    say("alone", ask(w, ASKS, 0))
    before, files = rss(pid), fds(pid)
    slow = Slow(w.sock, CLIENTS)
    slow.start()
    time.sleep(1)
    say("with %d slow clients" % CLIENTS, ask(w, ASKS, SECONDS))
    most, size = fds(pid), rss(pid)
    equal(w.pid("control"), pid, "control is the process that it was")
    slow.stop()
    diag("%d clients at once, %d dropped, %d not let in; control has %d more "
         "fds, %d KiB more" % (slow.most, slow.dropped, slow.refused,
                               most - files, size - before))
    ok(slow.dropped > CLIENTS // 4, "those that say nothing in time are "
       "dropped", slow.dropped)
    ok(most - files <= LIMIT, "no more than %d are let in" % LIMIT, most)
    ok(size - before < 2048 or "san" in BUILD,
       "control needs less than 2 MiB for them", size - before)
    wait_for(lambda: fds(pid) <= files + 1, 15, "their fds are closed")
    ok(True, "and keeps nothing of them")


def main():
    ctx = small_project()
    with Engine() as engine, Daemon(engine, ctx) as w:
        flood(w)
        equal(w.save("served\n"), "", "changes are live")
        equal(w.stop(), 0, "it stops cleanly")


run(main)
