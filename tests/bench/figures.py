"""Figures: samples of a case beside those of its baseline, and the tables
made of them.  Used by the programs of this folder."""
import json
import os
import platform
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("WHARF_BUILD", TOP + "/build"))
BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->\n"


def percentile(values, p):
    """The nearest-rank percentile."""
    v = sorted(values)
    return v[max(0, -(-len(v) * p // 100) - 1)]


def stretch(seconds):
    """A time with three digits that count."""
    for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            break
    n = seconds / unit
    return "%.*f %s" % (0 if n >= 100 else 1 if n >= 10 else 2, n, name)


class Case:
    """Samples in seconds, ours and the baseline's, taken in turn."""

    def __init__(self, name, baseline):
        self.name, self.baseline = name, baseline
        self.ours, self.bare = [], []

    def rounds(self, n, ours, bare, warmup=2):
        """Calls ours(i) and bare(i) in turn; the first rounds are thrown
        away."""
        for i in range(warmup + n):
            a, b = ours(i), bare(i)
            if i >= warmup:
                self.ours.append(a)
                self.bare.append(b)

    def row(self):
        o, b = percentile(self.ours, 50), percentile(self.bare, 50)
        return [self.name, str(len(self.ours)), stretch(o),
                stretch(percentile(self.ours, 10)),
                stretch(percentile(self.ours, 90)),
                "%s: %s" % (self.baseline, stretch(b)), "%.2f" % (o / b)]

    def say(self):
        print("  ".join(self.row()), flush=True)

    def json(self):
        def spread(v):
            return {"n": len(v), "median": percentile(v, 50),
                    "p10": percentile(v, 10), "p90": percentile(v, 90)}
        return dict(spread(self.ours), case=self.name, unit="s",
                    baseline=dict(spread(self.bare), name=self.baseline),
                    ratio=percentile(self.ours, 50) /
                    percentile(self.bare, 50))


def markdown(head, rows):
    return "".join("| %s |\n" % " | ".join(r) for r in
                   [head, ["---"] + ["---:"] * (len(head) - 1)] + rows)


def first_line(*command):
    p = subprocess.run(command, stdout=subprocess.PIPE)
    return p.stdout.decode().strip().split("\n")[0]


class Report:
    """All cases of a run, and where it ran."""

    def __init__(self):
        self.cases, self.idle = [], []
        self.when = time.strftime("%Y-%m-%d", time.gmtime())
        self.load = os.getloadavg()[0]

    def machine(self):
        return {"kernel": platform.release(), "cores": os.cpu_count(),
                "engine": first_line("dockerd", "--version"),
                "load_before": self.load, "load_after": os.getloadavg()[0],
                "date": self.when}

    def add(self, case):
        self.cases.append(case)
        case.say()

    def text(self):
        m = self.machine()
        out = "`make bench` on %s: %s, Linux %s, %d cores, load average " \
            "%.1f before and %.1f after.\n\n" % (
                m["date"], m["engine"].split(",")[0], m["kernel"],
                m["cores"], m["load_before"], m["load_after"])
        if self.cases:
            out += markdown(["case", "n", "median", "p10", "p90",
                             "baseline: its median", "ratio"],
                            [c.row() for c in self.cases])
        if self.idle:
            out += "\n" + markdown(
                ["process, idle in the demo", "wake-ups a second", "PSS"],
                [[i["process"], "%.2f" % i["wakeups_per_s"],
                  "%d kB" % i["pss_kb"]] for i in self.idle])
        return out

    def save(self):
        """build/bench.json, owned by whoever owns build/."""
        path, owner = BUILD + "/bench.json", os.stat(BUILD)
        with open(path, "w") as f:
            json.dump({"v": 1, "machine": self.machine(), "idle": self.idle,
                       "cases": [c.json() for c in self.cases]}, f, indent=1)
            f.write("\n")
        os.chown(path, owner.st_uid, owner.st_gid)

    def to_readme(self):
        path = TOP + "/README.md"
        with open(path, "r+") as f:
            text = f.read()
            head, found, rest = text.partition(BEGIN)
            _, end, tail = rest.partition(END)
            if not found or not end:
                raise SystemExit("bench: README.md has no place for figures")
            f.seek(0)
            f.truncate()
            f.write(head + BEGIN + self.text() + END + tail)
