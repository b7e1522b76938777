"""Fixtures of the system tests: an engine, a daemon, trees, TAP.

A test is a program NAME.t beside this file that speaks TAP:

    from wharf_test import *

    def main():
        with Engine() as engine, Wharfd(engine, project()) as w:
            ok(w.sync() == 0, "the container starts in step")

    run(main)

run() puts the test under tests/isolate where it is not already, so that each
can be started by hand:  tests/system/NAME.t
"""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("WHARF_BUILD", TOP + "/build"))
DOCKER = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
BASE = "wharf-test-base:1"
WORKERS = ["watch", "engine", "image", "push", "plan", "control"]
TMP = os.environ.get("WHARF_TMP")

# ---------------------------------------------------------------- TAP

_count = 0
_failed = 0
_scratched = 0
_noted = []     # objects whose logs explain a failure


def diag(text):
    for line in str(text).splitlines():
        print("# " + line.encode("ascii", "backslashreplace").decode(),
              flush=True)


def ok(good, name, why=""):
    """Prints one TAP result; `why` is shown where it fails."""
    global _count, _failed
    _count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", _count,
                          name.replace("#", "")), flush=True)
    if not good:
        _failed += 1
        if why != "":
            diag(why)
    return bool(good)


def equal(got, want, name):
    return ok(got == want, name, "got:  %r\nwant: %r" % (got, want))


def isolate():
    """Starts this program again under tests/isolate, unless it is there."""
    if TMP is None:
        os.execv(TOP + "/tests/isolate",
                 ["isolate", sys.executable] + sys.argv)


def run(main):
    """Runs main() and prints the plan; a failure shows the daemon's log."""
    isolate()
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))
    try:
        main()
    except Exception:
        ok(False, "the test ran to its end", traceback.format_exc())
    if _failed:
        for thing in _noted:
            diag(thing.tail())
    print("1..%d" % _count, flush=True)
    sys.exit(1 if _failed else 0)


def wait_for(condition, timeout, what):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("after %g s still not: %s" % (timeout, what))
        time.sleep(0.02)


def seeded():
    """The random source of a test; the seed is printed, WHARF_SEED sets it."""
    seed = int(os.environ.get("WHARF_SEED") or
               int.from_bytes(os.urandom(4), "big"))
    diag("seed %d (again with WHARF_SEED=%d)" % (seed, seed))
    return random.Random(seed)


SERVE = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
DOCKERFILE = """\
FROM wharf-test-base:1
WORKDIR /app
COPY words/ words/
RUN echo run >>/var/runs && cat words/* | tr a-z A-Z >loud
COPY plain/ plain/
EXPOSE 8080
CMD ["sh", "-c", "%s"]
""" % SERVE


def small_project():
    """A context with one step (loud from words/) and plain files."""
    path = os.path.realpath(scratch("small"))
    write(path + "/Dockerfile", DOCKERFILE, 0o644)
    write(path + "/.dockerignore", "*.log\nplain/secret\n", 0o644)
    write(path + "/words/one", "one\n", 0o644)
    write(path + "/words/two", "two\n", 0o644)
    write(path + "/plain/page", "first\n", 0o644)
    write(path + "/plain/old", "old\n", 0o644)
    write(path + "/plain/secret", "secret\n", 0o644)
    return path


def scratch(name):
    """A new directory that everyone may enter and that ends with the test."""
    global _scratched
    _scratched += 1
    path = "%s/%s-%d-%d" % (TMP or tempfile.gettempdir(), name, os.getpid(),
                            _scratched)
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)
    return path


