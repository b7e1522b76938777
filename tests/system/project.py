"""A generated project whose container is a function of its sources, and
random changes to it.  The steps write their outputs wholly and note each run
with one line below /var/count, which is no part of the comparison."""
import os
import shutil
import threading
import time
import traceback

from wharf_test import scratch, write

COUNTS = "/var/count"

DOCKERFILE = """\
FROM wharf-test-base:1
WORKDIR /app
COPY lib/ lib/
RUN mkdir -p /var/count && echo lib >>/var/count/lib && \\
    rm -rf gen/lib && mkdir -p gen/lib && \\
    find lib -type f -print0 | sort -z | xargs -0 -r sha256sum >gen/lib/sums && \\
    find lib | sort >gen/lib/names
COPY src/ src/
COPY tools/*.sh bin/
RUN echo src >>/var/count/src && \\
    rm -rf gen/src && mkdir -p gen/src && \\
    find src -type f -name '*.in' -print0 | sort -z | \\
    while IFS= read -r -d '' f; do \\
        n=$(echo -n "$f" | md5sum | cut -c1-12) && \\
        tr a-z A-Z <"$f" >"gen/src/$n.out"; \\
    done && \\
    find src bin -type l -print0 | sort -z | xargs -0 -r -n1 readlink >gen/src/links
COPY . /srv/all/
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
"""

IGNORE = """\
# what the image does not get
**/*.log
build
!build/keep
**/node_modules
lib/*.tmp
"""

FILE_MODES = [0o644] * 6 + [0o755, 0o600, 0o400, 0o664, 0o4755]
DIR_MODES = [0o755] * 4 + [0o700, 0o775, 0o2755]
TOPS = ["lib", "src", "lib", "src", "tools", "doc", "."]
FIXED = {"Dockerfile", ".dockerignore", "lib", "src", "tools", "doc",
         "build", "tools/keep.sh"}
NAMES = ["alpha", "beta", "gamma.in", "delta.in", "eps.txt", "zeta.c",
         "with space", "umlaut-\u00fc.in", "quote'\"", "back\\slash",
         "-dash.in", "star*", "new\nline", "dot.", ".hidden", "a" * 200,
         os.fsdecode(b"latin-\xe9.in")]
IGNORED = ["x.log", "node_modules/m/index.js", "build/out.o", "lib/a.tmp",
           "src/deep/y.log"]


