/*
 * Runs a target over its corpus, without a fuzzing engine: a TAP program.
 *
 *	NAME_fuzz [FILE|DIRECTORY]...	default: tests/fuzz/corpus/NAME
 *
 * What an input breaks ends the program, and so the test.
 */
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "tests/fuzz/fuzz.h"

#define CORPUS "tests/fuzz/corpus/"

static unsigned count;

static void
replay_file(const char *path)
{
	struct buf b = { 0 };
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		err(1, "%s", path);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		b.len += n;
	fclose(f);
	/* exactly so much memory, that a read behind it is seen */
	b.data = xreallocarray(b.data, b.len > 0 ? b.len : 1, 1);
	b.cap = b.len;
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(b.data, b.len);
	printf("ok %u - %s\n", ++count, path);
	buf_free(&b);
}

static int
replay_visible(const struct dirent *d)
{
	return (d->d_name[0] != '.');
}

static void
replay(const char *path)
{
	struct dirent **v;
	struct stat st;
	char *file;
	int n;

	if (stat(path, &st) == -1)
		err(1, "%s", path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	if ((n = scandir(path, &v, replay_visible, alphasort)) == -1)
		err(1, "%s", path);
	for (int i = 0; i < n; i++) {
		file = xasprintf("%s/%s", path, v[i]->d_name);
		replay_file(file);
		free(file);
		free(v[i]);
	}
	free(v);
}

int
main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	char *name = xstrdup(base != NULL ? base + 1 : argv[0]);
	char *end = strstr(name, "_fuzz"), *dir;

	if (end != NULL)
		*end = '\0';
	dir = xasprintf(CORPUS "%s", name);
	if (argc == 1)
		replay(dir);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	free(dir);
	free(name);
	printf("1..%u\n", count);
	return (count > 0 ? 0 : 1);
}
