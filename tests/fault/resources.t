#!/usr/bin/python3
"""Too few file descriptors, and a state directory on a full disk: nothing
ends, nothing spins, no half a state file is left, and work goes on."""
import resource

from fault_test import *

LIMITS = [64, 48, 40, 36, 32, 28, 24, 20, 16, 12]
LIMITS = LIMITS if LONG_FORM else LIMITS[2::4]


def limit(pid, n):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(n, hard), hard))


def crowd(w, n):
    """So many clients that stay a while: control may have no fd for them."""
    socks = []
    for _ in range(n):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(w.sock)
        except OSError:
            pass
        socks.append(s)
    return socks


def squeeze(w, file, n):
    """All processes have so few descriptors for a while."""
    pid, ctx = w.process.pid, w.context
    write(file, "%d\n" % n, 0o644)
    for name in WORKERS:
        w.kill_worker(name)
    time.sleep(0.5)
    limit(pid, n)
    write(ctx + "/plain/page", "limit %d\n" % n)
    write(ctx + "/words/one", "limit %d\n" % n)
    socks, used = crowd(w, n), cpu(pid)
    time.sleep(2)
    used = cpu(pid) - used
    for s in socks:
        s.close()
    if not ok(w.lives(), "%d descriptors: the supervisor lives" % n):
        raise RuntimeError("wharfd ended: %d" % w.process.returncode)
    ok(used < 1, "%d descriptors: it does not spin" % n, used)
    limit(pid, 1024)
    os.unlink(file)
    for p in descendants(pid):
        os.kill(p, signal.SIGKILL)
    wait_for(w.ready, 90, "all workers run again")
    equal(w.sync(60), 0, "%d descriptors: in step afterwards" % n)
    equal(w.cat("/app/plain/page"), b"limit %d\n" % n,
          "%d descriptors: what was saved is live" % n)


def few_fds(engine):
    """RLIMIT_NOFILE is lowered while all runs, below what is open too."""
    ctx, programs, file = small_project(), Programs(), scratch("few") + "/n"
    for n in WORKERS:
        programs.script(n, "N=$(cat %s 2>/dev/null) && ulimit -Sn $N\n"
                        "exec $WORKER" % file)
    with Daemon(engine, ctx, programs=programs) as w:
        files = fds(w.process.pid)
        for n in LIMITS:
            squeeze(w, file, n)
        wait_for(lambda: fds(w.process.pid) <= files, 10, "%d fds, at first %d"
                 % (fds(w.process.pid), files))
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
