"""Drives one wharf-engine without a supervisor: tests/tools/engine_drive."""
import base64
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import time

from wharf_test import BUILD, diag

SERVICE = dict(name="svc", dir="/srv/svc", dockerfile="Dockerfile",
               image="wharf-drive:1", container="drive")
# enum eng_op
CONTAINER, IMAGE, NETWORK, START, STOP, KILL, RESTART, REMOVE, RENAME, TAG, \
    IMAGE_REMOVE = range(1, 12)
FORCE, NO_CACHE = 1, 2


class Answer:
    """The last frame of a request, and what came before it."""

    def __init__(self, frames):
        self.frames = frames
        self.last = frames[-1]
        self.type = self.last["frame"]
        self.code = self.last.get("code")
        self.status = self.last.get("status")
        self.exit = self.last.get("exit")
        self.error = self.last.get("error", "")
        self.us = self.last.get("us")

    def bytes(self, stream=None):
        return b"".join(
            base64.b64decode(f["data_b64"]) if "data_b64" in f
            else f.get("data", "").encode() for f in self.frames[:-1]
            if stream is None or f.get("stream") == stream)

    def __repr__(self):
        return "%r after %d frames" % (self.last, len(self.frames) - 1)


class Drive:
    def __init__(self, host, service=None, env=(), more=()):
        args = [BUILD + "/tests/tools/engine_drive", BUILD + "/wharf-engine",
                host]
        args += ["%s=%s" % kv for kv in dict(SERVICE, **(service or {})).items()]
        args += ["env=" + e for e in env] + list(more)
        if os.environ.get("WHARF_DRIVE_VERBOSE"):
            args.append("verbose=2")
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.notes = []
        self.answers = {}
        self.count = 0
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            frame = json.loads(line)
            with self.changed:
                if "tag" in frame:
                    self.answers.setdefault(frame["tag"], []).append(frame)
                else:
                    self.notes.append(frame)
                self.changed.notify_all()

    def until(self, condition, timeout, what):
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise TimeoutError("%s: still not after %g s; %r; %r" % (
                        what, timeout, self.notes[-3:], self.process.poll()))
                self.changed.wait(min(left, 0.5))

    def send(self, type, **kw):
        """Sends a request and returns its tag. A list repeats a field."""
        self.count += 1
        words = ["type=" + type, "tag=%d" % self.count]
        for k, v in kw.items():
            words += ["%s=%s" % (k, x)
                      for x in (v if isinstance(v, list) else [v])]
        self.line("\t".join(words))
        return str(self.count)

    def line(self, text):
        self.process.stdin.write(os.fsencode(text) + b"\n")
        self.process.stdin.flush()

    def last(self, tag):
        frames = self.answers.get(tag)
        if frames and frames[-1]["frame"] in ("ENG_DONE", "ERR", "OK"):
            return Answer(frames)
        return None

    def wait(self, tag, timeout=60):
        return self.until(lambda: self.last(tag), timeout, "answer " + tag)

    def ask(self, type, timeout=60, **kw):
        return self.wait(self.send(type, **kw), timeout)

    def worker(self):
        """The worker's process id."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return int(f.read().split()[0])

    def rss(self):
        """KiB of memory that the worker has."""
        with open("/proc/%d/status" % self.worker()) as f:
            return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))

    def states(self):
        return [n for n in self.notes if n["frame"] == "ENG_STATE"]

    def up(self, epoch=1, timeout=20):
        return self.until(
            lambda: [s for s in self.states()
                     if s["up"] == 1 and s["epoch"] >= epoch],
            timeout, "engine is up")[-1]

    def down(self, timeout=20, error=""):
        return self.until(
            lambda: [s for s in self.states()[-1:]
                     if s["up"] == 0 and error in s.get("error", "")],
            timeout, "engine is down " + error)[-1]

    def events(self, action=None, id=None):
        return [n for n in self.notes if n["frame"] == "ENG_EVENT" and
                (action is None or n["action"] == action) and
                (id is None or n["id"] == id)]

    def stop(self, timeout=10):
        self.line("type=STOP")
        return self.process.wait(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                diag("the worker did not end")
                self.process.kill()


def tar(path, files):
    """Writes a tar of {name: bytes}, without directories."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        for name, data in files.items():
            i = tarfile.TarInfo(name)
            i.size = len(data)
            i.mode = 0o644
            i.mtime = 1700000000
            t.addfile(i, io.BytesIO(data))
    return path