def write(path, data, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb" if isinstance(data, bytes) else "w") as f:
        f.write(data)
    if mode is not None:
        os.chmod(path, mode)


# ---------------------------------------------------------------- engine

class Engine:
    """A dockerd of our own.  kill() is SIGKILL; start() starts it again."""

    def __init__(self, bridge=False):
        self.dir = scratch("engine")
        self.sock = self.dir + "/s.sock"
        self.host = "unix://" + self.sock
        self.bridge = bridge
        self.process = None
        self.gid = None
        self.end = None     # what the log ended with
        _noted.append(self)

    def __enter__(self):
        self.start()
        self.import_base()
        return self

    def __exit__(self, *exc):
        self.stop()
        self.end = self.tail()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, *more):
        args = ["dockerd", "--iptables=false", "--ip6tables=false",
                "--exec-opt", "native.cgroupdriver=cgroupfs",
                "--cgroup-parent", "/" + os.environ["WHARF_CGROUP"],
                "--data-root", self.dir + "/data",
                "--exec-root", self.dir + "/exec",
                "-p", self.dir + "/pid", "-H", self.host]
        args += ["--ip-masq=false"] if self.bridge else ["--bridge=none"]
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(
                args + list(more), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)
        wait_for(self.alive, 60, "the engine answers")
        if self.gid is not None:
            self.allow(self.gid)

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError("dockerd ended with %d\n%s" % (
                self.process.returncode, self.tail()))
        return subprocess.run([DOCKER, "-H", self.host, "version"],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def allow(self, gid):
        """Gives the socket to a group, as Debian does to `docker`."""
        self.gid = gid
        os.chown(self.sock, 0, gid)
        os.chmod(self.sock, 0o660)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def docker(self, *args, check=True, **kw):
        """Runs the Docker client, returns its standard output."""
        p = subprocess.run([DOCKER, "-H", self.host] + list(args),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=dict(os.environ, DOCKER_BUILDKIT="0"), **kw)
        if check and p.returncode != 0:
            raise RuntimeError("docker %s: %s" % (
                " ".join(args), p.stderr.decode("utf-8", "replace")))
        return p.stdout.decode("utf-8", "replace").strip()

    def import_base(self, ref=BASE):
        tar = subprocess.run([TOP + "/packaging/base-image"],
                             stdout=subprocess.PIPE, check=True).stdout
        self.docker("import", "-", ref, input=tar)

    def build(self, context, tag=None):
        """docker build without cache; returns the image's id."""
        args = ["build", "-q", "--no-cache"]
        if not self.bridge:
            args += ["--network", "none"]
        if tag:
            args += ["-t", tag]
        return self.docker(*args, context)

    def inspect(self, what):
        return json.loads(self.docker("inspect", what))[0]

    def containers(self, *filters):
        """Full ids of the containers, running or not, that match."""
        args = [x for f in filters for x in ("--filter", f)]
        return self.docker("ps", "-aq", "--no-trunc", *args).split()

    def tail(self):
        if self.end is not None:
            return self.end
        with open(self.dir + "/log", errors="replace") as f:
            return "engine:\n" + "".join(f.readlines()[-15:])


class Events:
    """Follows the engine's events across its restarts, each event once.

    What an engine had not sent when it was killed is lost with it.  Images
    that get the name `hold` get a second one, so that they can be looked at
    when they have been replaced."""

    def __init__(self, engine, hold=None):
        self.engine, self.hold = engine, hold
        self.events = []
        self.seen = set()
        self.since = "%.9f" % time.time()
        self.ended = False
        self.client = None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.ended:
            self.client = subprocess.Popen(
                [DOCKER, "-H", self.engine.host, "events", "--since",
                 self.since, "--format", "{{json .}}"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for line in self.client.stdout:
                if line in self.seen:
                    continue
                self.seen.add(line)
                e = json.loads(line)
                self.events.append(e)
                if self.hold is not None and is_tag(e, self.hold):
                    self.engine.docker("tag", e["Actor"]["ID"], "held:%d" %
                                       len(self.events), check=False)
                self.since = "%d.%09d" % divmod(e["timeNano"], 10**9)
            self.client.wait()
            time.sleep(0.05)

    def count(self, kind, action, actor=None):
        return sum(1 for e in list(self.events) if e["Type"] == kind and
                   e["Action"].startswith(action) and
                   (actor is None or e["Actor"]["ID"] == actor))

    def tagged(self, name):
        """Ids of all images that ever had this name, in order."""
        return list(dict.fromkeys(
            e["Actor"]["ID"] for e in list(self.events) if is_tag(e, name)))

    def stop(self):
        self.ended = True
        if self.client:
            self.client.terminate()
        self.thread.join(5)


def is_tag(event, name):
    """Whether an image gets this name, with whatever tag."""
    return event["Type"] == "image" and event["Action"] == "tag" and \
        event["Actor"]["Attributes"].get("name", "").split(":")[0] == name


# ---------------------------------------------------------------- trees

# What a container differs in from its image by being run.
OF_THE_ENGINE = ("etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab",
                 ".dockerenv", "dev", "proc", "sys")


# The engine's mount point where it was killed while it unpacked an archive.
DEBRIS = re.compile(r"\.pivot_root\d+")


def below(path, roots):
    return any(path == r or path.startswith(r + "/") for r in roots)


def read_tree(engine, container, ignore=()):
    """{path: (type, mode, uid, gid, sha256 or link target)} by export."""
    tree, ignore = {}, OF_THE_ENGINE + tuple(i.strip("/") for i in ignore)
    p = subprocess.Popen([DOCKER, "-H", engine.host, "export", container],
                         stdout=subprocess.PIPE)
    with tarfile.open(fileobj=p.stdout, mode="r|", encoding="utf-8",
                      errors="surrogateescape") as tar:
        for m in tar:
            path = m.name.lstrip("./").rstrip("/") if \
                m.name.startswith("./") else m.name.strip("/")
            if path == "" or below(path, ignore) or DEBRIS.fullmatch(path):
                continue
            kind, what = m.type.decode("ascii"), ""
            if m.islnk():
                target = tree.get(m.linkname.strip("/"))
                if target is None:
                    what = "hard link to " + m.linkname
                else:
                    kind, what = target[0], target[4]
            elif m.issym():
                what = m.linkname
            elif m.isfile():
                h, f = hashlib.sha256(), tar.extractfile(m)
                for block in iter(lambda: f.read(1 << 16), b""):
                    h.update(block)
                what = h.hexdigest()
            tree[path] = (kind, "%04o" % (m.mode & 0o7777), m.uid, m.gid, what)
    if p.wait() != 0:
        raise RuntimeError("docker export %s failed" % container)
    return tree


def built_tree(engine, context, ignore=()):
    """The tree that a fresh, full `docker build` of the context gives."""
    image = engine.build(context)
    try:
        return image_tree(engine, image, ignore)
    finally:
        engine.docker("rmi", "-f", image, check=False)


def image_tree(engine, image, ignore=()):
    container = engine.docker("create", "--network", "none", image)
    try:
        return read_tree(engine, container, ignore)
    finally:
        engine.docker("rm", container)


def compare(got, want, limit=20):
    """Lines that say how two trees differ; none if they do not."""
    lines = ["%r: %s\n    has   %s\n    wants %s" % (
        p, "missing" if p not in got else "too much" if p not in want
        else "differs", got.get(p), want.get(p))
        for p in sorted(set(got) | set(want)) if got.get(p) != want.get(p)]
    return lines[:limit] + (["... %d in all" % len(lines)]
                            if len(lines) > limit else [])


def assert_same_tree(engine, container, context, name, ignore=()):
    got = read_tree(engine, container, ignore)
    want = built_tree(engine, context, ignore)
    bad = compare(got, want)
    return ok(len(want) > 0 and not bad, "%s (%d entries)" %
              (name, len(want)), "\n".join(bad))


# ---------------------------------------------------------------- daemon

class Wharfd:
    """wharfd -d CONTEXT, or -d -f FILE, with a socket of its own."""

    def __init__(self, engine, context, args=(), user=None, env=(),
                 wait=True, file=None):
        self.engine, self.context, self.wait = engine, context, wait
        self.what = [context] if file is None else ["-f", file]
        self.dir = scratch("wharfd")
        self.sock = self.dir + "/ctl.sock"
        self.args, self.user, self.env = list(args), user, dict(env)
        if not engine.bridge and file is None:
            self.args = ["--network", "none"] + self.args
        self.process = None
        _noted.append(self)

    def command(self, program, *args):
        """The argument list that runs a program of ours as the user."""
        line = [self.bin() + "/" + program] + list(args)
        if self.user is not None:
            uid, gid = self.user
            line = ["setpriv", "--reuid", str(uid), "--regid", str(uid),
                    "--groups", str(gid), "--"] + line
        return line

    def bin(self):
        """Where the programs are; an ordinary user may not reach the tree."""
        if self.user is None:
            return BUILD
        copy = TMP + "/bin"
        if not os.path.isdir(copy):
            os.makedirs(copy, 0o755)
            for f in os.listdir(BUILD):
                if f.startswith("wharf") and os.path.isfile(BUILD + "/" + f):
                    shutil.copy(BUILD + "/" + f, copy)
        return copy

    def environment(self):
        env = dict(os.environ, DOCKER_HOST=self.engine.host)
        if self.user is not None:
            env.update(HOME=self.dir, XDG_RUNTIME_DIR=self.dir)
            env.pop("TMPDIR", None)
        env.update(XDG_STATE_HOME=self.dir + "/state")
        env.update(self.env)
        return env

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        if self.user is not None:
            os.chown(self.dir, self.user[0], self.user[0])
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(
                self.command("wharfd", "-d", "-s", self.sock, *self.args,
                             *self.what),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=self.environment())
        if self.wait:
            self.await_container()

    def await_container(self, timeout=120):
        """Waits for the socket, then for everything to be in step."""
        wait_for(self.answers, 30, "wharfd answers on its socket")
        rc = self.sync(timeout)
        if rc != 0:
            raise RuntimeError("first sync: exit %d\n%s" % (rc, self.why()))

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("wharfd ended with %d\n%s" % (
                self.process.returncode, self.tail()))
        return self.ctl("status", "-j")[0] == 0

    def ctl(self, *args, timeout=180):
        """Runs wharfctl: (exit code, standard output, standard error)."""
        p = subprocess.run(self.command("wharfctl", "-s", self.sock, *args),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=self.environment(), timeout=timeout)
        return (p.returncode, p.stdout.decode("utf-8", "replace"),
                p.stderr.decode("utf-8", "replace"))

    def status(self):
        rc, out, err = self.ctl("status", "-j")
        if rc != 0:
            raise RuntimeError("status: exit %d: %s" % (rc, err))
        return json.loads(out)

    def service(self):
        return self.status()["services"][0]

    def container(self):
        """The full id of the service's container, by wharf's label."""
        found = self.engine.containers("label=wharf.role=app", "label="
                                       "wharf.dir=" + self.context)
        if len(found) != 1:
            raise RuntimeError("containers of %s: %r" % (self.context, found))
        return found[0]

    def sync(self, timeout=120):
        return self.ctl("sync", "--timeout", str(timeout),
                        timeout=timeout + 30)[0]

    def why(self):
        try:
            s = self.status()
            return json.dumps({"services": s["services"], "workers": [
                {k: w.get(k) for k in ("name", "state", "restarts",
                                       "last_exit")} for w in s["workers"]],
                "engines": s["engines"]}, indent=1)
        except Exception as e:
            return "no status: %s" % e

    def pid(self, worker):
        """The worker's process, 0 when it is down."""
        for w in self.status()["workers"]:
            if w["name"] == worker:
                return w["pid"]
        raise KeyError(worker)

    def kill_worker(self, worker, sig=signal.SIGKILL):
        """True where a running worker was hit."""
        pid = self.pid(worker)
        if pid <= 0 or not is_worker(pid, worker):
            return False
        try:
            os.kill(pid, sig)
            return True
        except ProcessLookupError:
            return False

    def cat(self, path):
        """A file of the container, None where there is none."""
        p = subprocess.run([DOCKER, "-H", self.engine.host, "cp", "-L",
                            self.container() + ":" + path, "-"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if p.returncode != 0:
            return None
        with tempfile.TemporaryFile() as f:
            f.write(p.stdout)
            f.seek(0)
            with tarfile.open(fileobj=f) as tar:
                return tar.extractfile(tar.next()).read()

    def stop(self, sig=signal.SIGINT, timeout=30):
        """Stops the daemon and returns its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                diag("wharfd did not end within %g s of signal %d" %
                     (timeout, sig))
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def log(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def tail(self):
        text = "".join(self.log().splitlines(True)[-60:])
        if self.process is not None and self.process.poll() is None:
            text += self.why()
        return "wharfd:\n" + text


def is_worker(pid, worker):
    """Whether this process is that worker, and not a later owner of its id."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return ("wharf-" + worker).encode() in f.read()
    except OSError:
        return False


class Monitor:
    """wharfctl monitor -j, read into a list."""

    def __init__(self, w):
        self.lines = []
        self.process = subprocess.Popen(
            w.command("wharfctl", "-s", w.sock, "-j", "monitor"),
            stdout=subprocess.PIPE, env=w.environment())
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def events(self, name):
        return [e for e in list(self.lines) if e.get("event") == name]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(10)
