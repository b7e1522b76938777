#!/usr/bin/python3
"""Trees as hostile as a file system allows: every name, special files, files
that change while they are read, paths that are too long.  What can be
delivered arrives byte for byte; logs and terminals see no control byte.
WHARF_NAMES sets the number of random names (10,000 in the long form)."""
import base64
import stat

from wharf_test import *

NAMES = int(os.environ.get("WHARF_NAMES", 400))
BIG = 300 * 1024 * 1024
NOISE = "\\033[31mred\\033[0m\\033]0;title\\007\\302\\233bad\\377\\r\\b"


def context(copied="COPY n/ /srv/n/\nCOPY s/ /srv/s/\n", more=""):
    path = os.path.realpath(scratch("hostile"))
    write(path + "/Dockerfile", "FROM %s\n%s%s"
          'CMD ["sh", "-c", "%s"]\n' % (BASE, more, copied, SERVE), 0o644)
    for d in ("n", "s"):
        os.mkdir(path + "/" + d)
    return path


def names(rng):
    """Every byte alone, and random bytes; all different."""
    found = {bytes([b]) for b in range(1, 256)} - {b"/", b"."}
    odd = [b"-rf", b"--help", b" lead", b"trail ", b"a\nb", b"\x1b]0;x\x07",
           b"caf\xc3\xa9", b"\xc2\x9b31m", b"\xe2\x80\xae", b"\xed\xa0\x80",
           b"..x", b"x" * 255, b"\xff" * 255, b"%s%n", b"$(id)", b"`id`",
           b".wh.x", b"a=b\n", b"\\x41", b"\"", b"'", b"*", b"?[a]"]
    found |= set(odd)
    while len(found) < 276 + NAMES:
        n = bytes(rng.randrange(1, 256) for _ in range(rng.choice(
            [2, 3, 8, 30, 99, 100, 101, 155, 255])))
        if b"/" not in n and n != b"..":
            found.add(n)
    # whiteouts are the engine's own and cannot be in an archive
    return sorted(n for n in found if not n.startswith(b".wh."))


