#!/usr/bin/python3
"""Random changes while workers are killed: the container ends as docker build
would make it.  WHARF_SEED, WHARF_CHANGES and WHARF_KILLS set the run."""
from wharf_test import *
from project import COUNTS, Project

CHANGES = int(os.environ.get("WHARF_CHANGES", 2000))
KILLS = int(os.environ.get("WHARF_KILLS", 25))


def schedule(rng):
    """{number of a change: [workers to kill after it]}"""
    victims = [WORKERS[i % len(WORKERS)] for i in range(KILLS)]
    rng.shuffle(victims)
    when = {}
    for v in victims:
        when.setdefault(rng.randrange(CHANGES), []).append(v)
    return when


def kill(w, worker, rng):
    time.sleep(rng.random() * 0.05)
    wait_for(lambda: w.kill_worker(worker), 40,
             "worker %s runs, to be killed" % worker)


def main():
    rng = seeded()
    project = Project(rng)
    with Engine() as engine, Wharfd(engine, project.dir) as w:
        assert_same_tree(engine, w.container(), project.dir,
                         "the container starts as docker build makes it",
                         [COUNTS])
        killed, when = 0, schedule(rng)
        for i in range(CHANGES):
            project.change()
            if rng.random() < 0.3:
                time.sleep(rng.random() * 0.06)
            for worker in when.get(i, ()):
                kill(w, worker, rng)
                killed += 1
        equal(killed, KILLS, "%d workers were killed" % KILLS)
        diag(project.counts)
        equal(w.sync(120), 0, "sync after %d changes" % CHANGES) or \
            diag(w.why())
        assert_same_tree(engine, w.container(), project.dir,
                         "the container's tree is that of docker build",
                         [COUNTS])
        status = w.status()
        ok(sum(x["restarts"] for x in status["workers"]) >= KILLS,
           "every kill shows in the status", status["workers"])
        ok(status["services"][0]["in_step"], "the service is in step",
           w.why())
        ok(w.process.poll() is None and status["pid"] == w.process.pid,
           "the supervisor is the one that was started")
        equal(w.stop(), 0, "wharfd stops cleanly")


run(main)
