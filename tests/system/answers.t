#!/usr/bin/python3
"""Every request is answered in the end, one that was cancelled as well: what
is open counts against its message's cap, and over that the answer is BUSY."""
from wharf_test import *

SAVES, SYNCS = 12, 6
FRAME = re.compile(r"^wharfd: (<-|->) (\w+) (\w+) .* id=(\d+) gen=\d+ len=\d+"
                   r"(.*)$", re.M)
ASKED = ("TAKE", "WATCH_SYNC", "DO", "APPLY", "STEPS", "ATTACH", "BUILD")
ANSWERS = ("WATCH_BATCH", "WATCH_SYNC_OK", "PUSH_DONE", "BUILD_DONE", "OK",
           "ERR")


def unanswered(log):
    """What workers have asked and not been answered: (who, what, id)."""
    there = {}
    for way, who, what, number, more in FRAME.findall(log):
        if way == "<-" and what in ASKED:
            there[who, number] = what
        elif way == "->" and what in ANSWERS and "more" not in more:
            there.pop((who, number), None)
    return sorted((who, what, number)
                  for (who, number), what in there.items())


def cancelled_syncs(w):
    """wharfctl goes away while watch cannot answer what plan asks it."""
    pid, asked = w.pid("watch"), w.log().count("<- plan WATCH_SYNC ")
    os.kill(pid, signal.SIGSTOP)
    clients = [subprocess.Popen(w.command("wharfctl", "-s", w.sock, "sync"),
                                env=w.environment(), stderr=subprocess.DEVNULL)
               for _ in range(SYNCS)]
    wait_for(lambda: w.log().count("<- plan WATCH_SYNC ") >= asked + SYNCS,
             10, "plan to ask watch")
    for c in clients:
        c.kill()
        c.wait()
    wait_for(lambda: w.log().count("<- control CANCEL ") >= SYNCS, 10,
             "control to cancel")
    os.kill(pid, signal.SIGCONT)


def cancelled_build(w, conf, text):
    """A reload retires a service that is being built."""
    builds = w.log().count("<- plan BUILD ")
    write(w.context + "/Dockerfile", "FROM wharf-test-base:1\nRUN sleep 5\n"
          "CMD [\"sleep\", \"1000\"]\n")
    wait_for(lambda: w.log().count("<- plan BUILD ") > builds, 10, "a build")
    write(conf, text + "    target: \"0\"\n")
    equal(w.ctl("reload")[0], 0, "reloaded while an image is built")
    wait_for(lambda: "<- plan CANCEL " in w.log(), 10, "plan to cancel")


def main():
    with Engine() as engine:
        ctx, conf = small_project(), scratch("conf") + "/wharfd.yaml"
        text = "services:\n  web:\n    dir: %s\n    network: none\n" % ctx
        write(conf, text)
        with Wharfd(engine, ctx, ["-D", "frames"], file=conf) as w:
            for i in range(SAVES):
                write(ctx + "/plain/page", "%d\n" % i)
                equal(w.sync(), 0, "save %d is live" % (i + 1))
            cancelled_syncs(w)
            equal(w.sync(), 0, "in step after syncs that were cancelled")
            cancelled_build(w, conf, text)

            def settled():
                return all(what == "TAKE" or (who, what) == ("plan", "BUILD")
                           and number == last_build(w.log())
                           for who, what, number in unanswered(w.log()))
            try:
                wait_for(settled, 10, "answers")
            except Exception:
                pass
            left = unanswered(w.log())
            ok(sum(what == "TAKE" for _, what, _ in left) <= 1,
               "one TAKE stands, the others were answered", left)
            ok(settled(), "all else was answered", left)


def last_build(log):
    """The id of the build that was asked for last, which may run still."""
    return re.findall(r"<- plan BUILD .* id=(\d+)", log)[-1]


run(main)
