#!/usr/bin/python3
"""Docker contexts: which engine, in docker's own order, and clear words where
it cannot be had.  No engine is needed: wharfd -nv prints what it found."""
from wharf_test import *

DEFAULT = "unix:///var/run/docker.sock"
HOST = "DOCKER_HOST"
CONTEXT = "DOCKER_CONTEXT"


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def meta_path(name):
    return "contexts/meta/%s/meta.json" % sha(name)


def meta(conf, name, host):
    write(conf + "/" + meta_path(name), json.dumps(
        {"Name": name, "Metadata": {"Description": "d"},
         "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}))


def wharfd(ctx, conf, args=("-nv",), **env):
    """Exit code, settings, standard error."""
    e = {"PATH": "/usr/bin:/bin", "DOCKER_CONFIG": conf, **env}
    if conf is None:
        del e["DOCKER_CONFIG"]
    p = subprocess.run([BUILD + "/wharfd", *args, ctx],
                       env={k: v for k, v in e.items() if v is not None},
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=30)
    lines = dict(x.lstrip(" #").split(": ", 1)
                 for x in p.stdout.decode().splitlines() if ": " in x)
    return p.returncode, lines, p.stderr.decode()


def engine(ctx, conf, want, name, **env):
    rc, out, err = wharfd(ctx, conf, **env)
    ok((rc, out.get("host")) == (0, want), name, (rc, out, err))
    return out


def refused(ctx, conf, code, words, name, **env):
    rc, out, err = wharfd(ctx, conf, ("-n",), **env)
    ok(rc == code and all(w in err for w in words), name, (rc, out, err))


def precedence(ctx, conf):
    engine(ctx, conf + "/absent", DEFAULT, "no configuration directory")
    engine(ctx, conf, DEFAULT, "no config.json")
    write(conf + "/config.json", "{}")
    engine(ctx, conf, DEFAULT, "no currentContext")
    write(conf + "/config.json", "")
    engine(ctx, conf, DEFAULT, "an empty config.json")
    for current in ("default", "", None):
        write(conf + "/config.json", json.dumps({"currentContext": current}))
        engine(ctx, conf, DEFAULT, "currentContext %r" % current)
    meta(conf, "c1", "unix:///run/c1.sock")
    meta(conf, "c 2 \u00e9", "unix:///run/c2.sock")
    meta(conf, "empty", "")
    write(conf + "/config.json", '{"auths": {}, "currentContext": "c1"}')
    out = engine(ctx, conf, "unix:///run/c1.sock", "currentContext")
    equal(out.get("context"), "c1", "-nv names the context")
    engine(ctx, conf, "unix:///run/c2.sock",
           "DOCKER_CONTEXT before currentContext", **{CONTEXT: "c 2 \u00e9"})
    engine(ctx, conf, DEFAULT, "DOCKER_CONTEXT=default before currentContext",
           **{CONTEXT: "default"})
    engine(ctx, conf, "unix:///run/c1.sock", "an empty DOCKER_CONTEXT is none",
           **{CONTEXT: ""})
    engine(ctx, conf, DEFAULT, "a context without a host",
           **{CONTEXT: "empty"})
    engine(ctx, conf, "unix:///run/h.sock", "DOCKER_HOST before all",
           **{CONTEXT: "c 2 \u00e9", HOST: "unix:///run/h.sock"})
    engine(ctx, conf, "unix:///run/h.sock",
           "DOCKER_HOST before a context that does not exist",
           **{CONTEXT: "nosuch", HOST: "unix:///run/h.sock"})
    engine(ctx, conf, "unix:///run/c1.sock", "an empty DOCKER_HOST is none",
           **{HOST: ""})


def home(ctx, conf):
    h = scratch("home")
    meta(h + "/.docker", "at-home", "unix:///run/home.sock")
    write(h + "/.docker/config.json", '{"currentContext":"at-home"}')
    engine(ctx, None, "unix:///run/home.sock", "$HOME/.docker", HOME=h)
    engine(ctx, conf, "unix:///run/c1.sock", "DOCKER_CONFIG before $HOME",
           HOME=h)
    # the person's own file may be a link to where such files are kept
    os.rename(h + "/.docker/config.json", h + "/dotfile.json")
    os.symlink("../dotfile.json", h + "/.docker/config.json")
    engine(ctx, None, "unix:///run/home.sock", "config.json is a link",
           HOME=h)


def unserved(ctx, conf):
    for name, host, word in (("t", "tcp://10.0.0.1:2376", "is tcp"),
                             ("s", "ssh://me@box", "is ssh"),
                             ("w", "npipe:////./pipe/x", "Windows pipe"),
                             ("r", "unix://rel.sock", "not absolute"),
                             ("x", "unix:///" + "x" * 200, "too long")):
        meta(conf, name, host)
        refused(ctx, conf, 69,
                ['context "%s"' % name, conf + "/" + meta_path(name), word],
                "%s: says which context and file" % host[:20],
                **{CONTEXT: name})
    meta(conf, "e", "tcp://\x1b]0;title\x07")
    refused(ctx, conf, 69, ["tcp://\\x1b]0;title\\x07"],
            "what a file says is escaped", **{CONTEXT: "e"})


def broken(ctx, conf):
    refused(ctx, conf, 66,
            ['context "nosuch": context not found: ',
             conf + "/" + meta_path("nosuch") + ": no such file",
             "named by DOCKER_CONTEXT"],
            "no such context", **{CONTEXT: "nosuch"})
    refused(ctx, conf, 66, ["context not found"], "a name is no path",
            **{CONTEXT: "../../../etc"})
    bad = conf + "/config.json"
    good = open(bad).read()
    write(bad, '{\n  "currentContext": c1\n}')
    refused(ctx, conf, 65, [bad + ":2:21: "], "config.json: line and column")
    engine(ctx, conf, "unix:///run/c1.sock",
           "with DOCKER_CONTEXT config.json is not read", **{CONTEXT: "c1"})
    for text, word in (('{"currentContext": 7}', "not a string"),
                       ('["c1"]', "not a JSON object"),
                       ('{"currentContext": "c1"} x', ":1:"),
                       ('{"currentContext": "' + "x" * 300000 + '"}',
                        "currentContext is longer"),
                       ('{"a": "' + "x" * 2000000 + '"}', "")):
        write(bad, text)
        rc, _, err = wharfd(ctx, conf, ("-n",))
        ok(rc in (65, 66) and bad in err and word in err,
           "config.json: %s" % text[:24], (rc, err))
    write(bad, '{"currentContext": "gone"}')
    refused(ctx, conf, 66, ['context "gone"', "named by " + bad],
            "currentContext that does not exist")
    write(bad, good)
    for name, text in (("m1", '{"Name":"m1"'), ("m2", "{}"),
                       ("m3", '{"Endpoints":{"docker":{"Host":1}}}')):
        write(conf + "/" + meta_path(name), text)
        refused(ctx, conf, 65, [conf + "/" + meta_path(name)],
                "meta.json: " + text, **{CONTEXT: name})
    meta(conf, "m4", "unix:///" + "x" * 300000)
    refused(ctx, conf, 65, [conf + "/" + meta_path("m4"), "Host is longer"],
            "meta.json: a host that goes into no frame", **{CONTEXT: "m4"})


def fences(ctx, conf):
    """What the supervisor does not open."""
    elsewhere = scratch("elsewhere")
    meta(elsewhere, "out", "unix:///run/out.sock")
    os.makedirs(os.path.dirname(conf + "/" + meta_path("out")))
    os.symlink(elsewhere + "/" + meta_path("out"),
               conf + "/" + meta_path("out"))
    refused(ctx, conf, 66, ["leads out of docker's directory"],
            "a meta.json that is a link to elsewhere", **{CONTEXT: "out"})
    meta(conf, "other", "unix:///run/other.sock")
    os.chown(conf + "/" + meta_path("other"), 4711, 4711)
    refused(ctx, conf, 77, ["belongs to another user"],
            "another user's file", **{CONTEXT: "other"})
    fifo = conf + "/" + meta_path("fifo")
    os.makedirs(os.path.dirname(fifo))
    os.mkfifo(fifo)
    refused(ctx, conf, 77, ["not a file"], "a pipe does not hold it up",
            **{CONTEXT: "fifo"})


def main():
    ctx = small_project()
    conf = os.path.realpath(scratch("docker"))
    precedence(ctx, conf)
    home(ctx, conf)
    unserved(ctx, conf)
    broken(ctx, conf)
    fences(ctx, conf)


run(main)
