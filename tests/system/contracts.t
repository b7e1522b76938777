#!/usr/bin/python3
"""The shapes and exit codes that front ends build on: status, monitor, sync,
explain."""
from wharf_test import *

STATUS = {"v", "run", "pid", "mode", "workers", "engines", "trees",
          "services", "builds"}
WORKER = {"name", "instance", "pid", "gen", "state", "restarts", "last_exit",
          "last_down_us", "sandbox"}
ENGINE = {"name", "host", "state", "api", "version"}
TREE = {"root", "backend", "seen", "unreadable", "polled", "why"}
SERVICE = {"name", "engine", "in_step", "why", "pending", "set_aside",
           "containers", "last"}
CONTAINER = {"id", "name", "image", "transport", "why", "in_step"}


def keys(thing, want, name):
    ok(set(thing) >= want, name, "lacks %s" % sorted(want - set(thing)))


def status(w, ctx):
    s = w.status()
    keys(s, STATUS, "status: keys")
    equal((s["v"], s["pid"], s["mode"]), (1, w.process.pid, "host"),
          "status: v, pid, mode")
    ok(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", s["run"]),
       "status: run is a UUID", s["run"])
    equal(sorted(x["name"] for x in s["workers"]), sorted(WORKERS),
          "status: the workers, without the supervisor")
    for x in s["workers"]:
        keys(x, WORKER, "status: worker %s" % x["name"])
        equal(x["state"], "ready", "status: %s is ready" % x["name"])
        ok(is_worker(x["pid"], x["name"]), "status: its pid is its own", x)
    keys(s["engines"][0], ENGINE, "status: engine")
    keys(s["trees"][0], TREE, "status: tree")
    equal(s["trees"][0]["root"], ctx, "status: the tree's root")
    keys(s["services"][0], SERVICE, "status: service")
    keys(s["services"][0]["containers"][0], CONTAINER, "status: container")
    equal(w.sync(30), 0, "status: sync")
    rc, out, _ = w.ctl("status")
    ok(rc == 0 and "in step" in out, "status as text says in step", out)


def sync_codes(w, ctx, engine):
    equal(w.ctl("sync")[0], 0, "sync: 0 when in step")
    equal(w.ctl("sync", "nosuch", "--timeout", "5")[0] not in (0, 75), True,
          "sync of an unknown service is an error at once")
    engine.process.send_signal(signal.SIGSTOP)
    try:
        write(ctx + "/plain/page", "while the engine is stopped\n")
        start = time.monotonic()
        equal(w.sync(1), 75, "sync: 75 on timeout")
        ok(0.9 < time.monotonic() - start < 5, "sync: after its timeout")
    finally:
        engine.process.send_signal(signal.SIGCONT)
    equal(w.sync(60), 0, "sync: 0 when the engine is back")
    write(ctx + "/Dockerfile", DOCKERFILE + "RUN exit 7\n")
    equal(w.sync(60), 69, "sync: 69 when it cannot: a step fails")
    s = w.service()
    ok(not s["in_step"] and s["why"], "status says why", s)
    write(ctx + "/Dockerfile", DOCKERFILE)
    equal(w.sync(60), 0, "sync: 0 when the Dockerfile is right again")


def monitor(w, ctx):
    run_id = w.status()["run"]
    with Monitor(w) as m:
        time.sleep(0.5)
        write(ctx + "/plain/page", "seen by the monitor\n")
        write(ctx + "/words/one", "uno\n")
        with open(os.fsencode(ctx + "/plain/") + b"latin-\xe9", "wb") as f:
            f.write(b"no UTF-8\n")
        equal(w.sync(30), 0, "monitor: sync")
        w.kill_worker("push")
        wait_for(lambda: m.events("worker.exit") and
                 m.events("worker.ready"), 20, "worker.exit, worker.ready")
    for e in m.lines:
        missing = {"seq", "run", "time", "mono_ns", "event"} - set(e)
        if missing:
            ok(False, "monitor: every line has its keys", (missing, e))
            break
    else:
        ok(m.lines, "monitor: every line has its keys")
    equal({e["run"] for e in m.lines}, {run_id}, "monitor: run")
    seqs = [e["seq"] for e in m.lines]
    ok(seqs == sorted(set(seqs)), "monitor: seq rises", seqs)
    for name in ("push.start", "push.copy", "push.command", "push.return",
                 "push.end"):
        ok(m.events(name), "monitor: %s" % name,
           sorted({e["event"] for e in m.lines}))
    for e in m.events("push.end"):
        keys(e, {"result", "files", "deleted", "bytes", "seen_to_live_us",
                 "service", "job"}, "monitor: push.end")
    ok(any("path_b64" in e for e in m.lines),
       "monitor: a name that is no UTF-8 comes as path_b64")
    p = subprocess.Popen(w.command("wharfctl", "-s", w.sock, "-j", "monitor",
                                   "--since", str(seqs[0])),
                         stdout=subprocess.PIPE, env=w.environment())
    first = json.loads(p.stdout.readline())
    p.terminate()
    p.wait()
    equal(first["seq"], seqs[0], "monitor --since begins with that one")


def explain(w, ctx):
    rc, out, _ = w.ctl("explain", "ignore", "-C", ctx, "plain/page", "x.log")
    got = [json.loads(line) for line in out.splitlines()]
    equal((rc, [(g["path"], g["excluded"]) for g in got]),
          (0, [("plain/page", False), ("x.log", True)]), "explain ignore")
    equal((got[1]["pattern"], got[1]["file"], got[1]["line"]),
          ("*.log", ".dockerignore", 1), "explain ignore names the rule")
    rc, out, _ = w.ctl("explain", "images", "-f", ctx + "/Dockerfile")
    equal((rc, [i["ref"] for i in json.loads(out)["images"]]),
          (0, ["docker.io/library/" + BASE]), "explain images")
    rc, out, _ = w.ctl("explain", "push", "-C", ctx, "-f",
                       ctx + "/Dockerfile", "--changed", "words/one")
    push = json.loads(out)
    ops = [s["op"] for stage in push["stages"] for s in stage["steps"]]
    equal((rc, push["needed"], push["rebuild"], ops),
          (0, True, False, ["copy", "run"]), "explain push")
    bad = ctx + "/Bad.Dockerfile"
    write(bad, "FROM wharf-test-base:1\nNOSUCH thing\n")
    rc, _, err = w.ctl("explain", "images", "-f", bad)
    equal(rc, 65, "explain: 65 for a bad file")
    ok(re.search(r"Bad\.Dockerfile:2:\d+: ", err),
       "explain: file:line:column", err)
    equal(w.ctl("explain", "images", "-f", ctx + "/absent")[0], 66,
          "explain: 66 where there is no such file")
    equal(w.ctl("explain", "images", "--nosuch")[0], 64,
          "explain: 64 for bad usage")
    equal(w.ctl("explain", "nosuch")[0], 64, "explain: 64 for an unknown word")


def main():
    ctx = small_project()
    with Engine() as engine, Wharfd(engine, ctx) as w:
        explain(w, ctx)
        status(w, ctx)
        monitor(w, ctx)
        sync_codes(w, ctx, engine)
    equal(w.ctl("status")[0], 69, "without a daemon wharfctl ends with 69")


run(main)
