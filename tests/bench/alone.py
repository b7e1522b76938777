"""What wharfd costs without a change: scanning, frames, idling."""
import os
import shutil
import subprocess
import time
import types

import wharf_test as wt
from figures import TOP, Case

TREE_DIRS, TREE_FILES = 10000, 10   # directories, and files in each


def make_tree():
    """100 x 100 directories with ten small files each."""
    top = os.path.realpath(wt.scratch("tree"))
    wt.write(top + "/Dockerfile", "FROM scratch\nCOPY . /\n")
    for d in range(TREE_DIRS):
        path = "%s/%02d/%02d" % (top, d // 100, d % 100)
        os.makedirs(path)
        for f in range(TREE_FILES):
            fd = os.open("%s/%d" % (path, f), os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(fd, b"%d\n" % f)
            os.close(fd)
    return top


def scan_once(top):
    """From the start of wharfd to watch.scanned, without an engine."""
    away = types.SimpleNamespace(host="unix:///nonexistent/s.sock",
                                 bridge=True)
    w = wt.Wharfd(away, top, wait=False)
    t = time.monotonic_ns()
    with w:
        wt.wait_for(lambda: os.path.exists(w.sock), 20, "a control socket")
        monitor = subprocess.Popen(
            w.command("wharfctl", "-s", w.sock, "-j", "monitor", "--since",
                      "0"), stdout=subprocess.PIPE, env=w.environment())
        try:
            for line in monitor.stdout:
                e = wt.json.loads(line)
                if e["event"] == "watch.scanned":
                    return (e["mono_ns"] - t) / 1e9
        finally:
            monitor.terminate()
            monitor.wait()
            monitor.stdout.close()
    raise RuntimeError("watch.scanned does not come:\n" + w.tail())


def timed(*command):
    t = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - t


def scan(report, n):
    top = make_tree()
    name = "{:,} files in {:,} directories: start of wharfd -> scanned".format(
        TREE_DIRS * TREE_FILES, TREE_DIRS)
    plain = Case(name, "find -printf ''")
    newer = Case("the same", "find -newer FILE")

    def finds(i):
        newer.bare.append(timed("find", top, "-newer", top + "/Dockerfile"))
        return timed("find", top, "-printf", "")

    plain.rounds(n, lambda i: scan_once(top), finds, warmup=1)
    newer.bare, newer.ours = newer.bare[-n:], plain.ours
    report.add(plain)
    report.add(newer)
    shutil.rmtree(top)


def ipc(report, n):
    direct = Case("a frame there and back through the supervisor",
                  "64 bytes over a socketpair")
    relayed = Case("the same", "64 bytes, a third process copies")
    out = subprocess.run([wt.BUILD + "/tests/tools/ipc_pingpong", str(n)],
                         stdout=subprocess.PIPE, check=True).stdout
    rows = [[int(x) / 1e9 for x in line.split()]
            for line in out.splitlines()]
    for k, case in ((1, direct), (2, relayed)):
        case.ours, case.bare = [r[0] for r in rows], [r[k] for r in rows]
        report.add(case)


# ------------------------------------------------------------ idle

def switches(pid):
    """How often the process has gone to sleep, all threads together."""
    n = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task)) as f:
            n += sum(int(line.split()[1]) for line in f
                     if line.startswith("voluntary_ctxt_switches"))
    return n


def pss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f
                   if line.startswith("Pss:"))


def idle(engine, report, seconds):
    """The demonstration, in step, and nobody touches it."""
    context = os.path.realpath(wt.scratch("demo"))
    shutil.copytree(TOP + "/conf/demo", context, dirs_exist_ok=True)
    engine.import_base("wharf-demo-base:1")
    with wt.Wharfd(engine, context) as w:
        time.sleep(3)
        pids = {"wharfd": w.process.pid}
        pids.update(("wharf-" + name, w.pid(name)) for name in wt.WORKERS)
        time.sleep(3)
        before = {name: switches(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        rows = [{"process": name, "pss_kb": pss(pid), "wakeups_per_s":
                 (switches(pid) - before[name]) / seconds}
                for name, pid in pids.items()]
    rows.append({"process": "all",
                 "pss_kb": sum(r["pss_kb"] for r in rows),
                 "wakeups_per_s": sum(r["wakeups_per_s"] for r in rows)})
    report.idle = rows
    for r in rows:
        print("idle  %(process)s  %(wakeups_per_s).2f wake-ups/s  "
              "PSS %(pss_kb)d kB" % r, flush=True)
