#!/usr/bin/env python3
"""The engine worker against a real engine, without the rest of wharfd."""
import json
import subprocess
import time

from wharf_test import *
from engine_drive import *

DOCKERFILE = """\
FROM wharf-test-base:1
ARG GREETING=none
RUN echo "$GREETING" >/greeting
COPY page /app/page
CMD ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 1 & wait $!; done"]
"""


def build(d, dir):
    path = tar(dir + "/context.tar", {"Dockerfile": DOCKERFILE.encode(),
                                      "page": b"first\n"})
    a = d.ask("ENG_BUILD", body=path)
    text = a.bytes().decode()
    ok(a.status == 200 and "Successfully built" in text,
       "a context is built", "%r\n%s" % (a, text))


def bodies(d, engine, cid, dir):
    one = tar(dir + "/one.tar", {"new": b"hello\n", "page": b"second\n"})
    a = d.ask("ENG_PUT", id=cid, path="/app", body=one)
    ok(a.status == 200, "a tar is put", a)
    equal(engine.docker("exec", cid, "cat", "/app/new", "/app/page"),
          "hello\nsecond", "and is there")
    big = tar(dir + "/big.tar", {"big": bytes(range(256)) * 40960})
    a = d.ask("ENG_PUT", id=cid, path="/app", body=big)
    ok(a.status == 200, "a tar of 10 MiB is put", a)
    equal(engine.docker("exec", cid, "stat", "-c", "%s", "/app/big"),
          str(256 * 40960), "with all its bytes")

    half = tar(dir + "/half.tar", {"x1": b"1" * 5000, "x2": b"2" * 5000,
                                   "x3": b"3" * 500000})
    t = d.send("ENG_PUT", id=cid, path="/app", body=half, cut=200000)
    time.sleep(0.3)
    ok(d.last(t) is None, "a body without BODY_END is no whole body")
    d.line("type=CANCEL\ttag=" + t)
    a = d.wait(t, 5)
    equal(a.code, "cancelled", "it ends when its asker is gone")
    equal(engine.docker("exec", cid, "sh", "-c",
                        "stat -c %s /app/x3 2>&1 | grep -c 500000 || true"),
          "0", "and is never whole in the container")
    a = d.ask("ENG_PUT", id=cid, path="/app", body=half, end=512)
    equal(a.code, "invalid request", "a body longer than BODY_END fails")
    a = d.ask("ENG_PUT", id=cid, path="/app", body=half, end=99999999)
    equal(a.code, "invalid request", "a shorter one as well")

    subprocess.run(["gzip", "-k", half], check=True)
    a = d.ask("ENG_PUT", id=cid, path="/app", body=half + ".gz")
    equal(a.code, "invalid request", "a compressed tar is refused")
    a = d.ask("ENG_PUT", id=cid, path="/nowhere", body=one)
    ok(a.status == 404 and "nowhere" in a.error,
       "the engine's message comes back", a)

    a = d.ask("ENG_HEAD", id=cid, path="/app/page")
    stat = json.loads(a.bytes())
    ok(a.status == 200 and stat["name"] == "page" and stat["size"] == 7,
       "HEAD tells a path's facts", stat)
    equal(d.ask("ENG_HEAD", id=cid, path="/app/no").status, 404,
          "HEAD of nothing is 404")
    a = d.ask("ENG_GET", id=cid, path="/app/page")
    with tarfile.open(fileobj=io.BytesIO(a.bytes())) as t:
        equal(t.extractfile("page").read(), b"second\n", "GET brings a tar")
    a = d.ask("ENG_GET", id=cid, path="/app/big")
    equal(a.code, "input/output error", "but not more than 1 MiB")
    a = d.ask("ENG_GET", id=cid, path="/app/../etc/passwd")
    equal(a.code, "invalid request", "a path with .. is refused")


