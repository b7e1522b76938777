#!/usr/bin/python3
"""Directories and files of a tree are swapped with links to a secret while
they are read: nothing of it is ever read.  WHARF_TRIES sets how often; and
end to end, nothing of it is in the container."""
from wharf_test import *

TRIES = int(os.environ.get("WHARF_TRIES", 100000))
SECONDS = float(os.environ.get("WHARF_SECONDS", 6))
SECRET = b"%032x" % random.getrandbits(128)


def race(*args):
    p = subprocess.run([BUILD + "/tests/tools/tree_race", *args, str(TRIES)],
                       stdout=subprocess.PIPE)
    got = json.loads(p.stdout)
    diag(got)
    name = " ".join(("tree_race",) + args)
    ok(got["open"]["escaped"] > 0, name + ": open(2) does read the secret")
    for reader, n in got.items():
        if reader != "open":
            ok(n["escaped"] == 0 and n["own"] > 0, "%s: %s, %d tries" % (
                name, reader, sum(n.values())), n)
    equal(p.returncode, 0, name + ": exit status")


def swap(ctx, stop):
    """Another name for the tree's own, a link where it was, and back."""
    while not stop.is_set():
        for name, to in (("d", "/out"), ("f", "/out/s")):
            path = ctx + "/src/" + name
            os.rename(path, path + ".own")
            os.symlink(TMP + to, path)
            time.sleep(0.001)
            os.unlink(path)
            os.rename(path + ".own", path)
            write(path if name == "f" else path + "/s", "own\n")
        time.sleep(0.02)


def end_to_end(engine):
    ctx = os.path.realpath(scratch("swap"))
    write(TMP + "/out/s", SECRET)
    write(ctx + "/Dockerfile", "FROM %s\nCOPY src/ /srv/all/\n"
          'CMD ["sh", "-c", "%s"]\n' % (BASE, SERVE), 0o644)
    write(ctx + "/src/d/s", "own\n")
    write(ctx + "/src/f", "own\n")
    with Wharfd(engine, ctx) as w, Monitor(w) as m:
        stop = threading.Event()
        thread = threading.Thread(target=swap, args=(ctx, stop))
        thread.start()
        seen, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            p = subprocess.run([DOCKER, "-H", engine.host, "cp",
                                w.container() + ":/srv/all", "-"],
                               stdout=subprocess.PIPE)
            seen += SECRET in p.stdout
            time.sleep(0.1)
        stop.set()
        thread.join()
        equal(w.sync(60), 0, "sync after the swaps") or diag(w.why())
        equal(seen, 0, "the secret was never in the container")
        tar = subprocess.run([DOCKER, "-H", engine.host, "export",
                              w.container()], stdout=subprocess.PIPE).stdout
        ok(len(tar) > 0 and SECRET not in tar, "nor is it there at the end")
        ok(len(m.events("push.end")) > 5, "there were pushes meanwhile")
        assert_same_tree(engine, w.container(), ctx,
                         "the tree is that of docker build")


def main():
    race()
    race("-f")
    with Engine() as engine:
        end_to_end(engine)


run(main)
