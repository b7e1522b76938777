#!/usr/bin/python3
"""Random changes while the engine is killed and started again: nothing is
lost, and steps run neither unnoticed nor without need.  Effects are counted
from the engine's events and from files inside the container."""
from wharf_test import *
from project import COUNTS, Project

CHANGES = int(os.environ.get("WHARF_CHANGES", 2000))
KILLS = int(os.environ.get("WHARF_KILLS", 5))


def runs(w, step):
    """How often the container has run a step, its image's build included."""
    return (w.cat("%s/%s" % (COUNTS, step)) or b"").count(b"\n")


def started(events, container, step):
    """exec_start events of a step; it is known by the file it counts in."""
    return sum(1 for e in list(events.events) if e["Type"] == "container" and
               e["Action"].startswith("exec_start:") and
               e["Actor"]["ID"] == container and
               ">>%s/%s" % (COUNTS, step) in e["Action"])


def settle(w, name):
    equal(w.sync(120), 0, name) or diag(w.why())
    time.sleep(1)       # for a step that would follow without need


def main():
    rng = seeded()
    project = Project(rng)
    with Engine() as engine:
        events = Events(engine)
        with Wharfd(engine, project.dir) as w:
            check(rng, project, engine, events, w)
        events.stop()


def check(rng, project, engine, events, w):
    first = w.container()
    equal((runs(w, "lib"), runs(w, "src")), (1, 1),
          "a fresh container has run each step once, in its build")
    when = set(rng.sample(range(CHANGES // 10, CHANGES), KILLS))
    for i in range(CHANGES):
        project.change()
        if rng.random() < 0.3:
            time.sleep(rng.random() * 0.06)
        if i in when:
            time.sleep(rng.random() * 0.2)
            engine.kill()
            for _ in range(rng.randrange(20)):
                project.change()
            # Containers outlive one engine, and end with the next.
            engine.start(*rng.choice([[], ["--live-restore"]]))
    diag(project.counts)
    settle(w, "sync after %d changes and %d kills" % (CHANGES, KILLS))
    assert_same_tree(engine, w.container(), project.dir,
                     "the container's tree is that of docker build",
                     [COUNTS])
    now = w.container()
    diag("the container was %s" % ("kept" if now == first else "replaced"))
    for step in ("lib", "src"):
        n, e = runs(w, step) - 1, started(events, now, step)
        diag("step %s: %d runs in the container, %d exec_start" %
             (step, n, e))
        # The event of the moment of a kill may be lost with the engine; the
        # step of such a moment may not have begun.
        ok(abs(n - e) <= KILLS, "%s: the file and the events agree" % step)
        ok(n <= CHANGES + 20 * KILLS, "%s: no more runs than changes" % step)

    # Nothing changed: an engine that comes back is no reason to run a step.
    before = [runs(w, s) for s in ("lib", "src")]
    engine.kill()
    engine.start()
    settle(w, "sync after a kill without changes")
    if w.container() == now:
        equal([runs(w, s) for s in ("lib", "src")], before,
              "a kill without changes runs no step again")
    else:
        ok(False, "a kill without changes replaces no container")

    # One change below src: its step runs once, the one above it not at all.
    write(project.dir + "/src/one.in", "one more\n", 0o644)
    settle(w, "sync after one change")
    equal([runs(w, s) for s in ("lib", "src")], [before[0], before[1] + 1],
          "one change runs its own step, once")
    write(project.dir + "/once.log", "ignored\n", 0o644)
    write(project.dir + "/doc/no-step", "copied after the last step\n", 0o644)
    settle(w, "sync after changes that no step depends on")
    equal([runs(w, s) for s in ("lib", "src")], [before[0], before[1] + 1],
          "they run no step")


run(main)
