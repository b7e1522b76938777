#!/usr/bin/python3
"""Watching at its limits: too few inotify watches or instances, directories
that cannot be read, mounts below the root, a repository that is locked."""
from wharf_test import *

MANY = 200


class Limited(Wharfd):
    """In a user namespace that has few watches; see userns."""

    limits = ("12", "100")

    def command(self, program, *args):
        line = super().command(program, *args)
        if program == "wharfd":
            line = [HERE + "/userns"] + list(self.limits) + line
        return line

    def set_limit(self, name, value):
        subprocess.run(["nsenter", "--user", "-t", str(self.process.pid),
                        "sh", "-c", "echo %d >/proc/sys/user/max_inotify_%s" %
                        (value, name)], check=True)

    def tree(self):
        return self.status()["trees"][0]


class FewInstances(Limited):
    limits = ("10000", "0")


class OneInstance(Limited):
    limits = ("10000", "1")


class Away:
    """An engine that is not there."""

    host, bridge = "unix:///nonexistent/docker.sock", False

    def tail(self):
        return ""


def live(w, path, what, name):
    equal(w.sync(60), 0, name + ": sync")
    equal(w.cat("/app/" + path), what, name + ": live")


def project():
    ctx = small_project()
    for i in range(30):
        write("%s/plain/d%d/f" % (ctx, i), "1\n", 0o644)
    write(ctx + "/plain/m/under", "under\n", 0o644)
    return ctx


def watches(w, ctx):
    t = w.tree()
    # the root, words, plain, and 31 below it
    ok(t["polled"] >= 21, "some directories are polled", t)
    equal(t["backend"], "inotify", "and some are not")
    found = re.match(r"user\.max_inotify_watches is 12, about (\d+) are "
                     r"needed: sysctl user\.max_inotify_watches=524288; "
                     r"compared every 1\.0 s$", t["why"] or "")
    ok(found and 34 <= int(found.group(1)) <= 37,
       "the sysctl, its value and the need are named", t)
    ok("user.max_inotify_watches is 12" in w.ctl("status")[1],
       "in the text for people as well")
    for i in range(30):
        write("%s/plain/d%d/f" % (ctx, i), "2\n")
    live(w, "plain/d29/f", b"2\n", "all of them are changed")
    # without a sync the next comparison finds it
    write(ctx + "/plain/d29/f", "3\n")
    wait_for(lambda: w.cat("/app/plain/d29/f") == b"3\n", 10, "it is polled")
    ok(True, "and without a sync")
    equal(w.log().count("user.max_inotify_watches is 12"), 1, "one warning")
    w.set_limit("watches", 1000)
    wait_for(lambda: w.tree()["polled"] == 0, 10, "all is watched")
    equal(w.tree()["why"], None, "the limit is raised: all is watched")


def mounts(w, ctx):
    subprocess.run(["mount", "-t", "tmpfs", "none", ctx + "/plain/m"],
                   check=True)
    write(ctx + "/plain/m/over", "over\n")
    live(w, "plain/m/over", b"over\n", "mounted")
    equal(w.cat("/app/plain/m/under"), None, "mounted: what it covers is gone")
    write(ctx + "/plain/m/over", "again\n")
    live(w, "plain/m/over", b"again\n", "written in the mount")
    subprocess.run(["umount", ctx + "/plain/m"], check=True)
    live(w, "plain/m/under", b"under\n", "unmounted")
    equal(w.cat("/app/plain/m/over"), None, "unmounted: what was in it is gone")


def locked(w, ctx):
    os.mkdir(ctx + "/.git")
    write(ctx + "/.git/index.lock", "")
    write(ctx + "/words/one", "locked\n")
    wait_for(lambda: w.cat("/app/words/one") == b"locked\n", 10, "the copy")
    time.sleep(1)
    equal(w.cat("/app/loud"), b"ONE\nTWO\n", "locked: copied, no step is run")
    os.unlink(ctx + "/.git/index.lock")
    wait_for(lambda: w.cat("/app/loud") == b"LOCKED\nTWO\n", 3, "the step")
    ok(True, "unlocked: the step is run")


