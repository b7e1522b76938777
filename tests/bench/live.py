"""What a change costs with an engine: save, step, restart, many files.

The clock starts at close(2) of what is saved and ends when the content can be
read in the container.  That is looked for from outside, in the upper layer of
the container's overlayfs, every 0.2 ms.  The baseline has a container of its
own on the same engine, from the same Dockerfile, and is asked by a bare
client of the engine's socket.
"""
import http.client
import io
import json
import os
import socket
import tarfile
import time

import wharf_test as wt
from figures import Case

LOOK_S = 0.0002
PATIENCE_S = 60
STEP = "cat words/* | tr a-z A-Z >loud"
DOCKERFILE = """\
FROM %s
WORKDIR /app
COPY words/ words/
RUN %s
COPY plain/ plain/
CMD ["sh", "-c", "echo >>starts; %s"]
""" % (wt.BASE, STEP, wt.SERVE)
SAVED = 10      # files saved in turn: one alone is held to once a second
DIRS = 10       # that the many files lie in
SIZE = 1024     # bytes of each


class Bare:
    """One request on one connection to the engine's socket."""

    def __init__(self, engine):
        self.path = engine.sock

    def send(self, method, url, body=None, kind="application/json"):
        c = http.client.HTTPConnection("engine")
        c.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        c.sock.connect(self.path)
        head = {} if body is None else {"Content-Type": kind}
        c.request(method, "/v1.41" + url, body, head)
        return c

    def answer(self, c):
        r = c.getresponse()
        data = r.read()
        c.close()
        if r.status >= 300:
            raise RuntimeError("the engine answers %d: %r" % (r.status, data))
        return data

    def call(self, *request):
        return self.answer(self.send(*request))

    def put(self, container, tar):
        return self.send("PUT", "/containers/%s/archive?path=/app" %
                         container, tar, "application/x-tar")

    def exec(self, container, script):
        """The two calls of a step; returns when it has ended."""
        made = json.loads(self.call(
            "POST", "/containers/%s/exec" % container, json.dumps(
                {"AttachStdout": True, "AttachStderr": True,
                 "WorkingDir": "/app", "Cmd": ["/bin/sh", "-c", script]})))
        self.call("POST", "/exec/%s/start" % made["Id"],
                  json.dumps({"Detach": False, "Tty": False}))


def make_tar(files):
    """{name: bytes} as the tar of a bare client."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, data in files.items():
            m = tarfile.TarInfo(name)
            m.size, m.mode, m.mtime = len(data), 0o644, int(time.time())
            t.addfile(m, io.BytesIO(data))
    return out.getvalue()


def save(path, data):
    """Overwrites a file; returns the time of its close(2)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, data)
    now = time.monotonic()
    os.close(fd)
    return now


def read(path):
    try:
        with open(path, "rb", buffering=0) as f:
            return f.read()
    except OSError:
        return None


