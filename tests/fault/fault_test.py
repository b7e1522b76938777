"""Fixtures of the fault tests, on top of those of the system tests.

A test is a program NAME.t beside this file.  As it is, it takes seconds and
is part of `check`; `make fault` runs each with the counts of its long form,
which stand in the test as LONG and which WHARF_NAME=... sets one by one.
What takes how long is printed, and never judged but by generous limits.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

from wharf_test import *    # noqa: E402
import wharf_test           # noqa: E402

LONG_FORM = os.environ.get("WHARF_LONG") == "1"


def count(name, short, long):
    """How often: WHARF_name, or the number of this form."""
    return int(os.environ.get("WHARF_" + name) or
               (long if LONG_FORM else short))


def note(thing):
    """Its log is shown where the test fails."""
    wharf_test._noted.append(thing)


def percentile(values, p):
    """The nearest-rank percentile."""
    v = sorted(values)
    return v[max(0, -(-len(v) * p // 100) - 1)] if v else 0


def together(*parts):
    """Runs parts of a test that mostly wait at the same time."""
    def guarded(f):
        try:
            f()
        except Exception:
            ok(False, "every part ran to its end", traceback.format_exc())
    threads = [threading.Thread(target=guarded, args=(f,)) for f in parts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


# ---------------------------------------------------------------- /proc

def cpu(pid):
    """Seconds of processor time that a process has used."""
    with open("/proc/%d/stat" % pid) as f:
        s = f.read().rsplit(")", 1)[1].split()
    return (int(s[11]) + int(s[12])) / os.sysconf("SC_CLK_TCK")


def fds(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def rss(pid):
    """KiB of anonymous memory: what a leak grows."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s*(\d+)", f.read()).group(1))


SETTLED = 1.2   # s: a worker that dies sooner is started again later


def age(pid):
    """Seconds that a process has run; 0 where it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            start = int(f.read().rsplit(")", 1)[1].split()[19])
    except OSError:
        return 0
    with open("/proc/uptime") as f:
        return float(f.read().split()[0]) - start / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """All processes below this one."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            with open("/proc/%d/task/%d/children" % (p, p)) as f:
                kids = [int(x) for x in f.read().split()]
        except OSError:
            kids = []
        found += kids
        todo += kids
    return found


def ours():
    """Processes of wharf's programs, wherever they hang."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name) as f:
                text = f.read()
        except OSError:
            continue
        comm = text[text.index("(") + 1:text.rindex(")")]
        if name.isdigit() and re.fullmatch(
                r"wharfd|wharf-(%s|config)" % "|".join(WORKERS), comm):
            found[int(name)] = comm
    return found


# ---------------------------------------------------------------- programs

class Programs:
    """A copy of the build's programs in which some workers are others.

    wharfd takes the workers that stand beside it."""

    def __init__(self):
        self.dir = scratch("programs")
        for f in os.listdir(BUILD):
            path = BUILD + "/" + f
            if f.startswith("wharf") and os.path.isfile(path):
                shutil.copy(path, self.dir)

    def worker(self, name):
        return "%s/wharf-%s" % (self.dir, name)

    def script(self, name, text):
        """In this worker's place a shell script, whose own is $WORKER."""
        path = self.worker(name)
        own = "%s/own/wharf-%s" % (self.dir, name)
        os.makedirs(os.path.dirname(own), exist_ok=True)
        os.rename(path, own)
        write(path, "#!/bin/bash\nWORKER=%s\n%s\n" % (own, text), 0o755)

    def replace(self, name, program):
        """At its next start the worker is a copy of this program."""
        path = self.worker(name)
        shutil.copy(program, path + ".new")
        os.rename(path + ".new", path)


class Daemon(Wharfd):
    """A Wharfd that may run from other programs, and be looked at."""

    def __init__(self, engine, context, *args, programs=None, **kw):
        super().__init__(engine, context, *args, **kw)
        self.programs = programs

    def bin(self):
        return self.programs.dir if self.programs else super().bin()

    def ready(self, but=()):
        """The workers by name when all run, else None."""
        rc, out, _ = self.ctl("status", "-j", timeout=30)
        if rc != 0:
            return None
        w = {x["name"]: x for x in json.loads(out)["workers"]}
        good = all(w[n]["state"] in ("ready", "degraded") and w[n]["pid"] > 0
                   for n in WORKERS if n not in but)
        return w if len(w) == len(WORKERS) and good else None

    def lives(self):
        return self.process.poll() is None

    def save(self, text, name="plain/page"):
        """Writes a file and sees it live, or says why not."""
        write(self.context + "/" + name, text)
        rc = self.sync(60)
        return "" if rc == 0 else "sync: exit %d\n%s" % (rc, self.why())


def crashes(w):
    """Ends of workers that no program plans."""
    return re.findall(r"(\w+) \(pid \d+\) ended: signal \d+ "
                      r"\((SEGV|ABRT|BUS|FPE|ILL|SYS)\)", w.log())