def execs(d, cid):
    a = d.ask("ENG_EXEC", id=cid, env=["A=b c"], workdir="/app", user="0",
              arg=["sh", "-c", "echo $A; pwd; echo err >&2; exit 5"])
    equal((a.status, a.exit, a.bytes(1), a.bytes(2)),
          (200, 5, b"b c\n/app\n", b"err\n"), "exec: streams and exit code")
    a = d.ask("ENG_EXEC", id=cid, arg=["nosuch"])
    ok(a.exit in (126, 127) and "nosuch" in a.error,
       "a command that cannot start is told", a)
    a = d.ask("ENG_EXEC", id=cid, arg=["true"], workdir="/proc/self/fd/8")
    equal(a.code, "invalid request", "no working directory below /proc")
    a = d.ask("ENG_EXEC", id=cid, arg=["sh", "-c",
                                      "dd if=/dev/zero bs=1M count=40"])
    ok(a.exit == 0 and len(a.bytes(1)) == 40 << 20, "40 MiB of output", a)
    t = d.send("ENG_EXEC", id=cid, arg=["sleep", "1000"])
    time.sleep(0.3)
    d.line("type=CANCEL\ttag=" + t)
    equal(d.wait(t, 5).code, "cancelled", "an exec is cancelled")


def gate(d, engine):
    other = engine.docker("run", "-d", "--network", "none", BASE, "sleep",
                          "1000")
    byhand = engine.docker("run", "-d", "--network", "none",
                           SERVICE["image"])
    equal(len(json.loads(d.ask("ENG_LIST").bytes())), 1,
          "strangers are not listed")
    for cid, what in (other, "a stranger's container"), \
            (byhand, "one that was run from our image by hand"):
        for kw in (dict(type="ENG_CONTAINER", op=KILL),
                   dict(type="ENG_INSPECT", op=CONTAINER),
                   dict(type="ENG_EXEC", arg=["true"]),
                   dict(type="ENG_GET", path="/etc/passwd")):
            a = d.ask(id=cid, **kw)
            equal(a.code, "refused", "%s: %s" % (kw["type"], what))
    for kw in (dict(id="../../images/json"), dict(id=other[:12]),
               dict(id=other.upper()), dict()):
        a = d.ask("ENG_CONTAINER", op=KILL, **kw)
        equal(a.code, "invalid request", "no container id: %r" % kw)
    a = d.ask("ENG_CREATE", image_id="wharf-drive:1")
    equal(a.code, "invalid request", "create wants an image's id")
    a = d.ask("ENG_CREATE", image_id="sha256:" + "0" * 64, name="other")
    equal(a.code, "invalid request", "and a name of the service")
    a = d.ask("ENG_CONTAINER", op=KILL, id=other, service_id=8)
    equal(a.code, "invalid request", "an unknown service")
    base = json.loads(d.ask("ENG_INSPECT", op=IMAGE, name=BASE).bytes())
    a = d.ask("ENG_IMAGE", op=IMAGE_REMOVE, image_id=base["Id"])
    equal(a.code, "refused", "a stranger's image is not removed")
    engine.docker("rm", "-f", other, byhand)


