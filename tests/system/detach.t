#!/usr/bin/python3
"""wharfd -f FILE: it goes on in the background and says what became of it;
which file it reads, whose it may be, and that what -nv prints is read again
to the same.  No engine is needed."""
from wharf_test import *

NOBODY = 65534
GOLDEN = TOP + "/tests/golden/config"


def environment(**more):
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
           "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    env.update(more)
    return env


def wharfd(*args, program=None, cwd="/", uid=None, **env):
    """(exit code, standard output, standard error); wharfd may go on."""
    def become():
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
    p = subprocess.run([(program or BUILD) + "/wharfd", *args], cwd=cwd,
                       env=environment(**env), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       preexec_fn=become, timeout=30)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def ctl(sock, *args):
    p = subprocess.run([BUILD + "/wharfctl", "-s", sock, *args],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=environment(), timeout=30)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def refused(got, code, word, name):
    return ok(got[0] == code and word in got[2] and got[1] == "", name, got)


def conf(name="conf", text="services: {}\n"):
    path = scratch(name) + "/wharfd.yaml"
    write(path, text)
    return path


def supervisor(sock):
    """The process behind the socket, as the one who listens there."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(sock)
    # SO_PEERCRED of a listening socket's other end: who bound it
    pid = int.from_bytes(s.getsockopt(socket.SOL_SOCKET,
                                      socket.SO_PEERCRED, 12)[:4], "little")
    s.close()
    return pid


def gone(pid):
    # who started it has ended: it is the init's of this namespace to reap
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def daemon():
    dir = os.path.dirname(conf("daemon"))
    sock = dir + "/ctl.sock"
    args = ("-f", "wharfd.yaml", "-s", "ctl.sock")
    equal(wharfd(*args, cwd=dir), (0, "", ""),
          "without -d it says nothing and is done")
    rc, out, err = ctl(sock, "status", "-j")
    ok(rc == 0, "the control socket answers at once", (rc, out, err))
    pid = supervisor(sock)
    equal(os.getsid(pid), pid, "it leads a session of its own")
    equal([os.readlink("/proc/%d/fd/%d" % (pid, n)) for n in range(3)],
          ["/dev/null"] * 3, "its standard files are /dev/null")
    equal(os.readlink("/proc/%d/cwd" % pid), "/", "it holds no directory")
    with open("/proc/%d/stat" % pid) as f:
        equal(f.read().rsplit(")", 1)[1].split()[4], "0",
              "it has no terminal")
    refused(wharfd(*args, cwd=dir), 73, "another wharfd answers",
            "a socket that is taken")
    equal(ctl(sock, "reload")[0], 0, "it finds the file again")
    write(dir + "/wharfd.yaml", "nonsense: 1\n")
    rc, out, err = ctl(sock, "reload")
    ok(rc == 65 and "wharfd.yaml:1:1: nonsense" in err,
       "and says what is wrong with it", (rc, out, err))
    equal(ctl(sock, "stop")[0], 0, "wharfctl stop")
    wait_for(lambda: gone(pid), 10, "it ends")
    ok(not os.path.exists(sock), "and takes its socket away")
    refused(wharfd(*args, cwd=dir), 65, "wharfd.yaml:1:1: nonsense",
            "a bad file is told to who starts it")
    write(dir + "/wharfd.yaml", "services: {}\n")
    equal(wharfd(*args, cwd=dir)[0], 0, "again")
    pid = supervisor(sock)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: gone(pid), 10, "TERM ends it")


def check():
    path = conf()
    equal(wharfd("-n", "-f", path), (0, "", ""), "-n says nothing of a good "
          "file")
    write(path, "services: {a: {}}\n")
    refused(wharfd("-n", "-f", path), 65, "services.a",
            "-n names the place in a bad one")
    refused(wharfd("-n", "-f", path + ".none"), 66, "No such file", "no file")
    refused(wharfd("-f", path + ".none"), 66, "No such file",
            "no file, detached")
    refused(wharfd("-n", "-f", path, "/"), 64, "not both", "a file and a "
            "directory")
    refused(wharfd("-n", "-f", path, "--keep"), 64, "--keep",
            "a directory's option with a file")


def whose():
    path = conf()
    os.chmod(path, 0o666)
    refused(wharfd("-n", "-f", path), 77, "everybody may write",
            "a file that everybody may write to")
    os.chmod(path, 0o644)
    os.chown(path, NOBODY, NOBODY)
    refused(wharfd("-n", "-f", path), 77, "belongs to another user",
            "somebody else's file")
    refused(wharfd("-f", path), 77, "belongs to another user",
            "detached too")


def includes():
    path = conf(text="include: [more/a.yaml]\n")
    more = os.path.dirname(path) + "/more"
    os.mkdir(more)
    write(more + "/a.yaml", "services: {inc: {dir: ../a}}\n")
    rc, out, err = wharfd("-nv", "-f", path)
    ok(rc == 0 and "dir: %s/a\n" % os.path.dirname(path) in
       out.replace('"', ""), "an included file", (rc, out, err))
    os.rename(more + "/a.yaml", os.path.dirname(more) + "/b.yaml")
    os.symlink("../b.yaml", more + "/a.yaml")
    equal(wharfd("-n", "-f", path)[0], 0, "a link that stays below")
    outside = scratch("outside") + "/a.yaml"
    write(outside, "services: {inc: {dir: /a}}\n")
    os.unlink(more + "/a.yaml")
    os.symlink(outside, more + "/a.yaml")
    rc, out, err = wharfd("-n", "-f", path)
    ok(rc != 0 and "leads out of the including file's directory" in err,
       "a link that leads outside", (rc, out, err))
    os.unlink(more + "/a.yaml")
    shutil.copy(outside, more + "/a.yaml")
    os.chown(more + "/a.yaml", NOBODY, NOBODY)
    refused(wharfd("-n", "-f", path), 77, "another user",
            "an included file of somebody else's")


def programs():
    """Where an ordinary user can start them."""
    copy = scratch("bin")
    for f in os.listdir(BUILD):
        if f.startswith("wharf") and os.path.isfile(BUILD + "/" + f):
            shutil.copy(BUILD + "/" + f, copy)
    return copy


def default_file():
    copy, home = programs(), scratch("home")
    path = home + "/wharf/wharfd.yaml"
    env = {"program": copy, "uid": NOBODY, "XDG_CONFIG_HOME": home,
           "XDG_RUNTIME_DIR": home}
    refused(wharfd("-n", **env), 64, path, "no default file: it is named")
    write(path, "services: {mine: {dir: /srv/mine}}\n")
    rc, out, err = wharfd("-nv", **env)
    ok(rc == 0 and "mine:" in out, "a user's default file, which is root's",
       (rc, out, err))
    os.chown(path, NOBODY, NOBODY)
    equal(wharfd("-n", **env)[0], 0, "or the user's own")
    os.chown(path, NOBODY - 1, NOBODY)
    refused(wharfd("-n", **env), 77, "another user", "or nobody's")
    write(home + "/.config/wharf/wharfd.yaml",
          "services: {athome: {dir: /srv/x}}\n")
    env = dict(env, XDG_CONFIG_HOME="", HOME=home)
    rc, out, err = wharfd("-nv", **env)
    ok(rc == 0 and "athome:" in out, "~/.config without XDG_CONFIG_HOME",
       (rc, out, err))


def normal_form():
    """Docker's context that the example names is there as well."""
    path, docker = conf(), scratch("docker")
    with open(GOLDEN + "/all-keys.yaml") as f:
        write(path, f.read())
    write("%s/contexts/meta/%s/meta.json" % (
        docker, hashlib.sha256(b"ci").hexdigest()), json.dumps(
            {"Name": "ci", "Endpoints": {"docker": {
                "Host": "unix:///run/ci.sock"}}}))
    rc, first, err = wharfd("-nv", "-f", path, DOCKER_CONFIG=docker)
    ok(rc == 0 and len(first.splitlines()) > 40,
       "the example with all keys has a long normal form", (rc, first, err))
    again = conf("again", first)
    rc, second, err = wharfd("-nv", "-f", again)
    ok((rc, second) == (0, first), "which is its own normal form",
       "\n".join([err, first, second]))


def api():
    """What DOCKER_API_VERSION pins where the file does not."""
    path = conf(text="engines:\n  a: {host: unix:///a, api: '1.40'}\n"
                "  b: {host: unix:///b}\nservices: {}\n")
    rc, out, err = wharfd("-nv", "-f", path, DOCKER_API_VERSION="1.41")
    ok(rc == 0 and out.count("1.40") == 1 and out.count("1.41") == 1,
       "DOCKER_API_VERSION with a file", (rc, out, err))
    ok("api" not in wharfd("-nv", "-f", conf())[1], "and without it none")


def main():
    daemon()
    check()
    whose()
    includes()
    default_file()
    normal_form()
    api()


run(main)