class Project:
    """counts holds how many changes of each kind were made."""

    def __init__(self, rng):
        self.rng = rng
        self.dir = os.path.realpath(scratch("project"))
        self.counts = {}
        write(self.dir + "/Dockerfile", DOCKERFILE, 0o644)
        write(self.dir + "/.dockerignore", IGNORE, 0o644)
        write(self.dir + "/tools/keep.sh", "#!/bin/sh\n", 0o755)
        write(self.dir + "/build/keep", "kept\n")
        for top in ("lib", "src", "doc"):
            os.makedirs("%s/%s" % (self.dir, top), exist_ok=True)
            os.chmod("%s/%s" % (self.dir, top), 0o755)
        for _ in range(60):
            self.create()

    # -- choosing

    def content(self):
        size = self.rng.choice([0, 1, 20, 400, 5000, 70000])
        word = "%08x " % self.rng.getrandbits(32)
        return (word * (size // len(word) + 1))[:size].encode()

    def entries(self, kind):
        """Paths below the project that may be changed, in a fixed order."""
        found = []
        for root, dirs, files in os.walk(self.dir):
            dirs.sort()
            here = os.path.relpath(root, self.dir)
            for name in sorted(dirs + files):
                path = os.path.normpath(os.path.join(here, name))
                full = os.path.join(root, name)
                if path in FIXED:
                    continue
                link = os.path.islink(full)
                if kind == "any" or \
                   kind == "file" and not link and os.path.isfile(full) or \
                   kind == "dir" and not link and os.path.isdir(full):
                    found.append(full)
        return found

    def pick(self, kind):
        found = self.entries(kind)
        return self.rng.choice(found) if found else None

    def place(self, top=None):
        """A name that may or may not be taken."""
        top = top or self.rng.choice(TOPS)
        path = os.path.join(self.dir, top)
        while top != "tools" and self.rng.random() < 0.45:
            path = os.path.join(path, "d%d" % self.rng.randrange(4))
        if top == "tools":
            return os.path.join(path, "t%d.sh" % self.rng.randrange(6))
        return os.path.join(path, self.rng.choice(NAMES))

    def free(self, path):
        """Makes way for a new entry: parents are directories, the name is
        not taken."""
        path = os.path.normpath(path)
        if os.path.relpath(path, self.dir) in FIXED:
            return False
        step = self.dir
        for part in os.path.relpath(os.path.dirname(path),
                                    self.dir).split("/"):
            step = os.path.join(step, part)
            if os.path.islink(step) or os.path.isfile(step):
                os.unlink(step)
            if not os.path.isdir(step):
                os.mkdir(step)
        self.erase(path)
        return True

    def erase(self, path):
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.isdir(path):
            shutil.rmtree(path)

    # -- the changes; each returns whether it changed something

    def create(self):
        path = self.place()
        if not self.free(path):
            return False
        with open(path, "wb") as f:
            f.write(self.content())
        os.chmod(path, self.rng.choice(FILE_MODES))
        return True

    def overwrite(self):
        path = self.pick("file")
        if path is None:
            return False
        with open(path, "wb") as f:
            f.write(self.content())
        return True

    def save(self):
        """As editors do: another name, then a rename over the file."""
        path = self.pick("file")
        if path is None:
            return False
        new = os.path.join(os.path.dirname(path), ".save.log")
        with open(new, "wb") as f:
            f.write(self.content())
        os.chmod(new, os.stat(path).st_mode & 0o7777)
        os.rename(new, path)
        return True

    def same_time(self):
        """Other bytes, but size and modification time as they were."""
        path = self.pick("file")
        if path is None:
            return False
        st = os.stat(path)
        with open(path, "r+b") as f:
            f.write(self.rng.randbytes(min(st.st_size, 64)))
        os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
        return st.st_size > 0

    def append(self):
        path = self.pick("file")
        if path is None:
            return False
        with open(path, "ab") as f:
            f.write(b"appended %d\n" % self.rng.getrandbits(16))
        return True

    def delete(self):
        path = self.pick("file")
        if path is None:
            return False
        os.unlink(path)
        return True

    def mkdir(self):
        path = self.place(self.rng.choice(["lib", "src", "doc"]))
        if not self.free(path):
            return False
        os.mkdir(path)
        os.chmod(path, self.rng.choice(DIR_MODES))
        return True

    def chmod(self):
        path = self.pick("any")
        if path is None or os.path.islink(path):
            return False
        os.chmod(path, self.rng.choice(
            DIR_MODES if os.path.isdir(path) else FILE_MODES))
        return True

    def symlink(self):
        path = self.place(self.rng.choice(["lib", "src", "doc"]))
        if not self.free(path):
            return False
        os.symlink(self.rng.choice(["alpha", "d1", "../src/beta", "nowhere",
                                    "/etc/passwd", "."]), path)
        return True

    def rename(self):
        """A file or link to another name, over what is there."""
        old, new = self.pick("any"), self.place()
        if old is None or os.path.isdir(old) and not os.path.islink(old):
            return False
        if os.path.islink(old) and "/tools/" in new:
            return False
        if os.path.normpath(new) == old or not self.free(new):
            return False
        if not os.path.lexists(old):    # it stood in the way
            return True
        os.rename(old, new)
        return True

    def move_tree(self):
        old = self.pick("dir")
        new = self.place(self.rng.choice(["lib", "src", "doc", "build"]))
        if old is None or os.path.normpath(new).startswith(old) or \
           old.startswith(os.path.normpath(new)) or not self.free(new):
            return False
        if os.path.isdir(old):
            os.rename(old, new)
        return True

    def remove_tree(self):
        path = self.pick("dir")
        if path is None:
            return False
        shutil.rmtree(path)
        return True

    def grow_tree(self):
        """Several levels at once: the race of new directories."""
        path = self.place(self.rng.choice(["lib", "src", "doc"]))
        if not self.free(path):
            return False
        for i in range(self.rng.randrange(1, 4)):
            path = os.path.join(path, "n%d" % i)
            os.makedirs(path)
            write(path + "/leaf.in", self.content())
        return True

    def ignored(self):
        write(os.path.join(self.dir, self.rng.choice(IGNORED)),
              self.content())
        return True

    WEIGHTS = [("create", 18), ("overwrite", 18), ("save", 10),
               ("append", 8), ("delete", 9), ("mkdir", 5), ("chmod", 7),
               ("symlink", 4), ("rename", 8), ("move_tree", 4),
               ("remove_tree", 2), ("grow_tree", 4), ("ignored", 6),
               ("same_time", 1)]

    def change(self):
        """Makes one random change; tries until one changes something."""
        names, weights = zip(*self.WEIGHTS)
        while True:
            name = self.rng.choices(names, weights)[0]
            try:
                done = getattr(self, name)()
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                # IGNORED names may meet a file where a directory is wanted.
                continue
            if done:
                self.counts[name] = self.counts.get(name, 0) + 1
                return name


class Changer(threading.Thread):
    """Changes a project `rate` times a second until it is told to end."""

    def __init__(self, project, rate):
        super().__init__(daemon=True)
        self.project, self.rate = project, rate
        self.n, self.error = 0, None
        self.ended = threading.Event()

    def run(self):
        start = time.monotonic()
        try:
            while not self.ended.is_set():
                self.project.change()
                self.n += 1
                ahead = self.n / self.rate - (time.monotonic() - start)
                if ahead > 0:
                    time.sleep(ahead)
                elif ahead < -1:        # do not catch up in a burst
                    start = time.monotonic() - self.n / self.rate
        except Exception:
            self.error = traceback.format_exc()

    def stop(self):
        self.ended.set()
        self.join()
        return self.error
