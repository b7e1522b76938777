#!/usr/bin/python3
"""The wall clock jumps: an hour, a year, forth and back, beyond 2038, during a
backoff.  Nothing spins, nothing stalls, and what a restart must make live gets
its restart, once, whatever the engine's clock says."""
import mmap
import struct

from fault_test import *

PRELOAD = BUILD + "/tests/tools/preload/shiftclock.so"
HOUR, YEAR = 3600, 365 * 86400
JUMPS = [("+1 h", HOUR), ("-1 h", -HOUR), ("+1 y", YEAR), ("-1 y", -YEAR),
         ("2038", 13 * YEAR), ("1970", None), ("right again", 0)]
JUMPS = JUMPS if LONG_FORM else JUMPS[:2] + JUMPS[-3:]


class Clock:
    """What tests/tools/preload/shiftclock.c adds to the wall clock."""

    def __init__(self, path):
        self.path = path
        write(path, struct.pack("=q", 0), 0o644)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)

    def shift(self, seconds):
        if seconds is None:     # a machine without a battery
            seconds = 60 - int(time.time())
        self.map[:] = struct.pack("=q", seconds * 10**9)


def prepare(clock):
    programs = Programs()
    for n in WORKERS:
        programs.script(n, "SHIFT_FILE=%s LD_PRELOAD=%s exec $WORKER" %
                        (clock.path, PRELOAD))
    return programs


def busy(w, seconds):
    """The largest share of a processor that one of the processes takes."""
    pids = [w.process.pid] + [w.pid(n) for n in WORKERS]
    before = [cpu(p) for p in pids]
    time.sleep(seconds)
    return max(cpu(p) - b for p, b in zip(pids, before)) / seconds


def starts(w):
    """How often the container's process has been started."""
    return (w.cat("/starts") or b"").count(b"\n")


def jump(w, m, clock, name, seconds):
    first = starts(w)
    clock.shift(seconds)
    share = busy(w, 2)
    ok(share < 0.5, name + ": nothing spins", share)
    equal(w.save("at %s\n" % name), "", name + ": a change is live")
    equal(w.cat("/app/plain/page"), b"at %s\n" % name.encode(),
          name + ": that very change")
    equal(starts(w), first + 1, name + ": restarted for it, once")
    time.sleep(1)
    equal((starts(w), w.sync(10)), (first + 1, 0),
          name + ": and not again")
    w.kill_worker("plan")
    time.sleep(0.3)
    equal(w.sync(30), 0, name + ": in step with a new plan")
    diag("%s: %d starts after plan was killed, before %d" %
         (name, starts(w), first + 1))
    ok(starts(w) <= first + 2, name + ": restarted by it once at most")


def backoff(w, clock):
    """Back by a year while a worker waits to be started again."""
    for _ in range(5):
        wait_for(lambda: w.kill_worker("image"), 30, "image runs")
    start = time.monotonic()
    clock.shift(-YEAR)
    wait_for(w.ready, 40, "image runs again")
    diag("back by a year in a backoff: READY after %.1f s" %
         (time.monotonic() - start))
    ok(True, "a backoff does not ask the wall clock")
    clock.shift(0)


def main():
    clock = Clock(scratch("clock") + "/shift")
    programs = prepare(clock)
    ctx = small_project()
    write(ctx + "/Dockerfile", DOCKERFILE.replace(
        'CMD ["sh", "-c", "', 'CMD ["sh", "-c", "echo >>/starts; '))
    env = {"SHIFT_FILE": clock.path, "LD_PRELOAD": PRELOAD}
    with Engine() as engine:
        w = Daemon(engine, ctx, programs=programs, env=env, wait=False)
        with w:
            w.env.clear()       # for the clients
            w.await_container()
            with Monitor(w) as m:
                for name, seconds in JUMPS:
                    jump(w, m, clock, name, seconds)
                backoff(w, clock)
                mono = [e["mono_ns"] for e in m.lines]
                ok(len(mono) > 20, "the monitor has told of it")
                years = {e["time"][:4] for e in m.lines}
                diag("years in the events: %s" % sorted(years))
            equal(w.stop(), 0, "it stops cleanly")


run(main)
