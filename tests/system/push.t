#!/usr/bin/python3
"""What a push does at its edges: types, owners, odd containers, steps.  Where
it can be, the judge is a fresh docker build of the same context."""
from wharf_test import *

CMD = 'CMD ["sh", "-c", "%s"]\n' % SERVE


def context(dockerfile, files):
    path = os.path.realpath(scratch("push"))
    write(path + "/Dockerfile", dockerfile, 0o644)
    write(path + "/.dockerignore", "Dockerfile\n.dockerignore\n", 0o644)
    for name, text in files.items():
        write(path + "/" + name, text, 0o644)
    return path


def shell(engine, w, *command):
    return engine.docker("exec", w.container(), *command, check=False)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def in_step(engine, w, ctx, first, name, ignore=()):
    equal(w.sync(60), 0, name + ": sync") or diag(w.why())
    equal(w.container(), first, name + ": in the same container")
    assert_same_tree(engine, first, ctx, name + ": the tree of docker build",
                     ignore)


def becomes(path, kind):
    """Makes path a file, a directory with something in it, or a link."""
    if os.path.lexists(path):
        remove(path)
    if kind == "file":
        write(path, "a file\n", 0o644)
    elif kind == "dir":
        write(path + "/in/side", "below\n", 0o640)
        os.makedirs(path + "/empty")
    else:
        os.symlink({"link": "keep/one", "dirlink": "keep"}[kind], path)


def types(engine):
    kinds = ["file", "dir", "link", "dirlink"]
    ctx = context("FROM %s\nCOPY . /srv/all/\n%s" % (BASE, CMD),
                  {"keep/one": "1\n"})
    pairs = [(a, b) for a in kinds for b in kinds if a != b]
    for i, (a, b) in enumerate(pairs):
        becomes("%s/t%d" % (ctx, i), a)
    with Wharfd(engine, ctx) as w:
        first = w.container()
        for i, (a, b) in enumerate(pairs):
            becomes("%s/t%d" % (ctx, i), b)
        in_step(engine, w, ctx, first, "each type becomes each other")
        for i, (a, b) in enumerate(pairs):
            becomes("%s/t%d" % (ctx, i), a)
        in_step(engine, w, ctx, first, "and back")
        os.chmod(ctx + "/keep", 0o3700)
        os.chmod(ctx + "/keep/one", 0o4711)
        for m in (0o2755, 0o2644, 0o6644, 0o1644, 0o400):
            write(ctx + "/m%o" % m, "mode\n", m)
        in_step(engine, w, ctx, first, "modes alone")
        names = ["-rf", "a\nb", "\udcff\udcfe", "sp ace", "x" * 250, "quote\"",
                 "back\\slash", "\udce9/deep\udce8/file", "dollar$HOME"]
        for n in names:
            write(ctx + "/odd/" + n, n.encode("utf-8", "surrogateescape"),
                  0o644)
        in_step(engine, w, ctx, first, "odd names")
        shutil.rmtree(ctx + "/odd/\udce9")
        for n in names:
            if os.path.lexists(ctx + "/odd/" + n):
                os.unlink(ctx + "/odd/" + n)
        in_step(engine, w, ctx, first, "odd names deleted")
        for n, to in enumerate(["../../../etc/passwd", "../../opt", "/etc/x",
                                "nothing/there", "../.././../../..", "."]):
            becomes("%s/deep/link%d" % (ctx, n), "file")
            remove("%s/deep/link%d" % (ctx, n))
            os.symlink(to, "%s/deep/link%d" % (ctx, n))
        in_step(engine, w, ctx, first, "links that lead out")
        os.chmod(ctx + "/deep", 0o711)
        os.unlink(ctx + "/deep/link1")
        remove(ctx + "/t1")
        os.mkdir(ctx + "/t1")
        in_step(engine, w, ctx, first, "a directory and what it held")


