#!/usr/bin/python3
"""wharfd as PID 1, the way it runs as the entry point of a container: it
reaps what others leave behind, acts on signals, and ends in time."""
from wharf_test import *
from pid1 import *

ORPHANS = 200


def orphans(d):
    return [p for p in children(d.pid) if not comm(p).startswith("wharf-")]


def status(d):
    s = d.status()
    equal((s["mode"], s["pid"]), ("container", 1), "status: mode and pid")
    equal(sorted(w["name"] for w in s["workers"]), sorted(WORKERS),
          "status: the workers")


def reaps(d):
    before = {w["name"]: w["pid"] for w in d.status()["workers"]}
    # each one's parent ends at once; some are dead before they are orphans
    rc = d.enter("i=0; while [ $i -lt %d ]; do "
                 "( sleep 2 & ) ; i=$((i + 1)); done" % ORPHANS)
    equal(rc, 0, "%d orphans are made" % ORPHANS)
    mine = wait_for(lambda: len(orphans(d)) == ORPHANS, 2,
                    "the orphans are wharfd's")
    ok(mine, "the orphans are wharfd's")
    wait_for(lambda: not orphans(d), 10, "all are reaped")
    ok(True, "all are reaped")
    rc = d.enter("i=0; while [ $i -lt %d ]; do "
                 "( true & ) ; i=$((i + 1)); done" % ORPHANS)
    equal(rc, 0, "%d that end at once" % ORPHANS)
    wait_for(lambda: not orphans(d), 10, "they are reaped")
    zombies = [p for p in children(d.pid) if stat(p)[1] == "Z"]
    equal(zombies, [], "no zombie is left")
    after = {w["name"]: w["pid"] for w in d.status()["workers"]}
    equal(after, before, "none is taken for a worker")


def restarts(d):
    """An orphan's end and a worker's at the same time."""
    gen = {w["name"]: w["gen"] for w in d.status()["workers"]}
    time.sleep(1.1)
    d.enter("( sleep 0.3 & )")
    for name in WORKERS:
        os.kill(d.worker(name), signal.SIGKILL)
    s = wait_for(d.ready, 20, "all workers are ready again")
    equal({w["name"]: w["gen"] for w in s["workers"]},
          {n: g + 1 for n, g in gen.items()}, "each worker once anew")
    wait_for(lambda: len(children(d.pid)) == len(WORKERS), 5,
             "only the workers are left")


def main():
    ctx = small_project()
    with Pid1(ctx) as d:
        status(d)
        reaps(d)
        restarts(d)
        os.kill(d.pid, signal.SIGHUP)
        time.sleep(0.3)
        ok(d.ready(), "HUP ends nothing")
        os.kill(d.pid, signal.SIGTERM)
        d.ends("TERM")
    with Pid1(ctx, "-d") as d:
        os.kill(d.pid, signal.SIGINT)
        d.ends("INT")
    with Pid1(ctx) as d:
        for name in WORKERS:
            os.kill(d.worker(name), signal.SIGSTOP)
        os.kill(d.pid, signal.SIGTERM)
        d.ends("TERM, with workers that do not move")
    with Pid1(ctx) as d:
        for name in WORKERS:
            os.kill(d.worker(name), signal.SIGSTOP)
        start = time.monotonic()
        for _ in range(3):
            os.kill(d.pid, signal.SIGTERM)
            time.sleep(0.2)
        d.ends("TERM three times", since=start)
        ok(time.monotonic() - start < 3, "TERM three times: without patience",
           time.monotonic() - start)
    with Pid1(ctx, "--max-restarts", "2") as d:
        for i in range(3):
            wait_for(d.ready, 20, "all workers are ready")
            time.sleep(1.1)
            start = time.monotonic()
            os.kill(d.worker("image"), signal.SIGKILL)
        d.ends("--max-restarts 2, at the third death", 1, start)


run(main)
