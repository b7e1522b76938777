#!/usr/bin/python3
"""wharfd -d DIR: start, edit, replay, delete, rebuild, stop; --keep, adoption,
published ports, a container that is ended by others."""
from wharf_test import *
import basics


def keep(engine):
    """--keep leaves the container; the next start adopts it and catches up
    on what has changed in between."""
    ctx = small_project()
    with Wharfd(engine, ctx, ["--keep"]) as w:
        first = w.container()
        equal(w.stop(signal.SIGTERM), 0, "exit code 0 after TERM")
        equal(engine.containers(), [first], "--keep keeps the container")
    write(ctx + "/plain/page", "changed while nobody looked\n")
    os.unlink(ctx + "/plain/old")
    state = w.environment()["XDG_STATE_HOME"]
    with Wharfd(engine, ctx, env={"XDG_STATE_HOME": state}) as w:
        equal(w.container(), first, "it is adopted by its label")
        equal(w.cat("/app/plain/page"), b"changed while nobody looked\n",
              "an edit of the time between is live")
        equal(w.cat("/app/plain/old"), None, "a delete as well")


def gone(engine):
    """The container is removed behind wharfd's back."""
    ctx = small_project()
    with Wharfd(engine, ctx) as w:
        engine.docker("rm", "-f", w.container())
        write(ctx + "/plain/page", "after the removal\n")
        rc = w.sync(60)
        ok(rc in (0, 69), "sync says whether it can: exit code %d" % rc)
        if rc == 0:
            equal(w.cat("/app/plain/page"), b"after the removal\n",
                  "in step again in another container")
        else:
            s = w.service()
            ok(not s["in_step"] and s["why"], "status says why not", s)


def published(engine):
    """EXPOSEd ports are published on 127.0.0.1 and printed."""
    ctx = small_project()
    write(ctx + "/Dockerfile", DOCKERFILE.replace(
        SERVE, "trap 'exit 0' TERM; httpd -f -p 8080 -h /app/plain & wait"))
    with Wharfd(engine, ctx) as w:
        ports = engine.inspect(w.container())["NetworkSettings"]["Ports"]
        bound = ports.get("8080/tcp") or []
        equal([b["HostIp"] for b in bound], ["127.0.0.1"],
              "EXPOSE 8080 is published on 127.0.0.1 only")
        ok(bound and "127.0.0.1:" + bound[0]["HostPort"] in w.log(),
           "the address is printed", w.log())
        with socket.create_connection(("127.0.0.1",
                                       int(bound[0]["HostPort"])), 5) as s:
            s.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: s.recv(4096), b""))
        ok(text.endswith(b"first\n"), "the page is served there", text)


def main():
    with Engine() as engine:
        basics.whole_life(engine)
        keep(engine)
        gone(engine)
    with Engine(bridge=True) as engine:
        published(engine)


run(main)
