#!/usr/bin/python3
"""Reloads while files change all the time, good files and bad ones in turn,
by wharfctl and by SIGHUP: a bad file changes nothing, nothing is lost, and
the supervisor is as it was.  WHARF_RELOADS at 10 a second, WHARF_RATE changes
a second."""
from fault_test import *
from project import COUNTS, Changer, Project

RELOADS = count("RELOADS", 40, 1000)
RATE = count("RATE", 50, 200)
EVERY = 0.1     # s between reloads


class File:
    """The configuration: the project, and a service that always changes."""

    def __init__(self, engine, project):
        self.path = scratch("conf") + "/wharfd.yaml"
        self.host, self.main = engine.host, project.dir
        self.other = small_project()
        self.write(0)

    def write(self, n, bad=False):
        both = {"main": self.service(self.main, {})}
        if n % 8 < 6:       # and at times it is not there
            both["other"] = self.service(self.other, {"N": str(n)})
        if bad:
            both["main"]["no such key"] = n
        write(self.path + ".new", json.dumps(
            {"engines": {"e": {"host": self.host}}, "services": both}))
        os.rename(self.path + ".new", self.path)

    def service(self, path, env):
        return {"dir": path, "network": "none", "keep": False,
                "environment": env}


def reload_all(w, conf, rng):
    """Exit codes of the reloads: {code: times}, and wrong ones."""
    codes, wrong = {}, []
    for n in range(1, RELOADS + 1):
        start, bad = time.monotonic(), n % 2 == 0
        conf.write(n, bad)
        if rng.random() < 0.1:
            w.process.send_signal(signal.SIGHUP)
        else:
            rc, _, err = w.ctl("reload")
            codes[rc] = codes.get(rc, 0) + 1
            # busy with that of a signal, which may read this file too
            if rc not in ((65, 75) if bad else (0, 75)):
                wrong.append((n, rc, err))
        time.sleep(max(0, start + EVERY - time.monotonic()))
    return codes, wrong


def main():
    rng = seeded()
    project = Project(rng)
    with Engine() as engine:
        conf = File(engine, project)
        with Daemon(engine, project.dir, file=conf.path) as w:
            pid, first = w.process.pid, w.container()
            wait_for(w.ready, 30, "all workers run")
            files, size = fds(pid), rss(pid)
            before = {n: x["pid"] for n, x in w.ready().items()}
            changer = Changer(project, RATE)
            changer.start()
            codes, wrong = reload_all(w, conf, rng)
            equal(changer.stop(), None, "the changes were made")
            diag("%d changes, reloads by exit code: %r" % (changer.n, codes))
            equal(wrong, [], "%d reloads: good ones are taken, bad ones "
                  "refused" % RELOADS)
            conf.write(0)
            equal(wait_for(lambda: w.ctl("reload")[0] != 75, 60,
                           "no reload is under way"), True, "a last reload")
            equal(w.sync(180), 0, "sync after them") or diag(w.why())
            equal(w.container(), first,
                  "the service that did not change has its container")
            assert_same_tree(engine, first, project.dir,
                             "the tree is that of docker build", [COUNTS])
            after = {n: x["pid"] for n, x in w.ready().items()}
            same = [n for n in ("control", "engine", "plan")
                    if before[n] == after[n]]
            equal(same, ["control", "engine", "plan"],
                  "who reads no files took it all without a restart")
            equal(crashes(w), [], "nobody crashed")
            ok(fds(pid) <= files, "its file descriptors: %d, at first %d" %
               (fds(pid), files))
            diag("its memory: %d KiB, at first %d" % (rss(pid), size))
            ok(rss(pid) < size + 4096 or "san" in BUILD, "its memory is flat")
            equal(w.stop(), 0, "wharfd stops cleanly")


run(main)
