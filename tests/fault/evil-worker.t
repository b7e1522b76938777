#!/usr/bin/python3
"""Workers whose processes are somebody else's: they flood the supervisor with
lies that look right and with frames that do not.  It kills them, lives on and
stays as large as it was.  WHARF_FRAMES is the number of frames in all."""
import mmap
import struct

from fault_test import *

FRAMES = count("FRAMES", 200000, 10000000)
EVIL = BUILD + "/tests/tools/evil_worker"
EACH = FRAMES // len(WORKERS)
LIVES = count("LIVES", 2, 30)   # of each: what is broken ends a life


class Evil:
    """The shared numbers of tests/tools/evil_worker.c."""

    def __init__(self, path, seed):
        write(path, struct.pack("=4Q", seed, 0, 0, 0), 0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 32)

    def read(self):
        """Lives, well-formed frames, broken ones."""
        return struct.unpack("=4Q", self.map[:32])[1:]


def replace(w, programs, name, program):
    """From now on this program is started for that worker."""
    programs.replace(name, program)
    w.kill_worker(name)


def flood(w, programs, evil, name):
    before = evil.read()
    replace(w, programs, name, EVIL)

    def enough():
        lives, frames, _ = (a - b for a, b in zip(evil.read(), before))
        return not w.lives() or (lives > LIVES and frames >= EACH)
    wait_for(enough, 60 + 40 * LIVES + EACH / 1000, "enough frames")
    programs.replace(name, "%s/wharf-%s" % (BUILD, name))
    lives, frames, broken = (a - b for a, b in zip(evil.read(), before))
    diag("%s: %d frames and %d broken ones in %d lives" %
         (name, frames, broken, lives))
    if not ok(w.lives(), "%s: the supervisor lives" % name):
        raise RuntimeError("wharfd ended: %d" % w.process.returncode)
    # the last life may still be under way, or be waited for
    try:
        wait_for(lambda: w.ready() and is_honest(w, name), 60,
                 "%s is itself again" % name)
    except TimeoutError:
        diag(w.why())
        diag(re.sub(r"(.* is for nobody\n)+", "", w.log()))
        raise


def is_honest(w, name):
    """Whether the process is not the one of this test's."""
    try:
        size = os.stat("/proc/%d/exe" % w.pid(name)).st_size
    except OSError:
        return False
    return size != os.stat(EVIL).st_size


def main():
    rng = seeded()
    programs = Programs()
    evil = Evil(programs.dir + "/evil", rng.getrandbits(32))
    ctx = small_project()
    with Engine() as engine, Daemon(engine, ctx, programs=programs) as w:
        pid = w.process.pid
        files = fds(pid)
        size = []
        for name in WORKERS:
            flood(w, programs, evil, name)
            size.append(rss(pid))
        lives, frames, broken = evil.read()
        diag("%d frames and %d broken ones in %d lives; the supervisor: %r "
             "KiB" % (frames, broken, lives, size))
        ok(frames >= EACH * len(WORKERS) and broken > 0,
           "%d frames and more were sent" % FRAMES)
        equal(crashes(w), [], "no other worker crashed of what it was told")
        ok(max(size) < 24 * 1024 or "san" in BUILD,
           "the supervisor's memory is bounded", size)
        equal(w.save("all is well again\n"), "", "everything is in step again")
        equal(w.cat("/app/plain/page"), b"all is well again\n",
              "and what is saved is live")
        wait_for(lambda: fds(pid) <= files, 10, "fds: %d, at first %d" %
                 (fds(pid), files))
        ok(True, "no file descriptor is left over")
        equal(w.stop(signal.SIGTERM), 0, "it stops cleanly")


run(main)