def raw(engine, *args):
    p = subprocess.run([DOCKER, "-H", engine.host] + list(args),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode != 0:
        raise RuntimeError("docker %r: %r" % (args, p.stderr))
    return p.stdout


def found_in(engine, w, where):
    out = raw(engine, "exec", w.container(), "find", where, "-type", "f",
              "-print0")
    return sorted(n[len(where) + 1:].encode() if isinstance(n, str)
                  else n[len(where) + 1:] for n in out.split(b"\0") if n)


def contents(engine, w, where):
    tree = {}
    p = subprocess.Popen([DOCKER, "-H", engine.host, "cp",
                          w.container() + ":" + where, "-"],
                         stdout=subprocess.PIPE)
    with tarfile.open(fileobj=p.stdout, mode="r|", encoding="utf-8",
                      errors="surrogateescape") as tar:
        for m in tar:
            if m.isfile():
                name = m.name.encode("utf-8", "surrogateescape")
                tree[name.split(b"/", 1)[1]] = tar.extractfile(m).read()
    p.wait()
    return tree


def printable(data, name):
    """No control byte but the newline, no DEL, no C1, valid UTF-8."""
    try:
        bad = [c for c in data.decode("utf-8") if c != "\n" and
               (ord(c) < 32 or 127 <= ord(c) < 160)]
    except UnicodeDecodeError as e:
        bad = [e]
    ok(len(data) > 0 and not bad, name, "%r" % bad[:3])


def said(w, *args):
    p = subprocess.run(w.command("wharfctl", "-s", w.sock, *args),
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=w.environment(), timeout=60)
    return p.stdout


class Text:
    """wharfctl monitor as a person sees it."""

    def __init__(self, w):
        self.file = open(w.dir + "/monitor", "w+b")
        self.process = subprocess.Popen(
            w.command("wharfctl", "-s", w.sock, "monitor"),
            stdout=self.file, stderr=self.file, env=w.environment())

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.file.seek(0)
        return self.file.read()


def is_text(name):
    try:
        name.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def told(monitor, event):
    """Paths of all events of that name, as bytes."""
    got = set()
    for e in monitor.events(event):
        if "path_b64" in e:
            path = base64.b64decode(e["path_b64"])
            if is_text(path):
                ok(False, "path_b64 is for what is no text", e)
            got.add(path)
        elif "path" in e:
            got.add(e["path"].encode())
    return got


def put_names(ctx, which, text):
    for n in which:
        with open(ctx.encode() + b"/n/" + n, "wb") as f:
            f.write(text + n)


def arrive(engine, w, want, name):
    equal(w.sync(120), 0, name + ": sync") or diag(w.why())
    got = contents(engine, w, "/srv/n")
    wrong = sorted(n for n in set(got) | set(want)
                   if got.get(n) != want.get(n))
    ok(not wrong, "%s: %d contents" % (name, len(want)), "%r" % wrong[:10])
    equal(found_in(engine, w, "/srv/n"), sorted(want),
          name + ": names as find(1) sees them") if len(want) < 2000 else \
        ok(found_in(engine, w, "/srv/n") == sorted(want),
           name + ": names as find(1) sees them")


def all_names(engine, rng):
    every = names(rng)
    diag("%d names" % len(every))
    ctx = context(more="RUN printf '%s\\n'\n" % NOISE)
    put_names(ctx, every[::7], b"0")
    with Wharfd(engine, ctx) as w, Monitor(w) as m:
        text = Text(w)
        want = {n: b"0" + n for n in every[::7]}
        arrive(engine, w, want, "there at the start")
        put_names(ctx, every, b"1")
        want = {n: b"1" + n for n in every}
        arrive(engine, w, want, "created and changed")
        # what is no text cannot be said to rm: one request each
        some = rng.sample(every, len(every) // 3)
        some = [n for n in some if is_text(n)] + \
            [n for n in some if not is_text(n)][:20]
        for n in some:
            os.unlink(ctx.encode() + b"/n/" + n)
            del want[n]
        arrive(engine, w, want, "deleted")
        time.sleep(0.3)
        odd = [n for n in every if not is_text(n)]
        copies, deletes = told(m, "push.copy"), told(m, "push.delete")
        strange = [p for p in copies | deletes
                   if not p.startswith(b"/srv/n/") or
                   p[len(b"/srv/n/"):] not in every]
        ok(not strange, "events name what was copied and deleted", strange)
        ok(any(not is_text(p) for p in copies | deletes),
           "names that are no text come as path_b64")
        name = os.fsdecode(odd[0])
        printable(text.end(), "monitor prints no control byte")
        for words in (["status"], ["-j", "status"], ["sync"],
                      ["explain", "push", "-C", ctx, "-f",
                       ctx + "/Dockerfile", "--changed", "n/" + name],
                      ["explain", "ignore", "-C", ctx, "n/" + name,
                       "n/a\nb", "\x1b[31m"],
                      ["push", "\x1b[31m\x9b"]):
            out = said(w, *words)
            printable(out + b"\n", "wharfctl %s prints none" % words[0])
        printable(w.log().encode("utf-8", "surrogateescape"),
                  "the log has none")
    with open(w.dir + "/log", "rb") as f:
        printable(f.read(), "nor has it at the end")


def noise(engine):
    """What a container says, through steps and builds."""
    ctx = context("COPY n/ /srv/n/\nRUN printf '%s\\n'; cat /srv/n/* || :\n" %
                  NOISE)
    write(ctx + "/n/x", b"\x1b[2J\x9b\xc2\x85\x7f\n")
    with Wharfd(engine, ctx) as w, Monitor(w) as m:
        text = Text(w)
        write(ctx + "/n/x", b"\x1b[2Jagain\x9b\xc2\x85\x7f\n")
        equal(w.sync(60), 0, "a step that makes noise: sync") or \
            diag(w.why())
        equal(w.ctl("rebuild")[0], 0, "and a build")
        equal(w.sync(60), 0, "sync") or diag(w.why())
        time.sleep(0.3)
        ok(len(m.events("push.output")) > 0, "the step's output is told")
        ok(len(m.events("build.output")) > 0, "so is the build's")
        printable(text.end(), "monitor prints no control byte of it")
        printable(said(w, "-j", "status") + said(w, "status"),
                  "status prints none")
    with open(w.dir + "/log", "rb") as f:
        printable(f.read(), "the log has none")


def special(engine):
    """What is not a file, a directory or a link is left alone."""
    ctx = context()
    s = ctx + "/s/"
    os.mkfifo(s + "fifo")
    write(s + "plain", "1\n")
    with Wharfd(engine, ctx) as w:
        first = w.container()
        os.mkfifo(s + "fifo2")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(s + "sock")
        try:
            os.mknod(s + "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.mknod(s + "disk", stat.S_IFBLK | 0o600, os.makedev(7, 99))
        except PermissionError:
            diag("devices cannot be made here")
        write(s + "plain", "2\n")
        write(s + "secret", "mode 0\n", 0)
        equal(w.sync(60), 0, "special files: sync") or diag(w.why())
        equal(w.cat("/srv/s/plain"), b"2\n", "what is beside them arrives")
        equal(w.cat("/srv/s/secret"), b"mode 0\n", "a file of mode 0 too")
        got = set(found_in(engine, w, "/srv/s"))
        equal(got, {b"plain", b"secret"}, "nothing else is there")
        os.unlink(s + "plain")
        os.mkfifo(s + "plain")
        equal(w.sync(60), 0, "a file becomes a FIFO: sync") or diag(w.why())
        equal(w.cat("/srv/s/plain"), None, "and is gone in the container")
        os.unlink(s + "plain")
        write(s + "plain", "3\n")
        equal(w.sync(60), 0, "and a file again: sync") or diag(w.why())
        equal(w.cat("/srv/s/plain"), b"3\n", "it is there again")
        equal(w.container(), first, "all in one container")


def high_water(w, worker):
    with open("/proc/%d/status" % w.pid(worker)) as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


def sum_of(engine, w, path):
    return raw(engine, "exec", w.container(), "sha256sum",
               path).split()[0].decode()


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def large(engine):
    """A sparse file, and a full one: content arrives, memory does not grow."""
    ctx = context()
    write(ctx + "/s/warm", os.urandom(1 << 20))
    with Wharfd(engine, ctx) as w:
        write(ctx + "/s/warm", os.urandom(1 << 20))
        equal(w.sync(60), 0, "a first push: sync")
        before = {k: high_water(w, k) for k in ("push", "engine", "watch")}
        with open(ctx + "/s/sparse", "wb") as f:
            f.truncate(BIG)
            for at in (0, BIG // 2 + 7, BIG - 5):
                f.seek(at)
                f.write(b"data!")
        equal(w.sync(120), 0, "a sparse file: sync") or diag(w.why())
        equal(sum_of(engine, w, "/srv/s/sparse"), sha256(ctx + "/s/sparse"),
              "a sparse file of 300 MB arrives")
        for k, kb in before.items():
            grown = high_water(w, k) - kb
            ok(grown < 8192, "memory of %s does not grow with a file" % k,
               "%d kB" % grown)
        os.unlink(ctx + "/s/sparse")
        equal(w.sync(120), 0, "and goes: sync")


def restless(engine):
    """Files that grow, vanish, or become directories while they are read."""
    ctx = context()
    stop = threading.Event()

    def grow():
        with open(ctx + "/s/log", "ab", 0) as f:
            while not stop.is_set():
                f.write(os.urandom(20000))
                time.sleep(0.002)

    def come_and_go():
        i = 0
        while not stop.is_set():
            i += 1
            path = ctx + "/s/v%d" % (i % 40)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)
                if i % 3 == 0:
                    write(path + "/in/side", "now a directory\n")
            else:
                write(path, b"x" * 70000)
            time.sleep(0.003)

    with Wharfd(engine, ctx) as w:
        threads = [threading.Thread(target=t) for t in (grow, come_and_go)]
        for t in threads:
            t.start()
        time.sleep(5)
        stop.set()
        for t in threads:
            t.join()
        equal(w.sync(120), 0, "restless files: sync") or diag(w.why())
        assert_same_tree(engine, w.container(), ctx,
                         "restless files: the tree of docker build")


def deep(engine):
    """A path longer than the kernel takes: said, and nothing else suffers."""
    ctx = context()
    with Wharfd(engine, ctx) as w:
        here = os.open(ctx + "/s", os.O_RDONLY)
        fds = [here]
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=fds[-1])
            fds.append(os.open("d" * 200, os.O_RDONLY, dir_fd=fds[-1]))
        for fd in fds:
            os.close(fd)
        write(ctx + "/n/beside", "1\n")
        rc = w.sync(30)
        equal(w.cat("/srv/n/beside"), b"1\n", "beside a path that is too long")
        equal(rc, 69, "its service is not in step")
        why = w.service()["why"]
        ok("dddd" in why and "too long" in why, "and says what and why", why)
        subprocess.run(["rm", "-rf", ctx + "/s/" + "d" * 200], check=True)
        equal(w.sync(60), 0, "without it: sync") or diag(w.why())
        assert_same_tree(engine, w.container(), ctx,
                         "without it: the tree of docker build")


def main():
    rng = seeded()
    parts = os.environ.get("WHARF_PARTS", "").split()
    with Engine() as engine:
        for part, args in ((all_names, [rng]), (noise, []), (special, []),
                           (large, []), (restless, []), (deep, [])):
            if not parts or part.__name__ in parts:
                part(engine, *args)


run(main)