def until(condition, what):
    """The time when condition() was first seen to be true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("after %d s not live: %s" % (PATIENCE_S, what))
        time.sleep(LOOK_S)
    return time.monotonic()


class Box:
    """A container, looked at from outside."""

    def __init__(self, engine, container):
        self.id = container
        self.upper = engine.inspect(container)["GraphDriver"]["Data"][
            "UpperDir"] + "/app/"

    def live(self, name, data):
        return until(lambda: read(self.upper + name) == data, name)

    def all_live(self, files):
        for name, data in files.items():
            now = self.live(name, data)
        return now

    def starts(self):
        """How often the main process has begun."""
        return len(read(self.upper + "starts"))

    def started(self, before):
        return until(lambda: self.starts() > before, "a start")


class Pair:
    """A directory with wharfd's container, and the bare client's."""

    def __init__(self, engine, w, context):
        self.w, self.context = w, context
        self.bare = Bare(engine)
        self.mine = Box(engine, w.container())
        image = engine.build(context)
        self.other = Box(engine, engine.docker(
            "run", "-d", "--network", "none", image))
        until(lambda: read(self.other.upper + "starts"), "the bare container")

    def settle(self):
        if self.w.sync() != 0:
            raise RuntimeError("not in step:\n" + self.w.why())

    # one file, and the restart that follows it

    def saved(self, i):
        """Save -> live and save -> started again, of one save."""
        name, data = "plain/page-%d" % (i % SAVED), b"page of round %d\n" % i
        before = self.mine.starts()
        t = save(self.context + "/" + name, data)
        live = self.mine.live(name, data) - t
        again = self.mine.started(before) - t
        self.settle()
        return live, again

    def bare_put(self, i):
        name, data = "plain/page-%d" % (i % SAVED), b"page of round %d\n" % i
        tar = make_tar({name: data})
        t = time.monotonic()
        c = self.bare.put(self.other.id, tar)
        live = self.other.live(name, data) - t
        self.bare.answer(c)
        return live

    def bare_restart(self):
        before = self.other.starts()
        t = time.monotonic()
        c = self.bare.send("POST", "/containers/%s/restart?t=10" %
                           self.other.id)
        again = self.other.started(before) - t
        self.bare.answer(c)
        return again

    # a file that a RUN follows

    def step(self, i):
        word = b"word %d\n" % i
        t = save(self.context + "/words/one", word)
        live = self.mine.live("loud", word.upper()) - t
        self.settle()
        return live

    def bare_step(self, i):
        word = b"word %d\n" % i
        self.bare.answer(self.bare.put(self.other.id, make_tar(
            {"words/one": word})))
        t = time.monotonic()
        self.bare.exec(self.other.id, STEP)
        return self.other.live("loud", word.upper()) - t


def small(engine, report, n):
    context = os.path.realpath(wt.scratch("save"))
    wt.write(context + "/Dockerfile", DOCKERFILE)
    wt.write(context + "/words/one", "none\n")
    for i in range(SAVED):
        wt.write("%s/plain/page-%d" % (context, i), "none\n")
    live = Case("save -> live", "bare PUT")
    again = Case("save -> live and restarted", "bare restart")
    step = Case("save -> its RUN step replayed", "bare exec")
    with wt.Wharfd(engine, context) as w:
        p = Pair(engine, w, context)
        both, bare = [], []
        Case("", "").rounds(n, lambda i: both.append(p.saved(i)) or 0,
                            lambda i: bare.append(
                                (p.bare_put(i), p.bare_restart())) or 0)
        for k, case in ((0, live), (1, again)):
            case.ours = [x[k] for x in both[-n:]]
            case.bare = [x[k] for x in bare[-n:]]
            report.add(case)
        step.rounds(n, p.step, p.bare_step)
        report.add(step)


def many_files(count, i):
    """Names in order, contents of round i."""
    return {"plain/%d/%05d" % (k * DIRS // count, k):
            (b"round %d of file %d\n" % (i, k)).ljust(SIZE, b".")
            for k in range(count)}


def write_all(top, files):
    for name, data in files.items():
        save(top + "/" + name, data)


def many(engine, report, count, n):
    """All files are overwritten, here and there; the writing counts for
    both."""
    context = os.path.realpath(wt.scratch("many"))
    beside = wt.scratch("beside")
    wt.write(context + "/Dockerfile", DOCKERFILE)
    wt.write(context + "/words/one", "none\n")
    for top in (context, beside):
        for d in range(DIRS):
            os.makedirs("%s/plain/%d" % (top, d))
        write_all(top, many_files(count, -1))
    case = Case("{:,} files written -> all live".format(count),
                "the same writes, one bare PUT of a ready tar")
    with wt.Wharfd(engine, context) as w:
        p = Pair(engine, w, context)

        def ours(i):
            files = many_files(count, i)
            t = time.monotonic()
            write_all(context, files)
            live = p.mine.all_live(files) - t
            p.settle()
            return live

        def bare(i):
            files = many_files(count, i)
            tar = make_tar(files)
            t = time.monotonic()
            write_all(beside, files)
            c = p.bare.put(p.other.id, tar)
            live = p.other.all_live(files) - t
            p.bare.answer(c)
            return live

        case.rounds(n, ours, bare, warmup=1)
    report.add(case)