def meddled(engine):
    """The container is not what was delivered any more."""
    ctx = context("FROM %s\nCOPY . /srv/all/\nCOPY one /opt/some/where/\n%s" %
                  (BASE, CMD), {"one": "1\n", "d/two": "2\n", "e/f": "f\n",
                   "e/g": "g\n"})
    with Wharfd(engine, ctx) as w:
        first = w.container()
        shell(engine, w, "sh", "-c", "cd /srv/all && rm one && mkdir -p one/x"
              " && rm -r d && echo >d")
        write(ctx + "/one", "one again\n")
        write(ctx + "/d/two", "two again\n")
        os.chmod(ctx + "/d", 0o700)
        in_step(engine, w, ctx, first, "other types in the way")
        shell(engine, w, "sh", "-c", "cd /srv/all && rm -r e && echo >e")
        os.unlink(ctx + "/e/f")
        equal(w.sync(60), 0, "a delete below what is a file there: sync")
        shell(engine, w, "rm", "-rf", "/srv", "/opt")
        write(ctx + "/one", "once more\n")
        equal(w.sync(60), 0, "destination removed: sync")
        equal(w.cat("/srv/all/one"), b"once more\n",
              "destination removed: it is made again")
        equal(w.cat("/opt/some/where/one"), b"once more\n",
              "destination removed: so is the deep one")


def exceptions(engine):
    """Directories that are left out, but not what is kept below them."""
    ctx = context("FROM %s\nCOPY . /srv/all/\nRUN echo made >/srv/all/out/"
                  "b/made\n%s" % (BASE, CMD),
                  {"out/a/keep": "1\n", "out/b/keep": "2\n", "out/c": "3\n"})
    write(ctx + "/.dockerignore", "out\n!out/a/keep\n!out/b/keep\n")
    with Wharfd(engine, ctx) as w:
        first = w.container()
        os.unlink(ctx + "/out/a/keep")
        in_step(engine, w, ctx, first, "the last file kept in a directory")
        os.unlink(ctx + "/out/b/keep")
        equal(w.sync(60), 0, "and in one with more in it: sync")
        equal(w.cat("/srv/all/out/b/made"), b"made\n",
              "what a step made in such a directory stays")


def owners(engine):
    ctx = context(
        "FROM %s\n"
        "RUN echo app:x:1234:4321::/:/bin/sh >>/etc/passwd && "
        "echo app:x:77: >>/etc/group\n"
        "COPY --chown=app names/ /o/names/\n"
        "COPY --chown=nobody:nogroup pair/ /o/pair/\n"
        "COPY --chown=12:34 pair/ /o/numbers/\n"
        "COPY --chown=56 names/ /o/one/\n%s" % (BASE, CMD),
        {"names/a": "a\n", "pair/b": "b\n"})
    with Wharfd(engine, ctx) as w:
        first = w.container()
        for d in ("names", "pair"):
            write(ctx + "/%s/new" % d, "new\n", 0o600)
            write(ctx + "/%s/dir/file" % d, "below\n", 0o644)
        write(ctx + "/names/a", "other\n")
        in_step(engine, w, ctx, first, "--chown")


def bare(engine):
    """A container without shell and rm."""
    ctx = context('FROM scratch\nCOPY bin/ /\nCOPY src/ /src/\n'
                  'CMD ["/busybox", "sleep", "100000"]\n',
                  {"src/a": "a\n", "src/d/e/f": "f\n", "src/gone": "x\n"})
    os.makedirs(ctx + "/bin")
    shutil.copy(os.environ.get("WHARF_BUSYBOX", "/bin/busybox"),
                ctx + "/bin/busybox")
    with Wharfd(engine, ctx) as w:
        first = w.container()
        write(ctx + "/src/a", "changed\n")
        os.unlink(ctx + "/src/gone")
        shutil.rmtree(ctx + "/src/d")
        in_step(engine, w, ctx, first, "no rm in the container")
        engine.docker("stop", "-t", "0", first)
        write(ctx + "/src/b", "b\n", 0o644)
        os.unlink(ctx + "/src/a")
        in_step(engine, w, ctx, first, "a stopped container")


def mounts(engine):
    ctx = context("FROM %s\nCOPY . /srv/\nVOLUME /srv/vol\n%s" % (BASE, CMD),
                  {"vol/v": "v\n", "bound/b": "b\n", "plain": "p\n"})
    host = scratch("host")
    write(host + "/b", "the user's own\n")
    with Wharfd(engine, ctx, args=["-v", host + ":/srv/bound"]) as w:
        first = w.container()
        write(ctx + "/vol/v", "into the volume\n")
        write(ctx + "/bound/b", "not for the host\n")
        write(ctx + "/plain", "changed\n")
        equal(w.sync(60), 0, "mounts: sync") or diag(w.why())
        equal(shell(engine, w, "cat", "/srv/vol/v", "/srv/plain"),
              "into the volume\nchanged", "mounts: a volume gets its file")
        os.unlink(ctx + "/bound/b")
        equal(w.sync(60), 0, "mounts: sync after a delete")
        with open(host + "/b") as f:
            equal(f.read(), "the user's own\n",
                  "mounts: a bind mount is left alone")
        equal(w.container(), first, "mounts: in the same container")


