#!/usr/bin/python3
"""What each process may do: libraries, identities, capabilities, seccomp, the
sandbox probed from inside; the basics as an ordinary user of the group that
may use the engine."""
from wharf_test import *
import basics

USER, GROUP = 61234, 61235      # nobody's on the machine
READERS = {"watch", "push", "image"}
FORBIDDEN = {"libcurl": {"watch", "image", "push", "plan", "control"},
             "libyaml": set(WORKERS),
             "libarchive": {"watch", "engine", "plan", "control"},
             "libcjson": {"watch", "control"}}


def needed(program):
    out = subprocess.run(["objdump", "-p", BUILD + "/" + program], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    return re.findall(r"NEEDED\s+(\S+)", out)


def libraries():
    for lib, without in sorted(FORBIDDEN.items()):
        bad = [w for w in sorted(without) if any(
            n.startswith(lib) for n in needed("wharf-" + w))]
        equal(bad, [], "%s is mapped only where it is needed" % lib)
    bad = [n for n in needed("wharfd") if re.match(
        r"lib(curl|cjson|yaml|archive)", n)]
    equal(bad, [], "the supervisor links no curl, JSON, YAML or tar")
    ok(any(n.startswith("libcurl") for n in needed("wharf-engine")),
       "the engine worker links curl")


def facts(pid):
    """The kernel's word on a process."""
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def capabilities(f):
    return int(f["CapEff"], 16) | int(f["CapPrm"], 16) | int(f["CapInh"], 16)


DAC_READ_SEARCH = 1 << 2


def processes(w, root):
    name = "as root: " if root else "as a user: "
    uids = []
    for worker in WORKERS:
        f = facts(w.pid(worker))
        uids.append(f["Uid"].split()[0])
        equal((f["NoNewPrivs"], f["Seccomp"]), ("1", "2"),
              "%s%s: no_new_privs and a seccomp filter" % (name, worker))
        may = DAC_READ_SEARCH if root and worker in READERS else 0
        equal(capabilities(f) & ~may, 0,
              "%s%s: no capability but its own" % (name, worker))
        equal(len(set(f["Uid"].split())), 1, "%s%s: one uid" % (name, worker))
    if root:
        ok("0" not in uids, "as root: no worker is root", uids)
        equal(len(set(uids)), len(WORKERS), "as root: a uid for each worker")
    else:
        equal(set(uids), {str(USER)}, "as a user: the caller's uid")
    for x in w.status()["workers"]:
        ok(isinstance(x.get("sandbox"), dict) and x["sandbox"],
           "%s%s: status says what holds" % (name, x["name"]), x)


def probe(w, name):
    """--probe-sandbox -j: one object, each worker with its acts."""
    p = subprocess.run(w.command("wharfd", "--probe-sandbox", "-j"),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=w.environment(), timeout=60)
    found = {x["name"]: x["acts"] for x in
             json.loads(p.stdout.decode())["workers"]}
    equal(p.returncode, 0, name + "--probe-sandbox: exit code 0")
    for worker in WORKERS:
        acts = found.get(worker, [])
        ok(len(acts) >= 20, "%s%s: %d acts tried" % (name, worker, len(acts)))
        bad = [x for x in acts if x["refused"] is not True]
        ok(not bad, "%s%s: every act is refused" % (name, worker), bad)


def main():
    libraries()
    with Engine() as engine:
        with Wharfd(engine, small_project()) as w:
            processes(w, True)
            probe(w, "as root: ")
        engine.allow(GROUP)
        user = (USER, GROUP)
        basics.whole_life(engine, user, "as a user: ")
        ctx = small_project()
        with Wharfd(engine, ctx, user=user) as w:
            processes(w, False)
            probe(w, "as a user: ")


run(main)
