#!/usr/bin/python3
"""The log as JSON lines, what each -D token shows, and a reader of the log
that stops reading."""
from wharf_test import *

HOSTILE = b"li\nne \x1b[2J \"q\" \\ \xff"
TOKENS = ("watch", "push", "plan", "engine", "image", "control", "config",
          "supervisor")


def json_lines(engine):
    """Every line is one object; hostile names and each token's decisions are
    in it."""
    ctx = small_project()
    args = ["--log", "json"] + [a for t in TOKENS for a in ("-D", t)]
    with Wharfd(engine, ctx, args) as w:
        with open(os.fsencode(ctx) + b"/plain/" + HOSTILE, "w") as f:
            f.write("x\n")
        equal(w.sync(), 0, "the file with a hostile name is live")
        w.stop(signal.SIGTERM)
        lines = [json.loads(line) for line in w.log().splitlines()]
    ok(all(set(o) == {"time", "prio", "proc", "pid", "msg"} for o in lines),
       "each line of the log is one object of the same keys")
    procs = {o["proc"] for o in lines if o["prio"] == "debug"}
    want = {"wharfd" if t == "supervisor" else t for t in TOKENS}
    equal(procs | {"config"}, want, "every token shows something")
    ok(any("li\\x0ane \\x1b[2J \"q\" \\ \\xff" in o["msg"] for o in lines),
       "a hostile name is escaped in it")


class Unread(Wharfd):
    """Its log is a pipe that nobody reads until drain()."""

    def start(self):
        r, self.end = os.pipe()
        self.read = os.fdopen(r, "rb")
        self.process = subprocess.Popen(
            self.command("wharfd", "-d", "-s", self.sock, *self.args,
                         self.context),
            stdout=self.end, stderr=self.end, stdin=subprocess.DEVNULL,
            env=self.environment())
        os.close(self.end)
        self.await_container()

    def drain(self):
        """All that comes until the end of the daemon."""
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        self.got = self.read.read().decode()

    def log(self):
        return getattr(self, "got", "")


def lost_lines(w):
    found = re.search(r"^wharf_log_lines_lost_total (\d+)$",
                      w.ctl("metrics")[1], re.M)
    return int(found.group(1)) if found else 0


def stuck(engine):
    """Nobody reads the log: nothing waits for that, and the loss is told."""
    ctx = small_project()
    with Unread(engine, ctx, ["-vv"]) as w:
        bad = 0
        for i in range(400):
            write(ctx + "/plain/page", "%d\n" % i)
            bad += w.sync(10) != 0
            if i >= 20 and lost_lines(w) > 100:
                break
        equal(bad, 0, "changes are live while nobody reads the log")
        w.drain()
        equal(w.sync(), 0, "and it goes on")
        equal(w.stop(signal.SIGTERM), 0, "and ends")
        w.thread.join(10)
    lost = [int(n) for n in re.findall(
        r"^wharfd: warning: (\d+) log lines lost$", w.log(), re.M)]
    ok(sum(lost) > 100, "lost lines are counted and told: %r" % lost)
    ok(all(re.match(r"\w+: ", line) for line in w.log().splitlines()),
       "all others are whole")


def main():
    with Engine() as engine:
        json_lines(engine)
        stuck(engine)


run(main)
