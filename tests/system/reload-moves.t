#!/usr/bin/python3
"""Reloads: nothing is done for who does not change, a kept container that
comes back, a service that moves to another engine, workers that die.

WHARF_RELOADS is how many reloads see a worker die (4)."""
from wharf_test import *

DEATHS = int(os.environ.get("WHARF_RELOADS") or 4)


class Configured(Wharfd):
    """wharfd -f FILE; the file is written from {service: {key: value}}."""

    def __init__(self, engine, services, **more):
        self.engines = dict({"default": engine}, **more)
        self.path = scratch("conf") + "/wharfd.yaml"
        self.configure(services)
        super().__init__(engine, None, file=self.path)

    def configure(self, services):
        default = {"network": "none", "keep": False}
        write(self.path + ".new", json.dumps({
            "engines": {n: {"host": e.host}
                        for n, e in self.engines.items()},
            "services": {n: dict(default, **s)
                         for n, s in services.items()}}))
        os.rename(self.path + ".new", self.path)

    def reload(self, services):
        self.configure(services)
        return self.ctl("reload")[0]

    def names(self):
        return sorted(s["name"] for s in self.status()["services"])

    def of(self, name):
        """The id of a service's one container, wherever it runs."""
        found = [c for e in self.engines.values() for c in e.containers(
            "label=wharf.role=app", "label=wharf.service=" + name)]
        if len(found) != 1:
            raise RuntimeError("containers of %s: %r" % (name, found))
        return found[0]

    def page(self, name, engine=None):
        return (engine or self.engine).docker(
            "exec", self.of(name), "cat", "/app/plain/page")


def untouched(w, m, name, before, what):
    """Nothing was done for this service since the monitor was started; a new
    watch has to read its tree where the set of trees has changed."""
    seen = [e["event"] for e in list(m.lines) if e.get("service") == name and
            not e["event"].startswith("service.")]
    equal((w.of(name), seen), (before, []), what)


def monitored(engine, a, b, c):
    one = {"ant": {"dir": a}, "bee": {"dir": b}}
    with Configured(engine, one) as w:
        before = w.of("bee")
        with Monitor(w) as m:
            equal(w.reload(one), 0, "a reload of the same file")
            equal(w.reload({"ant": {"dir": a, "environment": {"X": "1"}},
                            "bee": {"dir": b}, "cat": {"dir": c}}), 0,
                  "one changes, one is new")
            equal(w.sync(), 0, "both are in step")
            equal((w.page("ant"), w.page("cat")), ("first", "first"),
                  "and run")
            untouched(w, m, "bee", before, "the third is not touched")


def kept(engine, a, b):
    one = {"bee": {"dir": b}}
    both = dict(one, ant={"dir": a, "keep": True})
    with Configured(engine, both) as w:
        first = w.of("ant")
        equal(w.reload(one), 0, "a kept service is removed")
        wait_for(lambda: w.names() == ["bee"], 30, "the service to go")
        equal(w.of("ant"), first, "its container stays")
        write(a + "/plain/page", "meanwhile\n")
        equal((w.reload(both), w.sync()), (0, 0), "it comes back")
        equal((w.of("ant"), w.page("ant")), (first, "meanwhile"),
              "in the same container, with what has changed")
    engine.docker("rm", "-f", first)
    write(a + "/plain/page", "first\n")


def moves(engine, a, b):
    with Engine() as second:
        with Configured(engine, {"ant": {"dir": a}, "bee": {"dir": b}},
                        second=second) as w:
            before = w.of("bee")
            with Monitor(w) as m:
                equal(w.reload({"ant": {"dir": a, "engine": "second"},
                                "bee": {"dir": b}}), 0,
                      "a service moves to another engine")
                equal((w.sync(), w.page("ant", second)), (0, "first"),
                      "it runs there, and nowhere else")
                untouched(w, m, "bee", before, "the other is not touched")


def deaths(engine, a, b):
    rng = seeded()
    with Configured(engine, {"ant": {"dir": a}, "bee": {"dir": b}}) as w:
        for i in range(DEATHS):
            victim = rng.choice(["plan", "push", "image", "watch", "engine"])
            w.configure({"ant": {"dir": a, "environment": {"N": str(i)}},
                         "bee": {"dir": b}})
            w.process.send_signal(signal.SIGHUP)
            time.sleep(rng.random() * 0.5)
            w.kill_worker(victim)
            # HUP is taken when it is taken: then it is so
            wait_for(lambda: "ant" in w.names() and w.sync() == 0 and
                     "N=%d" % i in engine.inspect(w.of("ant"))["Config"]
                     ["Env"], 60, "the reload in which %s dies" % victim)
            equal(len(engine.containers()), 2,
                  "%s dies in a reload: it comes to the end" % victim)


def main():
    trees = [small_project() for i in range(3)]
    with Engine() as engine:
        monitored(engine, *trees)
        kept(engine, *trees[:2])
        moves(engine, *trees[:2])
        deaths(engine, *trees[:2])


run(main)
