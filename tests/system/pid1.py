"""wharfd as process 1 of a PID namespace, and what /proc says of processes."""
from wharf_test import *
import wharf_test

LIMIT = 8   # s from a signal to the end


class Pid1:
    """wharfd in a PID namespace of its own, with an engine that is away, or
    where `host` says."""

    def __init__(self, ctx, *args, host=None):
        self.dir = scratch("pid1")
        self.sock = self.dir + "/ctl.sock"
        self.logname = self.dir + "/log"
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.dir,
               "XDG_STATE_HOME": self.dir + "/state",
               "DOCKER_HOST": host or "unix://%s/none.sock" % self.dir}
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