def instances(engine):
    ctx = small_project()
    with FewInstances(engine, ctx, args=["--sandbox=trap"]) as w:
        t = w.tree()
        equal(t["backend"], "poll", "no instance: the tree is polled")
        ok((t["why"] or "").startswith(
            "user.max_inotify_instances is 0, about 1 are needed"), "says why",
           t)
        write(ctx + "/plain/page", "polled\n")
        live(w, "plain/page", b"polled\n", "polled")
        w.set_limit("instances", 10)
        wait_for(lambda: w.tree()["backend"] == "inotify", 10, "inotify")
        wait_for(lambda: w.tree()["polled"] == 0, 10, "all is watched")
        write(ctx + "/plain/page", "watched\n")
        live(w, "plain/page", b"watched\n", "an instance came free")


def unreadable(engine):
    ctx = small_project()
    for name in ("a", "b", "c"):
        write("%s/plain/%s/f" % (ctx, name), name)
    for path in [ctx] + [d for d, _, _ in os.walk(ctx)]:
        os.chmod(path, 0o755)
    engine.allow(54321)
    with Wharfd(engine, ctx, user=(54321, 54321)) as w:
        for name in ("a", "b", "c"):
            os.chmod("%s/plain/%s" % (ctx, name), 0)
        write(ctx + "/plain/page", "beside\n")
        wait_for(lambda: w.cat("/app/plain/page") == b"beside\n", 10, "page")
        w.kill_worker("watch")
        wait_for(lambda: w.status()["trees"] and
                 w.status()["trees"][0]["unreadable"] == 3, 10, "unreadable")
        ok(True, "three directories are counted as unreadable")
        ok("unreadable: plain/" in w.status()["trees"][0]["why"], "and named")
        for name in ("a", "b", "c"):
            equal(w.log().count("plain/%s: the directory cannot be read" %
                                name), 1, name + ": one warning")
        equal(w.cat("/app/plain/a/f"), b"a", "nothing is deleted for it")
        for name in ("a", "b", "c"):
            write("%s/plain/%s/f" % (ctx, name), name + "2")
            os.chmod("%s/plain/%s" % (ctx, name), 0o755)
        wait_for(lambda: w.cat("/app/plain/c/f") == b"c2", 10, "picked up")
        live(w, "plain/a/f", b"a2", "readable again")
        equal(w.status()["trees"][0]["unreadable"], 0, "and none is left")


def switches(pids):
    """{name: how often it has gone to sleep}"""
    found = {}
    for name, pid in pids.items():
        with open("/proc/%d/status" % pid) as f:
            found[name] = int(re.search(
                r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M).group(1))
    return found


def many():
    """Services with roots of their own: one inotify instance, and no more
    wake-ups than for one of them, when there is nothing to do."""
    top = os.path.realpath(scratch("many"))
    names = ["s%d" % i for i in range(MANY)]
    for name in names:
        write("%s/%s/Dockerfile" % (top, name), "FROM scratch\n")
    conf = top + "/wharfd.yaml"
    write(conf, json.dumps({
        "engines": {"away": {"host": Away.host}},
        "services": {n: {"dir": top + "/" + n} for n in names}}))
    with OneInstance(Away(), top, file=conf, wait=False,
                     args=["--sandbox=trap"]) as w:
        wait_for(lambda: os.path.exists(w.sock), 30, "the socket")
        wait_for(lambda: len(w.status()["trees"]) == MANY, 30, "the trees")
        trees = w.status()["trees"]
        equal({(t["backend"], t["polled"], t["why"]) for t in trees},
              {("inotify", 0, None)}, "%d roots are watched" % MANY)
        pids = {x["name"]: x["pid"] for x in w.status()["workers"]}
        pids["wharfd"] = w.process.pid
        fds = "/proc/%d/fd/" % pids["watch"]
        equal([os.readlink(fds + x) for x in os.listdir(fds)].count(
            "anon_inode:inotify"), 1, "with one inotify instance")
        time.sleep(2)
        before = switches(pids)
        time.sleep(5)
        after = switches(pids)
        woken = {n: after[n] - before[n] for n in after}
        ok(max(woken.values()) < 25, "idle: few wake-ups in 5 s", woken)
        changed = seen(w, names[MANY // 2])
        write("%s/%s/f" % (top, names[MANY // 2]), "")
        wait_for(lambda: seen(w, names[MANY // 2]) > changed, 10, "the change")
        ok(True, "and a change in one of them is seen")


def seen(w, name):
    return next(t["seen"] for t in w.status()["trees"]
                if t["root"].endswith("/" + name))


def main():
    many()
    with Engine() as engine:
        ctx = project()
        with Limited(engine, ctx, args=["--sandbox=trap"]) as w:
            watches(w, ctx)
            mounts(w, ctx)
            locked(w, ctx)
        instances(engine)
        unreadable(engine)


run(main)