def life(d, engine, dir):
    image = json.loads(d.ask("ENG_INSPECT", op=IMAGE,
                             name=SERVICE["image"]).bytes())
    a = d.ask("ENG_INSPECT", op=CONTAINER, name=SERVICE["container"])
    equal(a.status, 404, "there is no container yet")
    a = d.ask("ENG_CREATE", image_id=image["Id"], context_hash="abc",
              port=["127.0.0.1:8080:8080/tcp"])
    cid = a.last.get("id", "")
    ok(a.status == 201 and len(cid) == 64, "a container is created", a)
    c = engine.inspect(cid)
    equal(c["Config"]["Labels"]["wharf.role"], "app", "with its role")
    equal(c["Config"]["Labels"]["wharf.context-hash"], "abc", "and hash")
    equal(c["HostConfig"]["PortBindings"],
          {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
          "and its ports")
    ok("X=1" in c["Config"]["Env"] and
       c["HostConfig"]["NetworkMode"] == "none" and
       not c["HostConfig"]["Privileged"], "and as configured", c)
    a = d.ask("ENG_CREATE", image_id=image["Id"])
    equal(a.status, 409, "its name is taken then")
    equal(d.ask("ENG_CONTAINER", op=START, id=cid).status, 204, "start")
    equal(d.ask("ENG_CONTAINER", op=START, id=cid).status, 304, "again")
    d.until(lambda: d.events("start", cid), 10, "start event")
    listed = json.loads(d.ask("ENG_LIST").bytes())
    equal([x["Id"] for x in listed], [cid], "it is listed")
    seen = json.loads(d.ask("ENG_INSPECT", op=CONTAINER, id=cid).bytes())
    ok(seen["State"]["Running"], "and inspected", seen["State"])
    equal(engine.docker("exec", cid, "cat", "/greeting"), "hello  you",
          "build arguments arrived")
    return cid, image["Id"]


def hang(d, engine, cid):
    t = d.send("ENG_EXEC", id=cid, arg=["sh", "-c", "sleep 9; echo done"])
    time.sleep(0.5)
    epoch = d.states()[-1]["epoch"]
    start = time.monotonic()
    engine.process.send_signal(signal.SIGSTOP)
    try:
        d.down(error="in time")
        used = time.monotonic() - start
    finally:
        engine.process.send_signal(signal.SIGCONT)
    ok(used < 6, "a stopped engine is seen after %.1f s" % used)
    d.up(epoch=epoch + 1)
    a = d.wait(t, 30)
    equal((a.exit, a.bytes(1)), (0, b"done\n"), "what ran goes on")


def away(d, engine, cid):
    t = d.send("ENG_EXEC", id=cid, arg=["sleep", "1000"])
    time.sleep(0.5)
    start = time.monotonic()
    engine.kill()
    equal(d.wait(t, 5).code, "engine away", "what runs fails")
    d.down()
    ok(time.monotonic() - start < 2, "a dead engine is seen at once")
    t = d.send("ENG_INSPECT", op=CONTAINER, id=cid)
    time.sleep(1)
    ok(d.last(t) is None, "requests wait for it")
    engine.start()
    s = d.up(epoch=3, timeout=30)
    equal(d.wait(t, 10).status, 200, "and are answered then")
    notes = [n["event"] for n in d.notes if n["frame"] == "EVENT"]
    ok(notes[-1] == "engine.up" and notes[-2] == "engine.down" and
       "engine.down" in notes[2:-2], "events tell it", notes)
    ok(s["api"] == "1.41" and s["version"].startswith("20.10"),
       "with version and API", s)
    d.ask("ENG_CONTAINER", op=START, id=cid)
    d.until(lambda: len(d.events("start", cid)) >= 2, 10, "events go on")


def end(d, cid, image):
    equal(d.ask("ENG_CONTAINER", op=RESTART, number=5, id=cid).status, 204,
          "restart")
    d.until(lambda: d.events("restart", cid), 10, "restart event")
    equal(d.ask("ENG_CONTAINER", op=RENAME, id=cid, name="drive-old").status,
          204, "rename")
    equal(d.ask("ENG_CONTAINER", op=KILL, number=15, id=cid).status, 204,
          "kill")
    e = d.until(lambda: [x for x in d.events("die", cid)
                         if x.get("exit_code") == 3], 10, "die event")
    ok(e, "die carries the exit code")
    equal(d.ask("ENG_CONTAINER", op=REMOVE, flags=FORCE, id=cid).status, 204,
          "remove")
    d.until(lambda: d.events("destroy", cid), 10, "destroy event")
    equal(d.ask("ENG_CONTAINER", op=KILL, id=cid).status, 404, "gone")
    equal(d.ask("ENG_IMAGE", op=TAG, image_id=image,
                name="wharf-drive:2").status, 201, "tag")
    equal(d.ask("ENG_IMAGE", op=TAG, image_id=image, name="else:2").code,
          "invalid request", "but not another repository")
    equal(d.ask("ENG_IMAGE", op=IMAGE_REMOVE, image_id=image).code, "refused",
          "an image that somebody has tagged stays")
    equal(d.ask("ENG_IMAGE", op=IMAGE_REMOVE, flags=FORCE,
                image_id=image).status, 200, "an image of ours is removed")
    keys = [(x["time_ns"], x["id"], x["action"]) for x in d.events()]
    equal(len(keys), len(set(keys)), "no event came twice")


def main():
    dir = scratch("drive")
    with Engine() as engine, Drive(
            engine.host, dict(network="none", build_arg="GREETING=hello  you"),
            env=["X=1"], more=["sandbox=on", "uid=64999"]) as d:
        s = d.up()
        equal(s["api"], "1.41", "negotiated")
        item = d.send("STATUS_ENGINE")
        a = d.wait(item)
        equal((a.type, a.frames[0]["state"]), ("OK", "up"), "status")
        build(d, dir)
        cid, image = life(d, engine, dir)
        bodies(d, engine, cid, dir)
        execs(d, cid)
        gate(d, engine)
        hang(d, engine, cid)
        away(d, engine, cid)
        end(d, cid, image)
        equal(d.stop(), 0, "it ends when told to")


run(main)
