#!/usr/bin/python3
"""TERM and KILL at any moment: whatever runs then, all is gone soon after, and
the next start finds nothing in its way.  WHARF_TERMS is how often."""
from fault_test import *

TERMS = count("TERMS", 4, 200)
LATEST = 4.0    # s after the start; by then it serves
PATIENCE = 30   # s for what takes 8 where the machine is idle
LIMIT = 8       # s, in the long form


class Ends:
    def __init__(self):
        self.took = {signal.SIGTERM: [], signal.SIGKILL: []}
        self.bad = []

    def note(self, good, what):
        if not good:
            self.bad.append(what)


def busy(ctx, rng):
    """Something to do: a push, a step, a new image."""
    kind = rng.randrange(4)
    if kind == 0:
        write(ctx + "/words/one", "%x\n" % rng.getrandbits(32))
    elif kind == 1:
        write(ctx + "/Dockerfile", DOCKERFILE + "ENV X=%x\nRUN sleep 0.%d\n" %
              (rng.getrandbits(32), rng.randrange(10)))
    else:
        write(ctx + "/plain/page", "%x\n" % rng.getrandbits(32))


def leftover(engine, may):
    """Containers that stay; those of a build that was cut short are the
    engine's to remove, which takes it a moment."""
    end = time.monotonic() + PATIENCE
    while True:
        left = engine.docker("ps", "-a", "--no-trunc", "--filter",
                             "label=wharf.service", "--format",
                             "{{.Names}}: {{.Status}}: {{.Command}}")
        if len(left.splitlines()) <= may:
            return []
        if time.monotonic() > end:
            return left.splitlines()
        time.sleep(0.1)


def once(engine, ctx, rng, keep, sig, ends):
    w = Daemon(engine, ctx, ["--keep"] if keep else [], wait=False)
    w.start()
    moment = rng.random() * LATEST
    end = time.monotonic() + moment
    while time.monotonic() < end:
        time.sleep(min(0.3, max(0, end - time.monotonic())))
        busy(ctx, rng)
    what = "%s at %.2f s%s" % (signal.Signals(sig).name, moment,
                               ", --keep" if keep else "")
    early = not os.path.exists(w.sock)  # before it waits for signals
    start = time.monotonic()
    w.process.send_signal(sig)
    try:
        w.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        ends.note(False, what + ": it does not end")
        w.process.kill()
        return w
    if sig == signal.SIGTERM:
        ends.note(w.process.returncode == 0 or early,
                  "%s: exit code %d\n%s" % (what, w.process.returncode,
                                            w.tail()))
    try:
        wait_for(lambda: not ours(), PATIENCE, "no process is left")
    except TimeoutError:
        ends.note(False, "%s: left over: %r" % (what, ours()))
    ends.took[sig].append(time.monotonic() - start)
    if sig == signal.SIGTERM:
        ends.note(not os.path.exists(w.sock), what + ": its socket is there")
        left = leftover(engine, 1 if keep else 0)
        ends.note(not left, "%s: containers %r\n%s" % (what, left, w.tail()))
    return w


def main():
    rng = seeded()
    ctx = small_project()
    ends = Ends()
    with Engine() as engine:
        for i in range(TERMS):
            # each KILL is followed by a start that has to clear up
            sig = signal.SIGKILL if i % 4 == 2 else signal.SIGTERM
            once(engine, ctx, rng, i % 8 == 5, sig, ends)
            if i % 8 == 5:
                for c in engine.containers("label=wharf.service"):
                    engine.docker("rm", "-f", c, check=False)
        for sig, took in ends.took.items():
            diag("%d x %s: gone after %.2f s at most, median %.2f s" % (
                len(took), sig.name, max(took or [0]), percentile(took, 50)))
        ok(not ends.bad, "%d ends at any moment leave nothing behind" % TERMS,
           "\n".join(ends.bad[:20]))
        if LONG_FORM:
            ok(max(ends.took[signal.SIGTERM]) < LIMIT,
               "each within %d s" % LIMIT)
        write(ctx + "/Dockerfile", DOCKERFILE)
        w = Daemon(engine, ctx)
        with w:
            equal(w.save("after all of it\n"), "", "the next one serves")
            equal(w.cat("/app/plain/page"), b"after all of it\n",
                  "what is saved is live")
            sock = w.sock
            os.kill(w.process.pid, signal.SIGKILL)
            w.process.wait()
            wait_for(lambda: not ours(), PATIENCE, "its workers end with it")
            ok(True, "a killed supervisor's workers end")
            ok(os.path.exists(sock), "the socket file of a killed one stays")
            w.start()
            equal(w.save("and again\n"), "", "and is in nobody's way")
        equal(w.stop(), 0, "it stops")
        equal(engine.containers("label=wharf.service"), [],
              "and nothing is left")


run(main)
