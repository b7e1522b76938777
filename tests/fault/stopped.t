#!/usr/bin/python3
"""Workers, and the engine, that are stopped: a worker that does not answer is
replaced, an engine is waited for, and nothing is lost meanwhile."""
from fault_test import *

FOUND = 120     # s: three missed beats of 10 s, on a slow machine


def stop_workers(w, names):
    old = {n: w.pid(n) for n in names}
    for n in names:
        os.kill(old[n], signal.SIGSTOP)
    what = " ".join(names)
    start = time.monotonic()
    write(w.context + "/plain/page", "%s stopped\n" % what)
    if "control" not in names:
        rc, out, _ = w.ctl("status", "-j", timeout=30)
        equal(rc, 0, "%s stopped: status answers" % what)
    changed = lambda: all(not is_worker(p, n) for n, p in old.items())
    wait_for(changed, FOUND, "%s replaced" % what)
    diag("%s replaced after %.0f s" % (what, time.monotonic() - start))
    wait_for(w.ready, 60, "all workers run again")
    equal(w.sync(60), 0, "%s stopped: all in step again" % what)
    equal(w.cat("/app/plain/page"), ("%s stopped\n" % what).encode(),
          "%s stopped: the change of that time is live" % what)
    ok(" hangs, killing it" in w.log(), "the log says so")


def stop_engine(w, engine):
    pid = w.pid("engine")
    engine.process.send_signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        write(w.context + "/plain/page", "engine stopped\n")
        wait_for(lambda: w.status()["engines"][0]["state"] == "down", 30,
                 "status says that the engine is away")
        diag("status says so after %.1f s" % (time.monotonic() - start))
        used = cpu(pid)
        time.sleep(4)
        used = cpu(pid) - used
        diag("the engine worker used %.2f s of 4 s" % used)
        ok(used < 1, "an engine that is stopped is waited for in peace", used)
        s = w.status()
        ok(not s["services"][0]["in_step"] and s["services"][0]["why"],
           "status says why the service is out of step", s["services"])
        equal(w.pid("engine"), pid, "the engine worker was not replaced")
    finally:
        engine.process.send_signal(signal.SIGCONT)
    equal(w.sync(60), 0, "in step when the engine goes on")
    equal(w.cat("/app/plain/page"), b"engine stopped\n",
          "the change of that time is live")


def main():
    ctx = small_project()
    with Engine() as engine, Daemon(engine, ctx) as w:
        sup = w.process.pid
        stop_engine(w, engine)
        if LONG_FORM:
            for name in WORKERS:
                stop_workers(w, [name])
        stop_workers(w, WORKERS)
        equal(w.process.pid if w.lives() else None, sup,
              "the supervisor is the one that was started")
        equal(w.stop(), 0, "it stops cleanly")


run(main)
