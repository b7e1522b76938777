#!/usr/bin/python3
"""wharfd -f FILE: several services, includes, and reloads that touch what has
changed and nothing else.

WHARF_SERVICES is how many services the large reload has (200)."""
from wharf_test import *

MANY = int(os.environ.get("WHARF_SERVICES") or 200)


def tree(name):
    path = os.path.realpath(scratch(name))
    write(path + "/Dockerfile", "FROM %s\nCOPY page /page\nCMD "
          '["sleep", "100000"]\n' % BASE)
    write(path + "/page", "first\n")
    return path


class Config:
    """A configuration file: {service: {key: value}}, JSON being YAML."""

    def __init__(self, engine, services):
        self.engine, self.services = engine, services
        self.path = scratch("conf") + "/wharfd.yaml"
        self.write()

    def write(self):
        text = json.dumps({"engines": {"e": {"host": self.engine.host}},
                           "services": self.services}, indent=1)
        tmp = self.path + ".new"
        write(tmp, text)
        os.rename(tmp, self.path)


def service(path, **more):
    return dict({"dir": path, "network": "none", "keep": False}, **more)


def ids(engine):
    """{service: container id}"""
    lines = engine.docker("ps", "-q", "--no-trunc", "--format",
                          '{{.Label "wharf.service"}} {{.ID}}').splitlines()
    return dict(line.split() for line in lines)


def started(engine):
    """{service: (id, when it started)}"""
    now = ids(engine)
    if not now:
        return {}
    info = json.loads(engine.docker("inspect", *now.values()))
    return {c["Config"]["Labels"]["wharf.service"]:
            (c["Id"], c["State"]["StartedAt"]) for c in info}


def few(engine):
    a, b, late = tree("a"), tree("b"), os.path.realpath(scratch("x")) + "/late"
    conf = Config(engine, {"one": service(a), "two": service(b)})
    with Wharfd(engine, a, file=conf.path) as w:
        first = started(engine)
        equal(sorted(first), ["one", "two"], "two services, two containers")
        equal([s["name"] for s in w.status()["services"]], ["one", "two"],
              "both are in the status")
        bad(engine, w, conf, first)
        conf.services["one"]["environment"] = {"X": "y"}
        conf.write()
        equal(w.ctl("reload")[0], 0, "a reload")
        equal(w.sync(), 0, "in step after it")
        now = started(engine)
        equal(now["two"], first["two"], "who did not change is not touched")
        ok(now["one"][0] != first["one"][0], "who did has a new container")
        ok("X=y" in engine.inspect(now["one"][0])["Config"]["Env"],
           "which is as configured")
        conf.services["three"] = service(late)
        del conf.services["one"]
        conf.write()
        w.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "one" not in ids(engine), 30,
                 "the removed service's container goes")
        os.rename(tree("t"), late)
        wait_for(lambda: "three" in ids(engine), 60,
                 "a root that comes later is served")
        equal(w.sync(), 0, "in step with a root that came later")
        equal(started(engine)["two"], first["two"],
              "a new root does not touch the others")
        write(b + "/page", "second\n")
        equal(w.sync(), 0, "a change after reloads is live")
        equal(engine.docker("exec", now["two"][0], "cat", "/page"), "second",
              "in the container")
    equal(engine.containers(), [], "keep: false leaves nothing")


def bad(engine, w, conf, first):
    """A file with an error changes nothing and says why."""
    conf.services["one"]["nonsense"] = 1
    conf.write()
    code, _, err = w.ctl("reload")
    equal(code, 65, "a bad file is exit code 65")
    ok("nonsense" in err and ":" in err and conf.path in err,
       "the file, the place and the key are named", err)
    equal(started(engine), first, "and nothing has changed")
    equal(w.sync(), 0, "it serves as before")
    del conf.services["one"]["nonsense"]
    conf.write()
    equal(w.ctl("reload")[0], 0, "the old file again")
    equal(started(engine), first, "which touches nothing")


def many(engine):
    path = tree("many")
    conf = Config(engine, {"s%d" % i: service(path) for i in range(MANY)})
    with Wharfd(engine, path, file=conf.path, wait=False) as w:
        w.await_container(900)
        first = started(engine)
        equal(len(first), MANY, "%d services run" % MANY)
        events = Events(engine)
        changed = ["s1", "s%d" % (MANY // 2), "s%d" % (MANY - 1)]
        for name in changed:
            conf.services[name]["environment"] = {"CHANGED": "yes"}
        conf.write()
        equal(w.ctl("reload")[0], 0, "a reload of %d services" % MANY)
        equal(w.sync(300), 0, "in step after it")
        now = started(engine)
        equal(sorted(n for n in now if now[n] != first.get(n)),
              sorted(changed), "3 changed, 3 are touched")
        touched = {e["Actor"]["Attributes"].get("wharf.service")
                   for e in events.events if e["Type"] == "container"}
        equal(touched, set(changed), "the engine saw nothing of the others")
        events.stop()
        engine.docker("rm", "-f", *(i for i, _ in now.values()))


def main():
    with Engine() as engine:
        few(engine)
        many(engine)


run(main)
