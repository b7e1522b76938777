"""What wharfd -d DIR does for its user, from start to stop; run as root by
basics.t and as an ordinary user by fences.t."""
from wharf_test import *


def edits(w, ctx, name):
    """Copy, step, delete: each live after sync, in the same container."""
    first = w.container()
    write(ctx + "/plain/page", "second\n")
    equal(w.sync(30), 0, name + "sync after an edit")
    equal(w.cat("/app/plain/page"), b"second\n", name + "the edit is live")
    equal(w.cat("/var/runs"), b"run\n", name + "no step ran for it")
    write(ctx + "/words/three", "three\n", 0o644)
    equal(w.sync(30), 0, name + "sync after a change that a step depends on")
    equal(sorted((w.cat("/app/loud") or b"").split()),
          [b"ONE", b"THREE", b"TWO"], name + "the step's output is live")
    equal(w.cat("/var/runs"), b"run\nrun\n", name + "the step ran once")
    os.unlink(ctx + "/plain/old")
    equal(w.sync(30), 0, name + "sync after a delete")
    equal(w.cat("/app/plain/old"), None, name + "the deleted file is gone")
    write(ctx + "/noise.log", "ignored\n")
    write(ctx + "/plain/secret", "ignored too\n")
    equal(w.sync(30), 0, name + "sync after a change of ignored files")
    equal(w.cat("/app/plain/secret"), None, name + "ignored files stay out")
    equal(w.container(), first, name + "all in the same container")
    assert_same_tree(w.engine, first, ctx, name + "the tree of docker build",
                     ["var/runs"])


def rebuilds(w, ctx, name):
    """What a push cannot do replaces the container."""
    first = w.container()
    write(ctx + "/.dockerignore", "*.log\n")
    equal(w.sync(60), 0, name + "sync after an edit of .dockerignore")
    equal(w.cat("/app/plain/secret"), b"ignored too\n",
          name + "what is ignored no more is in the container")
    write(ctx + "/Dockerfile", DOCKERFILE.replace(
        "EXPOSE", "ENV COLOUR=green\nRUN echo $COLOUR >/colour\nEXPOSE"))
    equal(w.sync(60), 0, name + "sync after an edit of the Dockerfile")
    equal(w.cat("/colour"), b"green\n", name + "the new step is live")
    ok(w.container() != first, name + "in a new container")
    ok("COLOUR=green" in w.engine.inspect(w.container())["Config"]["Env"],
       name + "with the new environment")
    equal(len(w.engine.containers()), 1, name + "the old one is removed")
    assert_same_tree(w.engine, w.container(), ctx,
                     name + "the tree of docker build", ["var/runs"])


def labels(w, ctx, name):
    c = w.engine.inspect(w.container())
    mine = {k: v for k, v in c["Config"]["Labels"].items()
            if k.startswith("wharf.")}
    ok(set(mine) >= {"wharf.service", "wharf.dir", "wharf.role",
                     "wharf.context-hash", "wharf.config-hash"},
       name + "labels", mine)
    equal((mine.get("wharf.dir"), mine.get("wharf.role")), (ctx, "app"),
          name + "wharf.dir and wharf.role")
    equal(c["Name"].lstrip("/"), os.path.basename(ctx),
          name + "the container is named after the directory")
    ok(w.engine.docker("images", "-q", os.path.basename(ctx)) != "",
       name + "so is the image")


def whole_life(engine, user=None, name=""):
    ctx = small_project()
    if user is not None:
        subprocess.run(["chown", "-R", "%d:%d" % (user[0], user[0]), ctx],
                       check=True)
    with Wharfd(engine, ctx, user=user) as w:
        labels(w, ctx, name)
        edits(w, ctx, name)
        rebuilds(w, ctx, name)
        start = time.monotonic()
        equal(w.stop(), 0, name + "exit code 0 after INT")
        ok(time.monotonic() - start < 8, name + "within 8 s")
        equal(engine.containers(), [], name + "its container is removed")
        ok(not os.path.exists(w.sock), name + "its socket is removed")
