#!/usr/bin/python3
"""wharfd as PID 1, the way it runs as the entry point of a container: it
reaps what others leave behind, acts on signals, and ends in time."""
from wharf_test import *

ORPHANS = 200
LIMIT = 8   # s from a signal to the end


class Pid1:
    """wharfd in a PID namespace of its own, with an engine that is away."""

    def __init__(self, ctx, *args):
        self.dir = scratch("pid1")
        self.sock = self.dir + "/ctl.sock"
        self.logname = self.dir + "/log"
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.dir,
               "XDG_STATE_HOME": self.dir + "/state",
               "DOCKER_HOST": "unix://%s/none.sock" % self.dir}
        with open(self.logname, "w") as log:
            self.outer = subprocess.Popen(
                ["unshare", "-p", "-f", "--mount-proc", "--kill-child",
                 BUILD + "/wharfd", *args, "-s", self.sock, ctx],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        note(self)
        self.pid = wait_for(self.find, 10, "wharfd runs")
        wait_for(self.ready, 20, "all workers are ready")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.outer.poll() is None:
            self.outer.kill()
        self.outer.wait()

    def tail(self):
        with open(self.logname, errors="replace") as f:
            return "log of wharfd:\n" + f.read()[-4000:]

    def find(self):
        pids = children(self.outer.pid)
        return pids[0] if pids and comm(pids[0]) == "wharfd" else None

    def status(self):
        p = subprocess.run([BUILD + "/wharfctl", "-j", "-s", self.sock,
                            "status"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)
        return json.loads(p.stdout.decode()) if p.returncode == 0 else None

    def ready(self):
        s = self.status()
        return s if s and len(s["workers"]) == len(WORKERS) and \
            all(w["state"] == "ready" for w in s["workers"]) else None

    def enter(self, script):
        """Runs a shell in the namespaces, as docker exec would."""
        return subprocess.run(["nsenter", "-t", str(self.pid), "-p", "-m",
                               "sh", "-c", script], timeout=60).returncode

    def worker(self, name):
        """A worker's pid as this test sees it."""
        for pid in children(self.pid):
            if comm(pid) == "wharf-" + name:
                return pid
        raise LookupError(name)

    def ends(self, name, code=0, since=None):
        """Waits for the end; the time counts from the signal."""
        start = since or time.monotonic()
        try:
            got = self.outer.wait(30)
        except subprocess.TimeoutExpired:
            got = None
        took = time.monotonic() - start
        ok(got == code and took < LIMIT, name + ": exit code %d in time" %
           code, "code %r after %.1f s" % (got, took))
        ok(not os.path.exists(self.sock), name + ": its socket is gone")


def note(thing):
    """Its log is shown where the test fails."""
    import wharf_test
    wharf_test._noted.append(thing)


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def stat(pid):
    """Name and state."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            text = f.read()
    except OSError:
        return "", ""
    return (text[text.index("(") + 1:text.rindex(")")],
            text[text.rindex(")") + 2])


def comm(pid):
    return stat(pid)[0]


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
            s = wait_for(d.ready, 20, "all workers are ready")
            time.sleep(1.1)
            start = time.monotonic()
            os.kill(d.worker("image"), signal.SIGKILL)
        d.ends("--max-restarts 2, at the third death", 1, start)


run(main)
