#!/usr/bin/python3
"""wharfctl metrics, read by a strict parser, of a daemon that serves a
directory with a hostile name; and that the parser refuses what is wrong."""
from wharf_test import *
import openmetrics

GOOD = b"""\
# TYPE a counter
# HELP a Help \\\\ \\n.
a_total{x="q\\"b\\\\n\\n"} 1
a_created{x="q\\"b\\\\n\\n"} 1.5
# TYPE h_seconds histogram
# UNIT h_seconds seconds
h_seconds_bucket{le="0.1"} 1
h_seconds_bucket{le="+Inf"} 2
h_seconds_count 2
h_seconds_sum 3.5
# EOF
"""

# what is replaced, by what
WRONG = [
    (b"# EOF\n", b""), (b"# EOF\n", b"# EOF\n\n"), (b"a_total", b"a"),
    (b"counter", b"sum"), (b"# TYPE a ", b"# TYPE  a "),
    (b"# HELP a", b"# TYPE a"), (b"} 1\n", b"} one\n"), (b"} 1\n", b"}  1\n"),
    (b"} 1\n", b"} -1\n"), (b"} 1\n", b"} 1 2 3\n"), (b'x="q', b'x="q"'),
    (b'x="q\\"b', b'x="q\\"b",x="'), (b'\\"', b"\\t"), (b"{x", b"{1x"),
    (b"UNIT h_seconds seconds", b"UNIT h_seconds bytes"),
    (b"# HELP a", b"# HELP h_seconds"),
    (b"h_seconds_count 2", b"h_seconds_count 3"),
    (b'{le="0.1"} 1', b'{le="0.1"} 3'), (b'le="+Inf"', b'le="7"'),
    (b'le="0.1"', b'ge="0.1"'), (b"h_seconds_sum 3.5\n", b""),
    (b"h_seconds_count", b'h_seconds_bucket{le="0.1"} 1\nh_seconds_count'),
    (b"# EOF", b"a_total 2\n# EOF"), (b"# EOF", b"# TYPE a counter\n# EOF"),
    (b"Help", b"Help \xff"),
    (b"# EOF", b"# TYPE a_total gauge\na_total 1\n# EOF"),
]

HOSTILE = b"p\"q\\n\n\x1b[0m\xc3\xa9{}=,#"


def parser():
    """It takes what is right and refuses each thing that is wrong."""
    families = openmetrics.parse(GOOD)
    equal(families["a"].samples[0][1], {"x": 'q"b\\n\n'}, "labels are read")
    taken = []
    for old, new in WRONG:
        try:
            openmetrics.parse(GOOD.replace(old, new, 1))
            taken.append((old, new))
        except openmetrics.Bad:
            pass
    equal(taken, [], "each of %d wrong texts is refused" % len(WRONG))


def metrics(w):
    p = subprocess.run(w.command("wharfctl", "-s", w.sock, "metrics"),
                       stdout=subprocess.PIPE, env=w.environment(),
                       timeout=60)
    if p.returncode != 0:
        raise RuntimeError("metrics: exit code %d" % p.returncode)
    return openmetrics.parse(p.stdout)


def daemon(engine):
    parent = small_project()
    ctx = os.fsdecode(os.fsencode(parent) + b"/" + HOSTILE)
    shutil.copytree(parent, ctx, ignore=shutil.ignore_patterns(
        os.path.basename(ctx)))
    with Wharfd(engine, ctx, ["--name", "hostile", "--keep"]) as w:
        first = metrics(w)
        for i in range(3):
            write(ctx + "/plain/page", "%d\n" % i)
            w.sync()
        os.unlink(ctx + "/plain/old")
        w.sync()
        w.kill_worker("push")
        wait_for(lambda: metrics(w)["wharf_worker_up"].value(worker="push") and
                 metrics(w)["wharf_worker_restarts"].value(
                     "_total", worker="push"), 30, "push is back")
        m = metrics(w)
        check(first, m)
        unlike = m["wharf_seen_to_live_seconds"].value("_created", service="hostile")
        w.kill_worker("control")
        wait_for(w.answers, 30, "control is back")
        again = metrics(w)
    ok(not again["wharf_pushes"].samples,
       "counters of control begin again with it")
    ok(again["wharf_events"].value("_total") >= m["wharf_events"].value(
        "_total"), "numbers of events go on")
    ok(unlike > 1.7e9, "_created is a time")


def check(first, m):
    ok(set(m) == set(first) and len(m) == 23, "every family is always there")
    root = m["wharf_tree_seen"].samples[0][1]["root"]
    ok(root.endswith('p"q\\n\\x0a\\x1b[0m\u00e9{}=,#'),
       "the hostile name is a label", root)
    equal(m["wharf_service_in_step"].value(service="hostile"), 1, "in step")
    equal(m["wharf_engine_up"].value(), 1, "the engine is up")
    equal(sorted(l["worker"] for _, l, _ in m["wharf_worker_up"].samples),
          ["control", "engine", "image", "plan", "push", "watch"],
          "all workers are there")
    equal([v for _, _, v in m["wharf_worker_up"].samples], [1] * 6,
          "and up")
    equal(m["wharf_worker_restarts"].value("_total", worker="push"), 1,
          "the one that was killed was started again")
    ok(0 < m["wharf_worker_last_down_seconds"].value(worker="push") < 60,
       "within seconds")

    def grew(name, **labels):
        return (m[name].value("_total", service="hostile", **labels) -
                first[name].value("_total", service="hostile", **labels))
    ok(grew("wharf_pushes", result="ok") >= 4, "pushes are counted")
    ok(grew("wharf_pushed_files") >= 3, "files as well")
    ok(grew("wharf_pushed_bytes") >= 6, "and bytes")
    equal(grew("wharf_deleted_files"), 1, "and deletes")
    ok(grew("wharf_container_restarts") >= 1, "and restarts")
    equal(m["wharf_builds"].value("_total", service="hostile", result="ok"), 1,
          "and builds")
    live = m["wharf_seen_to_live_seconds"]
    ok(live.value("_count", service="hostile") >= 4 and
       0 < live.value("_sum", service="hostile") < 60, "and how long it took")
    ok(m["wharf_supervisor_resident_memory_bytes"].value() > 1e5 and
       m["wharf_supervisor_open_fds"].value() > 10, "what the supervisor takes")
    equal(m["wharf_log_lines_lost"].value("_total"), 0, "no line is lost")
    ok(m["wharf_control_clients"].value() >= 1, "we are a client")


def main():
    parser()
    with Engine() as engine:
        daemon(engine)


run(main)
