/*
 * Where files are, see options_path.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "options_path.h"

char *
options_default_socket(void)
{
	const char *s;

	if (geteuid() == 0)
		return (xstrdup("/run/wharf/ctl.sock"));
	if ((s = getenv("XDG_RUNTIME_DIR")) != NULL && *s == '/')
		return (xasprintf("%s/wharf/ctl.sock", s));
	return (xasprintf("/tmp/wharf-%u/ctl.sock", geteuid()));
}

char *
options_default_file(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return (xstrdup("/etc/wharf/wharfd.yaml"));
	if (xdg != NULL && *xdg == '/')
		return (xasprintf("%s/wharf/wharfd.yaml", xdg));
	if (home != NULL && *home == '/')
		return (xasprintf("%s/.config/wharf/wharfd.yaml", home));
	return (NULL);
}

char *
options_libexec(void)
{
	char self[PATH_MAX], *slash, *probe;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash != NULL) {
			*slash = '\0';
			probe = xasprintf("%s/wharf-control", self);
			n = access(probe, X_OK);
			free(probe);
			if (n == 0)
				return (xstrdup(self));
		}
	}
	return (xstrdup(WHARF_LIBEXECDIR));
}

int
options_absolute(char **path, int *code)
{
	char *cwd, *full;

	if ((*path)[0] == '/')
		return (0);
	if ((cwd = getcwd(NULL, 0)) == NULL) {
		fprintf(stderr, "wharfd: .: %s\n", strerror(errno));
		*code = EX_OSERR;
		return (-1);
	}
	full = xasprintf("%s/%s", cwd, *path);
	free(*path);
	*path = full;
	free(cwd);
	return (0);
}

int
options_docker_dir(int *code)
{
	const char *s = getenv("DOCKER_CONFIG");
	char *dir;
	int r;

	if (s == NULL || *s == '\0' || *s == '/')
		return (0);
	dir = xstrdup(s);
	r = options_absolute(&dir, code);
	if (r == 0)
		setenv("DOCKER_CONFIG", dir, 1);
	free(dir);
	return (r);
}
