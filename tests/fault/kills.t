#!/usr/bin/python3
"""Every worker is killed over and over while files change all the time: at the
end the container is what docker build makes of the directory, nothing is set
aside, and the supervisor is as it was.  WHARF_KILLS is for each worker,
WHARF_RATE changes a second."""
from fault_test import *
from project import COUNTS, Changer, Project

KILLS = count("KILLS", 5, 1000)
RATE = count("RATE", 50, 200)
ROUND = 1.3     # s between kills of one worker, about


def child(pid, name):
    """A worker's process, by /proc: control may be the one that is down."""
    for p in descendants(pid):
        if is_worker(p, name):
            return p
    return None


def kill_all(w, rng):
    """Kills that hit, by worker."""
    hits = dict.fromkeys(WORKERS, 0)
    while min(hits.values()) < KILLS and w.lives():
        order = [n for n in WORKERS if hits[n] < KILLS]
        rng.shuffle(order)
        start = time.monotonic()
        for i, name in enumerate(order):
            pid = child(w.process.pid, name)
            if pid is not None and age(pid) > SETTLED:
                os.kill(pid, signal.SIGKILL)
                hits[name] += 1
            due = start + ROUND * (i + 0.5 + rng.random() / 2) / len(order)
            time.sleep(max(0, due - time.monotonic()))
    return hits


def recovery(w):
    """ms from death to READY, as the supervisor has measured them."""
    return [int(x) / 1000 for x in re.findall(
        r"generation \d+, ([1-9]\d*) us after", w.log())]


def main():
    rng = seeded()
    project = Project(rng)
    with Engine() as engine, Daemon(engine, project.dir, ["-v"]) as w:
        pid = w.process.pid
        wait_for(w.ready, 30, "all workers run")
        files, size = fds(pid), rss(pid)
        changer = Changer(project, RATE)
        changer.start()
        hits = kill_all(w, rng)
        equal(changer.stop(), None, "the changes were made")
        diag("%d changes, kills: %r" % (changer.n, hits))
        ok(w.lives() and min(hits.values()) >= KILLS,
           "%d kills of each worker, and the supervisor lives" % KILLS, hits)
        equal(w.sync(180), 0, "sync after them") or diag(w.why())
        assert_same_tree(engine, w.container(), project.dir,
                         "the tree is that of docker build", [COUNTS])
        s = w.service()
        ok(s["in_step"] and not s["set_aside"], "nothing was set aside", s)
        ms = recovery(w)
        diag("death to READY of %d: p50 %.1f ms, p99 %.1f ms, max %.1f ms" %
             (len(ms), percentile(ms, 50), percentile(ms, 99), max(ms)))
        ok(len(ms) >= min(hits.values()), "the supervisor has seen them")
        wait_for(w.ready, 60, "all workers run")
        ok(fds(pid) <= files, "its file descriptors: %d, at first %d" %
           (fds(pid), files))
        diag("its memory: %d KiB, at first %d" % (rss(pid), size))
        ok(rss(pid) < size + 4096 or "san" in BUILD, "its memory is flat")
        diag("said of comparisons that kill: %d times" %
             w.log().count("dies of comparing"))
        equal(w.stop(), 0, "wharfd stops cleanly")


run(main)
