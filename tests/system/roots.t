#!/usr/bin/python3
"""The watched directory itself goes and comes back: nothing is deleted for
it, and the readers are replaced because descriptors and fences bind to the
inode."""
from wharf_test import *

READERS = ("watch", "image", "push")


def generations(w):
    return {x["name"]: (x["gen"], x["restarts"])
            for x in w.status()["workers"]}


def out_of_step(w):
    s = w.service()
    return not s["in_step"] and "gone" in (s["why"] or "")


def replaced(w, before, name):
    after = generations(w)
    ok(all(after[r][0] > before[r][0] for r in READERS),
       name + ": the readers are new", (before, after))
    equal({r: after[r][1] for r in after}, {r: before[r][1] for r in before},
          name + ": and it counts as no crash")


def moved(w, ctx):
    before = generations(w)
    os.rename(ctx, ctx + ".away")
    wait_for(lambda: out_of_step(w), 20, "status says that it is gone")
    ok(True, "moved away: status says so")
    equal(w.cat("/app/plain/page"), b"first\n", "and nothing is deleted")
    write(ctx + ".away/plain/page", "written while away\n")
    os.rename(ctx + ".away", ctx)
    wait_for(lambda: not out_of_step(w), 20, "it is there again")
    equal(w.sync(60), 0, "moved back: in step")
    equal(w.cat("/app/plain/page"), b"written while away\n",
          "with what was written meanwhile")
    replaced(w, before, "moved back")


def replaced_by_another(w, ctx):
    before = generations(w)
    shutil.copytree(ctx, ctx + ".new", symlinks=True)
    os.unlink(ctx + ".new/plain/old")
    write(ctx + ".new/plain/extra", "extra\n")
    shutil.rmtree(ctx)
    os.rename(ctx + ".new", ctx)
    wait_for(lambda: generations(w)["watch"][0] > before["watch"][0], 20,
             "the readers are replaced")
    equal(w.sync(60), 0, "another directory in its place: in step")
    replaced(w, before, "another directory")
    assert_same_tree(w.engine, w.container(), ctx, "the tree of docker build",
                     ["var/runs"])
    write(ctx + "/plain/page", "and again\n")
    equal(w.sync(60), 0, "sync after an edit in the new directory")
    equal(w.cat("/app/plain/page"), b"and again\n", "it is live")


def unseen(w, ctx):
    """It goes while watch cannot see it, and watch dies of it."""
    w.kill_worker("watch", signal.SIGSTOP)
    os.rename(ctx, ctx + ".away")
    w.kill_worker("watch")
    wait_for(lambda: out_of_step(w), 20, "status says that it is gone")
    ok(True, "moved away unseen: status says so")
    w.kill_worker("watch")
    write(ctx + ".away/plain/page", "unseen\n")
    time.sleep(1)
    ok(out_of_step(w), "moved away unseen: not in step with what was moved")
    equal(w.cat("/app/plain/page"), b"and again\n", "and nothing is copied")
    os.rename(ctx + ".away", ctx)
    wait_for(lambda: not out_of_step(w), 20, "it is there again")
    equal(w.sync(60), 0, "moved back: in step")
    equal(w.cat("/app/plain/page"), b"unseen\n", "with what was written")


def removed_unseen(w, ctx):
    """An empty directory that has no name any more is not the tree."""
    shutil.copytree(ctx, ctx + ".new", symlinks=True)
    w.kill_worker("watch", signal.SIGSTOP)
    shutil.rmtree(ctx)
    w.kill_worker("watch")
    wait_for(lambda: out_of_step(w), 20, "status says that it is gone")
    for worker in READERS:
        w.kill_worker(worker)
    time.sleep(1)
    ok(out_of_step(w), "removed unseen: status says so")
    equal(w.cat("/app/plain/page"), b"unseen\n", "and nothing is deleted")
    os.rename(ctx + ".new", ctx)
    wait_for(lambda: not out_of_step(w), 20, "another one is there")
    equal(w.sync(60), 0, "another one in its place: in step")
    assert_same_tree(w.engine, w.container(), ctx, "the tree of docker build",
                     ["var/runs"])


def stuck(w, ctx):
    """A reader that does not end when asked to is ended by force."""
    gen = generations(w)["image"][0]
    os.rename(ctx, ctx + ".away")
    wait_for(lambda: out_of_step(w), 20, "status says that it is gone")
    w.kill_worker("image", signal.SIGSTOP)
    os.rename(ctx + ".away", ctx)
    wait_for(lambda: generations(w)["image"][0] > gen, 20,
             "a stopped reader is replaced")
    ok("image does not end, killing it" in w.log(), "and the log says so")
    equal(w.sync(60), 0, "in step with the new one")


def main():
    with Engine() as engine:
        ctx = small_project()
        with Wharfd(engine, ctx) as w:
            moved(w, ctx)
            replaced_by_another(w, ctx)
            unseen(w, ctx)
            removed_unseen(w, ctx)
            stuck(w, ctx)


run(main)
