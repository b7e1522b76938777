#!/usr/bin/python3
"""Allocations that fail, one after the other, in each worker and in the
supervisor: a worker may end of it, the supervisor does not, and all comes into
step again.  WHARF_ALLOCS is how many are tried in each process."""
import mmap
import struct

from fault_test import *

ALLOCS = count("ALLOCS", 4, 200)
PRELOAD = BUILD + "/tests/tools/preload/failmalloc.so"
EVERYONE = WORKERS + ["wharfd"]
SETTLE = 1.2    # s: a worker that dies sooner is held back


class Plan:
    """The shared numbers of tests/tools/preload/failmalloc.c."""

    def __init__(self, path):
        self.path = path
        write(path, struct.pack("=4Q", 0, 0, 0, 0), 0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 32)

    def read(self):
        return struct.unpack("=4Q", self.map[:32])

    def calls(self):
        return self.read()[0]

    def failed(self):
        return self.read()[3]

    def fail(self, ahead, number):
        """The allocation so far ahead and some behind it are to fail."""
        self.map[8:24] = struct.pack("=2Q", self.calls() + ahead, number)

    def done(self):
        self.map[16:24] = struct.pack("=Q", 0)


def prepare(dir):
    """Programs whose workers count, and fail when they are told."""
    programs = Programs()
    plans = {n: Plan("%s/%s.plan" % (dir, n)) for n in EVERYONE}
    for n in WORKERS:
        programs.script(n, "FAIL_FILE=%s LD_PRELOAD=%s exec $WORKER" %
                        (plans[n].path, PRELOAD))
    return programs, plans


def work(w, i):
    """What needs every process: a save, a step's input, a status."""
    write(w.context + "/plain/page", "page %d\n" % i)
    write(w.context + "/words/one", "word %d\n" % i)


def calm(w, plans):
    for p in plans.values():
        p.done()
    wait_for(lambda: not w.lives() or w.ready(), 90, "all workers run")
    return w.lives() and w.sync(60) == 0


def crashed(w):
    """Crashes of workers that had been READY: libseccomp 2.5 crashes of a
    lack of memory while a worker enters its sandbox."""
    log = w.log()
    ready = set(re.findall(r"is ready, pid (\d+),", log))
    return [line for line in log.splitlines() for m in [re.search(
        r"\(pid (\d+)\) ended: signal \d+ \((SEGV|ABRT|BUS|FPE|ILL|SYS)\)",
        line)] if m and m.group(1) in ready]


def main():
    rng = seeded()
    dir = scratch("plans")
    programs, plans = prepare(dir)
    ctx = small_project()
    env = {"FAIL_FILE": plans["wharfd"].path, "LD_PRELOAD": PRELOAD}
    bad = []
    with Engine() as engine, Daemon(engine, ctx, ["-v"],
                                   programs=programs) as w:
        # the clients of the test are left alone
        w.process.send_signal(0)
        w.stop()
        w.env.update(env)
        w.start()
        w.env.clear()
        w.await_container()
        for i in range(ALLOCS):
            for n in EVERYONE:
                # the first ones of a start, then ever more and at random
                ahead = i + 1 if i < ALLOCS // 2 else \
                    rng.randrange(1, 3000)
                plans[n].fail(ahead, rng.choice([1, 1, 1, 5]))
            if i % 2 == 0:
                for n in WORKERS:
                    w.kill_worker(n)
            work(w, i)
            time.sleep(SETTLE)
            if not calm(w, plans):
                bad.append("round %d: %s" % (i, w.why()))
                break
            time.sleep(SETTLE)
        diag("failed: %s" % ", ".join("%s %d of %d" % (
            n, p.failed(), p.calls()) for n, p in plans.items()))
        ok(all(p.failed() > 0 for p in plans.values()),
           "allocations failed in every process")
        ok(w.lives() and not bad, "after each the supervisor lives and "
           "everything comes into step", "\n".join(bad))
        equal(w.cat("/app/plain/page"), b"page %d\n" % (ALLOCS - 1),
              "what was saved is live")
        equal(crashed(w), [], "no worker crashed: it ended or went on")
        diag("crashed before they were READY: %d" % len(crashes(w)))
        diag("ends of workers: %d" % w.log().count(" ended: "))
        equal(w.stop(), 0, "it stops cleanly")


run(main)
