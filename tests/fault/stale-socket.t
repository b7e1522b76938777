#!/usr/bin/python3
"""An engine's socket that has gone stale: a directory that is mounted shows
the next one, a file that is mounted by itself never does, which ends a
process 1 with exit code 75 so that a restart policy mounts it anew."""
from fault_test import *
from pid1 import Pid1
from fake_engine import FakeEngine

STALE = 10      # s until it is believed (STALE_MS)


def engine_of(d):
    s = d.status()
    return s["engines"][0] if s else {}


def is_up(d):
    return engine_of(d).get("state") == "up"


def says_why(d):
    """What a person is told while the engine refuses."""
    return "refused" in engine_of(d).get("error", "")


def mounted_directory(ctx):
    """The directory is mounted: the new socket is found."""
    host, inside = scratch("host"), scratch("inside")
    subprocess.run(["mount", "--bind", host, inside], check=True)
    e = FakeEngine(host + "/s.sock")
    with Pid1(ctx, host="unix://%s/s.sock" % inside) as d:
        wait_for(lambda: is_up(d), 10, "the engine is up")
        e.close()
        wait_for(lambda: says_why(d), 10, "refused")
        time.sleep(STALE + 6)
        ok(d.outer.poll() is None, "mounted directory: a socket file of "
           "nobody's is waited for")
        e = FakeEngine(host + "/s.sock")
        wait_for(lambda: is_up(d), 20, "the new engine is found")
        ok(True, "mounted directory: the next engine's socket is found")
        os.kill(d.pid, signal.SIGTERM)
        d.ends("mounted directory: TERM")
    e.close()


def mounted_file(ctx):
    """The file is mounted: it is the old one for ever."""
    host, inside = scratch("host"), scratch("inside")
    e = FakeEngine(host + "/s.sock")
    write(inside + "/s.sock", "")
    subprocess.run(["mount", "--bind", host + "/s.sock", inside + "/s.sock"],
                   check=True)
    with Pid1(ctx, host="unix://%s/s.sock" % inside) as d:
        wait_for(lambda: is_up(d), 10, "the engine is up")
        e.close()
        os.unlink(host + "/s.sock")
        e = FakeEngine(host + "/s.sock")    # a new engine: a new inode
        start = time.monotonic()
        wait_for(lambda: d.outer.poll() is not None, 40, "process 1 ends")
        took = time.monotonic() - start
        equal(d.outer.returncode, 75, "mounted file: ends with 75")
        ok(took > STALE - 1, "mounted file: but not at once", took)
        ok("stale socket file" in d.tail() and "directory" in d.tail(),
           "mounted file: says what is wrong, and the way out", d.tail())
        ok(not os.path.exists(d.sock), "mounted file: its socket is gone")
    # what a restart policy does: the same mount anew
    subprocess.run(["umount", inside + "/s.sock"], check=True)
    subprocess.run(["mount", "--bind", host + "/s.sock", inside + "/s.sock"],
                   check=True)
    with Pid1(ctx, host="unix://%s/s.sock" % inside) as d:
        wait_for(lambda: is_up(d), 10, "up again")
        ok(True, "mounted file: started again, it finds the engine")
    e.close()


def not_first(ctx):
    """Not process 1: nobody would start it again; it waits, and says so."""
    host, inside = scratch("host"), scratch("inside")
    e = FakeEngine(host + "/s.sock")
    write(inside + "/s.sock", "")
    subprocess.run(["mount", "--bind", host + "/s.sock", inside + "/s.sock"],
                   check=True)

    class At:
        host, bridge = "unix://%s/s.sock" % inside, True
    with Daemon(At, ctx, wait=False) as w:
        wait_for(lambda: w.ctl("status")[0] == 0 and is_up(w), 20, "up")
        e.close()
        end = time.monotonic() + STALE + 6
        wait_for(lambda: says_why(w), 10, "refused")
        while time.monotonic() < end:
            time.sleep(0.5)
        ok(w.lives(), "an ordinary daemon goes on")
        if LONG_FORM:
            wait_for(lambda: "mount its directory" in
                     engine_of(w).get("error", ""), 40, "a clear message")
            ok(True, "and says what may be wrong, and the way out")
        equal(w.stop(signal.SIGTERM), 0, "and stops cleanly")


def main():
    ctx = small_project()
    mounted_file(ctx)
    together(lambda: mounted_directory(ctx), lambda: not_first(ctx))


run(main)
