#!/usr/bin/python3
"""No forbidden act is possible as root, as a user, or in a container with
Docker's default profile, and README's table has what is probed."""
import importlib.machinery
import importlib.util

from wharf_test import *


def load(path):
    """A program without a suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader("probe_table", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def heads(lines):
    """The first row, and the first two cells of each row."""
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in lines]
    return rows[0], [r[:2] for r in rows[2:]]


def main():
    tool = load(TOP + "/tests/tools/probe-table")
    with Engine() as engine:
        ok("name=seccomp,profile=default" in
           engine.docker("info", "--format", "{{.SecurityOptions}}"),
           "the engine has Docker's default profile")
        found = tool.run_all(engine)
    for s in tool.SITUATIONS:
        acts = [(w["name"], a) for w in found[s]["workers"] for a in w["acts"]]
        ok(len(acts) > 200, "%s: %d acts were tried" % (s, len(acts)))
        equal([a for a in acts if a[1]["refused"] is not True], [],
              s + ": every act is refused")
    with open(TOP + "/README.md") as f:
        lines = tool.between_marks(f.read())[1].splitlines()
    equal(heads(lines), heads(tool.table(found)),
          "README's table has the same acts and situations: make probe-table")


run(main)