STEPS = """\
FROM %s AS base
ENV EARLY=early
ARG GIVEN=preset
FROM base
ARG LOCAL=local
WORKDIR /w
COPY in/ in/
RUN echo "$EARLY $LOCAL $LATE $FOREIGN $(id -u) $(pwd) $#" >env && \\
    echo generated >over && cat in/* >sum && echo x >>/var/ran
COPY over over
ENV LATE=late
USER nobody
WORKDIR /tmp
RUN echo "$LATE $(id -u) $(pwd)" >/tmp/late && test ! -e /w/in/bad
COPY last/ /last/
USER root
%s"""


def steps(engine):
    ctx = context(STEPS % (BASE, CMD), {"in/a": "a\n", "over": "copied\n",
                                        "last/l": "l\n"})
    with Wharfd(engine, ctx, args=["-e", "FOREIGN=foreign"]) as w, \
            Monitor(w) as m:
        first = w.container()
        write(ctx + "/in/a", "changed\n")
        in_step(engine, w, ctx, first, "steps", ["var/ran"])
        equal(w.cat("/var/ran"), b"x\nx\n", "steps: each ran once more")
        write(ctx + "/last/l", "changed\n")
        in_step(engine, w, ctx, first, "behind the steps", ["var/ran"])
        equal(w.cat("/var/ran"), b"x\nx\n", "behind the steps: none ran")
        write(ctx + "/in/bad", "bad\n", 0o644)
        equal(w.sync(60), 69, "a step fails: sync says so")
        ok("line 14" in w.why() and "exit 1" in w.why(),
           "a step fails: which and how", w.why())
        os.unlink(ctx + "/in/bad")
        in_step(engine, w, ctx, first, "after a failed step", ["var/ran"])
        ok([e.get("exit_code") for e in m.events("push.return")][-4:] ==
           [0, 1, 0, 0], "the exit codes are told", m.events("push.return"))
        ok(all(e.get("line") for e in m.events("push.command")),
           "the commands are told with their lines")
        ok(not any(e["rerun"] for e in m.events("push.command")),
           "no step is called a repeated one")


def system_dir(engine):
    """Where a base image has its own, no deleted directory stays behind."""
    ctx = context("FROM %s\nCOPY . /srv/\n%s" % (BASE, CMD),
                  {"d/e/f": "f\n", "d/e/g/h": "h\n", "keep": "k\n"})
    os.makedirs(ctx + "/d/empty")
    with Wharfd(engine, ctx) as w:
        first = w.container()
        shutil.rmtree(ctx + "/d")
        in_step(engine, w, ctx, first, "a tree below /srv is deleted")


def cut(engine):
    """A worker's death in the middle of a step: it is run again, and told."""
    ctx = context("FROM %s\nCOPY in/ /in/\nRUN echo >>/var/ran; "
                  "test ! -e /in/slow || sleep 3\n%s" % (BASE, CMD),
                  {"in/a": "a\n"})
    with Wharfd(engine, ctx) as w, Monitor(w) as m:
        write(ctx + "/in/slow", "slow\n", 0o644)
        wait_for(lambda: w.cat("/var/ran") == b"\n\n", 30,
                 "the slow step to begin")
        ok(w.kill_worker("push"), "a cut step: push is killed")
        equal(w.sync(60), 0, "a cut step: sync") or diag(w.why())
        equal([e["rerun"] for e in m.events("push.command")], [False, True],
              "a cut step: its second run is a repeated one")
        write(ctx + "/in/a", "b\n")
        equal(w.sync(60), 0, "after a cut step: sync")
        equal([e["rerun"] for e in m.events("push.command")][2:], [False],
              "after a cut step: a new change is none")


def main():
    with Engine() as engine:
        for part in (types, meddled, exceptions, owners, bare, mounts, steps,
                     system_dir, cut):
            if len(sys.argv) < 2 or part.__name__ in sys.argv[1:]:
                part(engine)


run(main)
