#!/usr/bin/python3
"""The shared libraries that each program is linked with, and how: a worker
maps only what its own work needs, and a new library is a decision, not an
accident.  Needs no engine."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("WHARF_BUILD", TOP + "/build"))

BASE = {"c", "bsd"}             # libc and what OpenBSD's lacks there
SANDBOX = {"seccomp"}           # in each worker, and in no other program
MAY = {
    # no curl, JSON, YAML or tar where the rights are
    "wharfd": BASE,
    # explain reads Dockerfiles and contexts, for the person who asks
    "wharfctl": BASE | {"cjson", "md", "archive"},
    "wharf-watch": BASE | SANDBOX | {"md"},
    "wharf-engine": BASE | SANDBOX | {"curl", "cjson"},
    "wharf-image": BASE | SANDBOX | {"archive", "cjson", "md"},
    "wharf-push": BASE | SANDBOX | {"archive", "cjson", "md"},
    "wharf-plan": BASE | SANDBOX | {"cjson", "md"},
    "wharf-control": BASE | SANDBOX,
    "wharf-config": BASE | SANDBOX | {"yaml-0", "cjson", "md"},
}
MUST = {"wharf-engine": {"curl"}, "wharf-image": {"archive"},
        "wharf-push": {"archive"}, "wharf-config": {"yaml-0"}}
# what a compiler brings along: nothing of ours
RUNTIME = {"asan", "ubsan", "gcc_s", "m", "stdc++", "pthread", "dl", "rt"}


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def needed(dynamic):
    names = re.findall(r"\(NEEDED\).*\[(?:lib)?([^]]*?)\.so", dynamic)
    return {n for n in names if not n.startswith("ld-linux")} - RUNTIME


def tests():
    for name in sorted(MAY):
        program = os.path.join(BUILD, name)
        yield os.path.isfile(program), name + ": is built", program
        if not os.path.isfile(program):
            continue
        dynamic = readelf("-d", program)
        libs = needed(dynamic)
        yield "c" in libs, name + ": its libraries can be read", dynamic
        extra = libs - MAY[name]
        yield not extra, name + ": maps no library but its own", extra
        want = MUST.get(name, set()) | (
            SANDBOX if name.startswith("wharf-") else set())
        yield want <= libs, name + ": maps what its work needs", want - libs
        yield ("BIND_NOW" in dynamic or " NOW" in dynamic,
               name + ": all symbols are bound at start", dynamic)
        yield (not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic),
               name + ": no search path and no text relocation", dynamic)
        headers = readelf("-lh", program)
        yield "DYN (" in headers, name + ": position independent", headers
        yield "GNU_RELRO" in headers, name + ": relro", headers
        stack = re.search(r"GNU_STACK.*", headers)
        yield (stack is not None and "RWE" not in stack.group(0),
               name + ": the stack is not executable", headers)


def main():
    count = failed = 0
    for good, name, why in tests():
        count += 1
        print("%s %d - %s" % ("ok" if good else "not ok", count, name))
        if not good:
            failed += 1
            for line in str(why).splitlines():
                print("# " + line)
    print("1..%d" % count)
    return 1 if failed else 0


sys.exit(main())
