#!/usr/bin/python3
"""Too few file descriptors, and a state directory on a full disk: nothing
ends, nothing spins, no half a state file is left, and work goes on."""
import resource

from fault_test import *

LIMITS = [64, 48, 40, 36, 32, 28, 24, 20, 16, 12]
LIMITS = LIMITS if LONG_FORM else LIMITS[2::4]


def limit(pid, n):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, 65536))


def few_fds(engine):
    """RLIMIT_NOFILE is lowered while all runs, below what is open too."""
    ctx = small_project()
    with Daemon(engine, ctx) as w:
        pid = w.process.pid
        files = fds(pid)
        for n in LIMITS:
            limit(pid, n)
            for name in WORKERS:
                p = w.pid(name)
                limit(p, n)
                if name != "control":
                    os.kill(p, signal.SIGKILL)
            write(ctx + "/plain/page", "limit %d\n" % n)
            write(ctx + "/words/one", "limit %d\n" % n)
            # the control process may have none to accept us with
            socks = []
            for _ in range(n):
                s = socket.socket(socket.AF_UNIX)
                s.connect(w.sock)
                socks.append(s)
            used = cpu(pid)
            time.sleep(2)
            used = cpu(pid) - used
            for s in socks:
                s.close()
            if not ok(w.lives(), "%d descriptors: the supervisor lives" % n):
                return
            ok(used < 1, "%d descriptors: it does not spin" % n, used)
            for p in [pid] + [x for x in descendants(pid)]:
                try:
                    limit(p, 1024)
                except ProcessLookupError:
                    pass
            wait_for(w.ready, 60, "all workers run again")
            equal(w.sync(60), 0, "%d descriptors: in step afterwards" % n)
            equal(w.cat("/app/plain/page"), b"limit %d\n" % n,
                  "%d descriptors: what was saved is live" % n)
        wait_for(lambda: fds(pid) <= files, 10, "%d fds, at first %d" %
                 (fds(pid), files))
        ok(True, "the supervisor has as many descriptors as at first")
        equal(w.stop(), 0, "it stops cleanly")


def manifests(dir):
    return [f for _, _, files in os.walk(dir) for f in files]


def full_disk(engine):
    """64 KiB for the state: what a kept container holds does not fit."""
    ctx, state = small_project(), scratch("state")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", state],
                   check=True)
    env = {"XDG_STATE_HOME": state}
    try:
        for fill in (64, 60, 32, 0):
            with Daemon(engine, ctx, ["--keep"], env=env) as w:
                first = w.container()
                for name in manifests(state):
                    os.unlink("%s/wharf/%s" % (state, name))
                try:
                    write(state + "/fill", b"x" * (fill << 10))
                except OSError:
                    pass
                for i in range(40 if fill < 60 else 0):
                    write("%s/plain/%s%d" % (ctx, "n" * 200, i), "%d\n" % i)
                equal(w.save("full disk %d\n" % fill), "",
                      "%d KiB taken: changes are live" % fill)
                equal(w.stop(signal.SIGTERM), 0,
                      "%d KiB taken: it stops cleanly" % fill)
            left = manifests(state + "/wharf")
            diag("%d KiB taken: left: %r%s" % (fill, left, ", said so" if
                 "will be made anew" in w.log() else ""))
            ok(left == [] and "will be made anew" in w.log() or
               len(left) == 1 and left[0].endswith(".manifest"),
               "%d KiB taken: a whole file, or none and a warning" % fill,
               (left, w.tail()))
            os.unlink(state + "/fill")
            with Daemon(engine, ctx, ["--keep"], env=env) as w:
                equal(w.container() == first, bool(left),
                      "%d KiB taken: the container is adopted if so" % fill)
                equal(w.cat("/app/plain/page"), b"full disk %d\n" %
                      fill, "%d KiB taken: and is right" % fill)
    finally:
        subprocess.run(["umount", "-l", state])


def no_state(engine):
    """A state directory that may not be written to."""
    ctx, state = small_project(), scratch("state")
    write(state + "/wharf", "a file where a directory is wanted\n")
    with Daemon(engine, ctx, ["--keep"],
                env={"XDG_STATE_HOME": state}) as w:
        equal(w.save("no state\n"), "", "without a state directory it serves")
        equal(w.stop(signal.SIGTERM), 0, "and stops")
        ok(state in w.log(), "and says what is wrong", w.tail())


def main():
    with Engine() as engine:
        few_fds(engine)
        for c in engine.containers("label=wharf.service"):
            engine.docker("rm", "-f", c)
        full_disk(engine)
        no_state(engine)


run(main)
