"""A strict reader of OpenMetrics 1.0 text: parse() returns the families or
raises Bad, which says what is wrong and in which line."""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)(?: (\S+))?" % NAME)
META = re.compile(r"# (TYPE|UNIT|HELP) (%s) (.*)" % NAME)
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
SUFFIXES = {
    "counter": {"_total", "_created"},
    "gauge": {""},
    "info": {"_info"},
    "histogram": {"_bucket", "_count", "_sum", "_created"},
    "summary": {"", "_count", "_sum", "_created"},
    "unknown": {""},
    "stateset": {""},
    "gaugehistogram": {"_bucket", "_gcount", "_gsum"},
}


class Bad(Exception):
    pass


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, "unknown", "", None
        self.samples = []       # (suffix, labels, value) in order
        self.closed = False

    def value(self, suffix="", **labels):
        """The one sample whose labels include these."""
        found = [v for s, l, v in self.samples if s == suffix and
                 all(l.get(k) == x for k, x in labels.items())]
        if len(found) != 1:
            raise Bad("%s%s%r: %d samples" % (self.name, suffix, labels,
                                              len(found)))
        return found[0]


def number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text)
    if not NUMBER.fullmatch(text):
        raise Bad("not a number: %r" % text)
    return float(text)


def labels_of(text):
    got, at = {}, 0
    while text:
        m = LABEL.match(text, at)
        if m is None:
            raise Bad("bad label at %r" % text[at:])
        if m.group(1) in got:
            raise Bad("label %s twice" % m.group(1))
        got[m.group(1)] = re.sub(r"\\(.)", lambda e: {"n": "\n"}.get(
            e.group(1), e.group(1)), m.group(2))
        at = m.end()
        if at == len(text):
            break
        if text[at] != ",":
            raise Bad("no comma at %r" % text[at:])
        at += 1
    return got


def meta(families, current, line):
    m = META.fullmatch(line)
    if m is None:
        raise Bad("neither TYPE, UNIT, HELP nor EOF")
    what, name, text = m.groups()
    if current is None or current.name != name:
        if name in families:
            raise Bad("%s is not in one piece" % name)
        current = families[name] = Family(name)
        current.told = set()
    if what in current.told:
        raise Bad("%s of %s twice" % (what, name))
    if current.samples:
        raise Bad("%s of %s behind its samples" % (what, name))
    current.told.add(what)
    if what == "TYPE":
        if text not in SUFFIXES:
            raise Bad("type %r" % text)
        current.type = text
    elif what == "UNIT":
        if not name.endswith("_" + text):
            raise Bad("%s does not end in its unit %s" % (name, text))
        current.unit = text
    else:
        if not re.fullmatch(r'(?:[^"\\]|\\[n\\"])*', text):
            raise Bad("bad escape in HELP")
        current.help = text
    return current


def sample(current, line):
    m = SAMPLE.fullmatch(line)
    if m is None:
        raise Bad("no sample: %r" % line)
    name, labels, value, stamp = m.groups()
    if stamp is not None:
        raise Bad("a time stamp, where none is expected")
    if current is None or not name.startswith(current.name):
        raise Bad("%s below no family of its name" % name)
    suffix = name[len(current.name):]
    if suffix not in SUFFIXES[current.type]:
        raise Bad("%s: suffix %r of a %s" % (name, suffix, current.type))
    labels, value = labels_of(labels or ""), number(value)
    if any(l.startswith("__") for l in labels):
        raise Bad("a reserved label")
    if (suffix, labels) in [s[:2] for s in current.samples]:
        raise Bad("%s%r twice" % (name, labels))
    if current.type in ("counter", "histogram") and not value >= 0:
        raise Bad("%s is %g" % (name, value))
    if current.type == "info" and value != 1:
        raise Bad("an info that is not 1")
    if (suffix == "_bucket") != ("le" in labels):
        raise Bad("le in a bucket, and there only")
    current.samples.append((suffix, labels, value))


def key(labels):
    return tuple(sorted((k, v) for k, v in labels.items() if k != "le"))


def check_groups(f):
    """Samples of one label set stand together."""
    seen, last = set(), None
    for _, labels, _ in f.samples:
        k = key(labels)
        if k != last and k in seen:
            raise Bad("%s: %r is not in one piece" % (f.name, k))
        seen.add(k)
        last = k


def check_counter(f):
    for k in {key(l) for _, l, _ in f.samples}:
        if "_total" not in [s for s, l, _ in f.samples if key(l) == k]:
            raise Bad("%s%r: no _total" % (f.name, k))


def check_histogram(f):
    for k in {key(l) for _, l, _ in f.samples}:
        of = [(s, l, v) for s, l, v in f.samples if key(l) == k]
        buckets = [(number(l["le"]), v) for s, l, v in of if s == "_bucket"]
        rest = {s: v for s, l, v in of if s != "_bucket"}
        if not buckets or buckets[-1][0] != math.inf:
            raise Bad("%s%r: no bucket +Inf at the end" % (f.name, k))
        if buckets != sorted(set(buckets)) or \
                [v for _, v in buckets] != sorted(v for _, v in buckets):
            raise Bad("%s%r: buckets do not grow" % (f.name, k))
        if rest.get("_count") != buckets[-1][1]:
            raise Bad("%s%r: _count is not +Inf" % (f.name, k))
        if "_sum" not in rest or (rest["_count"] == 0 and rest["_sum"] != 0):
            raise Bad("%s%r: _sum" % (f.name, k))


def check_clashes(families):
    """No sample name of one family is one of another's."""
    names = {}
    for f in families.values():
        for s in SUFFIXES[f.type] | {""}:
            other = names.setdefault(f.name + s, f.name)
            if other != f.name:
                raise Bad("%s%s is of %s, too" % (f.name, s, other))


def parse(data):
    """bytes -> {name: Family}"""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Bad("not UTF-8: %s" % e)
    if not text.endswith("# EOF\n"):
        raise Bad("no # EOF at the end")
    families, current = {}, None
    for n, line in enumerate(text[:-len("# EOF\n")].split("\n")[:-1], 1):
        try:
            if line.startswith("#"):
                current = meta(families, current, line)
            else:
                sample(current, line)
        except Bad as e:
            raise Bad("line %d: %s" % (n, e))
    for f in families.values():
        check_groups(f)
        if f.type == "counter":
            check_counter(f)
        elif f.type == "histogram":
            check_histogram(f)
    check_clashes(families)
    return families
