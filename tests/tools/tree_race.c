/*
 * tree_race [-f] TRIES: reads a tree while another process swaps a directory
 * and a file of it with links that lead out, to a secret.
 *
 *	-f	the fallback for kernels without openat2
 *
 * Prints one JSON line: how often each reader got the tree's own content, was
 * refused, and got the secret.  "open" is open(2) without our care: that it
 * does get the secret shows that the race is one.  Exit status 1 when one of
 * ours did.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/context.h"
#include "workers/shared/rules.h"

#define SECRET "the secret outside"
#define OWN    "what the tree holds"

struct reader {
	const char *name;
	/* 1 and what was read in out; 0: refused */
	int (*read)(int root, struct buf *out);
	unsigned every; /* one of so many tries */
	uint64_t own, refused, escaped;
};

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		err(1, "%s", path);
}

static void
make_world(void)
{
	if (mkdir("root", 0755) == -1 || mkdir("root/d", 0755) == -1 ||
	    mkdir("out", 0755) == -1)
		err(1, "mkdir");
	put("out/s", SECRET);
	put("root/d/s", OWN);
	put("root/f", OWN);
	put("root/Dockerfile", OWN);
	put("root/.dockerignore", "# " OWN "\nx\n");
	put("out/ignore", "# " SECRET "\nx\n");
	if (symlink("../out", "root/x") == -1 ||
	    symlink("../out/s", "root/x1") == -1 ||
	    symlink("../out/s", "root/x2") == -1 ||
	    symlink("../out/ignore", "root/x3") == -1)
		err(1, "symlink");
}

static void
remove_world(void)
{
	static const char *const names[] = { "out/s", "out/ignore", "root/f",
		"root/x1", "root/x2", "root/x3", "root/Dockerfile",
		"root/.dockerignore", "root/d/s", "root/x/s", "root/x",
		"root/d", "root", "out" };

	/* what is a directory and what a link is as the race left it */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(names[i]);
}

/* Until it is killed. */
static void __attribute__((noreturn)) swap_all(int root)
{
	static const char *const pairs[][2] = { { "d", "x" }, { "f", "x1" },
		{ "Dockerfile", "x2" }, { ".dockerignore", "x3" } };

	for (;;)
		for (size_t i = 0; i < 4; i++)
			if (renameat2(root, pairs[i][0], root, pairs[i][1],
				RENAME_EXCHANGE) == -1)
				_exit(1);
}

static int
read_fd(int fd, struct buf *out)
{
	ssize_t n;

	if (fd == -1)
		return (0);
	while ((n = read(fd, buf_reserve(out, 256), 256)) > 0)
		out->len += (size_t)n;
	close(fd);
	return (1);
}

static int
read_below(int root, struct buf *out)
{
	return (read_fd(tree_open_file(root, "d/s", NULL), out));
}

static int
read_file(int root, struct buf *out)
{
	return (read_fd(tree_open_file(root, "f", NULL), out));
}

static int
read_naive(int root, struct buf *out)
{
	return (read_fd(openat(root, "d/s", O_RDONLY | O_CLOEXEC), out));
}

/* Names, and then the file: a directory of the tree, or nothing. */
static int
read_dir(int root, struct buf *out)
{
	int fd = tree_open_dir(root, "d");
	struct dirent *e;
	DIR *d;

	if (fd == -1)
		return (0);
	if ((d = fdopendir(fd)) == NULL)
		err(1, "fdopendir");
	while ((e = readdir(d)) != NULL)
		/* only what is outside has this one */
		if (strcmp(e->d_name, "ignore") == 0)
			buf_add(out, SECRET, strlen(SECRET));
	closedir(d);
	return (1);
}

static int
read_dockerfile(int root, struct buf *out)
{
	return (rules_read(root, "Dockerfile", 65536, out) == 1);
}

static int
read_ignore(int root, struct buf *out)
{
	return (rules_read(root, ".dockerignore", 65536, out) == 1);
}

static int
read_context(int root, struct buf *out)
{
	struct context_opts opt = { .rootfd = root,
		.dockerfile = "Dockerfile",
		.ignorefile = ".dockerignore" };
	struct tarstream *ts = tarstream_new(0);
	struct context *c = context_new(&opt);
	int r;
	size_t n;

	do {
		r = context_stream(c, ts, MONO_NEVER);
		n = tarstream_pending(ts);
		out->len += tarstream_take(ts, buf_reserve(out, n), n);
	} while (r == CONTEXT_MORE);
	context_free(c);
	tarstream_free(ts);
	return (r == CONTEXT_DONE);
}

static struct reader readers[] = {
	{ "below", read_below, 1 },
	{ "file", read_file, 1 },
	{ "dir", read_dir, 2 },
	{ "dockerfile", read_dockerfile, 2 },
	{ "ignore", read_ignore, 2 },
	{ "context", read_context, 50 },
	{ "open", read_naive, 2 },
};

#define NREADERS (sizeof(readers) / sizeof(readers[0]))

static void
try(struct reader *r, int root)
{
	struct buf out = { 0 };

	if (!r->read(root, &out))
		r->refused++;
	else if (memmem(out.data, out.len, SECRET, strlen(SECRET)) != NULL)
		r->escaped++;
	else
		r->own++;
	buf_free(&out);
}

static int
report(void)
{
	int bad = 0;

	for (size_t i = 0; i < NREADERS; i++) {
		const struct reader *r = &readers[i];

		printf("%s\"%s\":{\"own\":%llu,\"refused\":%llu,"
		       "\"escaped\":%llu}",
		    i == 0 ? "{" : ",", r->name, (unsigned long long)r->own,
		    (unsigned long long)r->refused,
		    (unsigned long long)r->escaped);
		bad |= r->read != read_naive && r->escaped > 0;
	}
	printf("}\n");
	return (bad);
}

int
main(int argc, char **argv)
{
	char dir[] = "/tmp/tree_race.XXXXXX";
	bool fallback = argc > 1 && strcmp(argv[1], "-f") == 0;
	const char *tries = argv[argc - 1], *bad = NULL;
	uint64_t n =
	    (uint64_t)strtonum(tries != NULL ? tries : "", 1, INT64_MAX, &bad);
	pid_t pid;
	int root;

	if (argc != 2 + fallback || bad != NULL)
		errx(64, "usage: tree_race [-f] TRIES");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		err(1, "%s", dir);
	make_world();
	tree_set_fallback(fallback);
	root = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if ((pid = fork()) == 0)
		swap_all(root);
	for (uint64_t i = 0; i < n;)
		for (size_t k = 0; k < NREADERS; k++)
			for (unsigned j = 0; j < 100 / readers[k].every;
			     j++, i++)
				try(&readers[k], root);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(root);
	remove_world();
	if (chdir("/") == -1 || rmdir(dir) == -1)
		warn("%s", dir);
	return (report());
}
