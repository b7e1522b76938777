#!/usr/bin/python3
"""System calls that fail, one after the other, in each worker and in the
supervisor, by strace: a worker may end of it, the supervisor does not, and all
comes into step again.  A first run finds which calls each process makes.
WHARF_ROUNDS faults are tried in every process, WHARF_UPTO is the highest
number of a call that fails."""
from fault_test import *

ROUNDS = count("ROUNDS", 4, 120)
UPTO = count("UPTO", 12, 50)
SETTLE = 1.2    # s: a worker that dies sooner is held back
ERRORS = ["ENOSPC", "EMFILE", "EACCES", "ENOMEM"]
# Calls that do not fail like this (brk says where it is), or that are strace's
# own to see.
NEVER = {"brk", "execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall",
         "epoll_wait", "futex", "close", "clock_nanosleep", "arch_prctl",
         "getpid", "geteuid", "getuid", "getegid", "getgid", "umask",
         "set_tid_address", "set_robust_list", "rseq", "rt_sigprocmask",
         "munmap", "mprotect", "sigaltstack", "gettid", "wait4", "kill"}


def prepare(dir):
    """Workers that run under strace with what the file of their name says."""
    programs = Programs()
    for n in WORKERS:
        programs.script(n, "X=$(cat %s/%s 2>/dev/null) && rm -f %s/%s && "
                        "exec strace -f $X $WORKER\nexec $WORKER" %
                        (dir, n, dir, n))
    return programs


def plan(dir, name, options):
    write("%s/%s.new" % (dir, name), options + "\n", 0o644)
    os.rename("%s/%s.new" % (dir, name), "%s/%s" % (dir, name))


def calm(w):
    wait_for(lambda: not w.lives() or w.ready(), 60, "all workers run")
    return w.lives() and w.sync(60) == 0


def work(w, i):
    """What needs every process: a save, a step's input, a new name."""
    write(w.context + "/plain/page", "page %d\n" % i)
    write(w.context + "/words/one", "word %d\n" % i)
    write(w.context + "/plain/dir%d/leaf" % (i % 3), "%d\n" % i)


def replace_all(w):
    for n in WORKERS:
        w.kill_worker(n)


def used(w, dir):
    """The calls that each worker makes, from a run under strace -c."""
    for n in WORKERS:
        plan(dir, n, "-c -U calls,name -o %s/%s.calls" % (dir, n))
    replace_all(w)
    calm(w)
    work(w, 0)
    calm(w)
    time.sleep(SETTLE)
    for n in WORKERS:
        # strace writes what it has when the worker ends
        for p in descendants(w.pid(n)):
            os.kill(p, signal.SIGTERM)
    found = {}
    for n in WORKERS:
        path = "%s/%s.calls" % (dir, n)
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path), 30,
                 "the calls of " + n)
        with open(path) as f:
            names = re.findall(r"^\s*\d+\s+(\w+)$", f.read(), re.M)
        found[n] = sorted(set(names) - NEVER - {"total"})
    return found


def sweep(w, dir, found, rng):
    """One fault in every worker at once, over and over."""
    bad, tried, crashed = [], 0, 0
    everything = {n: [(c, e) for c in found[n] for e in ERRORS]
                  for n in WORKERS}
    for pairs in everything.values():
        rng.shuffle(pairs)
    for i in range(ROUNDS):
        faults = []
        for n in WORKERS:
            call, error = everything[n][i % len(everything[n])]
            when = rng.randrange(1, UPTO + 1)
            faults.append("%s: %s %s %d" % (n, call, error, when))
            plan(dir, n, "-qq -o /dev/null --seccomp-bpf -e trace=%s "
                 "-e inject=%s:error=%s:when=%d" % (call, call, error, when))
        tried += len(WORKERS)
        replace_all(w)
        time.sleep(0.3)
        work(w, i)
        time.sleep(SETTLE)
        if w.lives():
            w.sync(5)
        # what does not die of its fault may say that it cannot: ask again
        # with everything changed once more and nothing failing
        work(w, i + 100000)
        dead = len(crashes(w))
        if not calm(w) or dead > crashed:
            crashed = dead
            bad.append("%s\n%s" % (", ".join(faults), w.tail()))
            if not w.lives():
                break
            replace_all(w)
            time.sleep(SETTLE)
            work(w, i + 200000)
            calm(w)
        time.sleep(SETTLE)
    return bad, tried


SUPERVISOR = ["clone3", "clone", "vfork", "socketpair", "pipe2", "memfd_create",
              "fcntl", "sendmsg", "recvmsg", "read", "write", "epoll_ctl",
              "socket", "connect", "openat", "statx", "newfstatat", "mmap",
              "getsockopt"]


def supervisor(w, dir, rng):
    """Faults in the supervisor while it serves and starts workers again."""
    tried = 0
    cases = [(c, e) for c in SUPERVISOR for e in ERRORS + ["EAGAIN"]]
    rng.shuffle(cases)
    for i in range(ROUNDS):
        call, error = cases[i % len(cases)]
        pid = w.process.pid
        s = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p",
                              str(pid), "-e", "trace=" + call, "-e",
                              "inject=%s:error=%s:when=%d" % (
                                  call, error, rng.randrange(1, UPTO))])
        wait_for(lambda: traced(pid), 10, "strace holds the supervisor")
        victim = rng.choice(WORKERS)
        for p in descendants(pid):
            if is_worker(p, victim):
                os.kill(p, signal.SIGKILL)
        work(w, i)
        time.sleep(SETTLE)
        s.terminate()
        s.wait()
        tried += 1
        if not w.lives():
            return "%s %s ended it: %d\n%s" % (
                call, error, w.process.returncode, w.tail()), tried
        if not calm(w):
            return "%s %s: %s" % (call, error, w.tail()), tried
    return "", tried


def traced(pid):
    with open("/proc/%d/status" % pid) as f:
        return re.search(r"TracerPid:\s*[1-9]", f.read())


def main():
    rng = seeded()
    dir = scratch("faults")
    programs = prepare(dir)
    ctx = small_project()
    with Engine() as engine, Daemon(engine, ctx, programs=programs) as w:
        found = used(w, dir)
        for n in WORKERS:
            diag("%s: %s" % (n, " ".join(found[n])))
        ok(all(len(found[n]) > 8 for n in WORKERS),
           "the calls of each worker are known")
        calm(w)
        bad, tried = sweep(w, dir, found, rng)
        ok(not bad, "%d faults in workers: the supervisor lives, all comes "
           "into step, no worker crashes" % tried, "\n".join(bad[:5]))
        bad, tried = supervisor(w, dir, rng)
        equal(bad, "", "%d faults in the supervisor" % tried)
        equal(w.save("after all of it\n"), "", "it serves")
        equal(w.cat("/app/plain/page"), b"after all of it\n",
              "what is saved is live")
        equal(w.stop(), 0, "it stops cleanly")


run(main)
