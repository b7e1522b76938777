#!/usr/bin/python3
"""push is killed from outside with one path in its hands, over and over: the
path is set aside, which status says, and delivered all the same later."""
from fault_test import *


def main():
    ctx = small_project()
    with Engine() as engine, Daemon(engine, ctx) as w:
        # what push has begun stays in its hands while the engine's worker
        # does not move
        pid = w.pid("engine")
        os.kill(pid, signal.SIGSTOP)
        try:
            write(ctx + "/plain/page", "innocent\n")
            end = time.monotonic() + 20
            while not w.service()["set_aside"] and time.monotonic() < end:
                time.sleep(1.2)
                w.kill_worker("push")
        finally:
            os.kill(pid, signal.SIGCONT)
        s = w.service()
        equal(s["set_aside"], ["plain/page"], "it is set aside, by name")
        ok(not s["in_step"] and s["why"], "status says why", s)
        wait_for(lambda: w.sync(30) == 0, 90, "in step again")
        equal(w.cat("/app/plain/page"), b"innocent\n",
              "and yet it becomes live, without a change")
        equal(w.service()["set_aside"], [], "nothing is set aside any more")
        equal(w.stop(), 0, "it stops cleanly")


run(main)
