#!/usr/bin/python3
"""The image worker is killed at each entry of the context that it streams:
no image is ever tagged from half a context.

The first generation of the worker runs under strace, which kills it when it
opens its N-th entry.  Later generations run plain and finish the build.  A
second part kills in the worker's real sandbox, at random moments of the
build."""
from wharf_test import *

FILES = 24
STEP = int(os.environ.get("WHARF_STEP", 2))

DOCKERFILE = """\
FROM wharf-test-base:1
COPY . /all/
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
"""

# $1 is the number of the entry, then the worker's command line.
ONCE = """\
#!/bin/sh
dir=%s n=$1
shift
if [ "$n" -gt 0 ] && mkdir "$dir/hit.$n" 2>/dev/null; then
    exec strace -qq -o "$dir/trace.$n" -e trace=openat2 \\
        -e inject=openat2:signal=SIGKILL:when=$n "$@"
elif [ "$n" -eq 0 ]; then
    exec strace -qq -o "$dir/trace" -e trace=openat2 "$@"
fi
exec "$@"
"""


def context(rng):
    path = os.path.realpath(scratch("half"))
    write(path + "/Dockerfile", DOCKERFILE, 0o644)
    for i in range(FILES):
        write("%s/d%d/f%02d" % (path, i % 3, i), rng.randbytes(20000), 0o644)
    return path


def image_name(ctx):
    """The image of a directory is named after it."""
    return os.path.basename(ctx).lower()


def whole(engine, events, ctx, want, name):
    """Every image that ever bore the name is a whole one; the Dockerfile
    among its files is left out."""
    time.sleep(0.5)
    ids, own = events.tagged(image_name(ctx)), ["all/Dockerfile"]
    want = {p: v for p, v in want.items() if p not in own}
    bad = [x for i in ids for x in compare(image_tree(engine, i, own), want)]
    ok(ids and not bad, "%s: %d tagged, none of half a context" %
       (name, len(ids)), "\n".join(bad))


def strace_run(engine, ctx, wrapper, n):
    """One start of wharfd with the worker killed at its n-th openat2."""
    wrap = ["--keep", "--wrap", "image=%s %d" % (wrapper, n)]
    with Wharfd(engine, ctx, wrap) as w:
        equal(w.stop(), 0, "entry %d: wharfd stops cleanly" % n)


def at_each_entry(engine, events, ctx, want):
    tmp = scratch("wrap")
    wrapper = tmp + "/once"
    write(wrapper, ONCE % tmp, 0o755)
    strace_run(engine, ctx, wrapper, 0)
    with open(tmp + "/trace", errors="replace") as f:
        opens = sum(1 for line in f if re.match(r"(\d+ +)?openat2\(", line))
    ok(opens >= FILES, "the stream opens each entry", opens)
    for n in range(1, opens + 1, STEP):
        strace_run(engine, ctx, wrapper, n)
        with open("%s/trace.%d" % (tmp, n), errors="replace") as f:
            ok("killed by SIGKILL" in f.read(), "entry %d: killed there" % n)
    whole(engine, events, ctx, want, "killed at each entry")


def at_random(engine, events, ctx, want, rng):
    """In the sandbox: the Dockerfile changes, the build is cut down."""
    with Wharfd(engine, ctx) as w:
        hits = i = 0
        # deaths right after the start back off, so not every round hits
        while hits < 15 and i < 100:
            i += 1
            write(ctx + "/Dockerfile", DOCKERFILE + "LABEL n=%d\n" % i, 0o644)
            time.sleep(rng.random() * 0.25)
            hits += w.kill_worker("image")
            if rng.random() < 0.3:
                equal(w.sync(60), 0, "round %d: sync" % i) or diag(w.why())
        equal(hits, 15, "the worker was killed 15 times")
        equal(w.sync(60), 0, "sync after the last") or diag(w.why())
        label = engine.inspect(w.container())["Config"]["Labels"].get("n")
        equal(label, str(i), "the container is that of the last Dockerfile")
        assert_same_tree(engine, w.container(), ctx, "and has its tree")
    whole(engine, events, ctx, want, "killed in the sandbox")


def main():
    rng = seeded()
    with Engine() as engine:
        ctx = context(rng)
        events = Events(engine, hold=image_name(ctx))
        want = built_tree(engine, ctx)
        at_each_entry(engine, events, ctx, want)
        at_random(engine, events, ctx, want, rng)
        events.stop()


run(main)
