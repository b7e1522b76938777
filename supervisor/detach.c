/*
 * Leaving the terminal, see detach.h.  Supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "detach.h"
#include "log.h"

static int detach_fd = -1; /* a byte on it says that we serve */

/* What became of the child. */
static int
detach_wait(int fd, pid_t pid)
{
	int status;
	char c;
	ssize_t n;

	while ((n = read(fd, &c, 1)) == -1 && errno == EINTR)
		;
	if (n == 1)
		return (EX_OK);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return (EX_OSERR);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
}

int
detach_begin(const struct options *o)
{
	int fds[2], code;
	pid_t pid;

	if (o->foreground || o->check || getpid() == 1)
		return (DETACH_SERVE);
	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		log_warn("cannot detach");
		return (EX_OSERR);
	}
	if (pid == 0) {
		close(fds[0]);
		detach_fd = fds[1];
		setsid();
		return (DETACH_SERVE);
	}
	close(fds[1]);
	code = detach_wait(fds[0], pid);
	close(fds[0]);
	return (code);
}

void
detach_finish(void)
{
	int fd;

	if (detach_fd == -1)
		return;
	log_set_format(LOG_SYSLOG);
	if (chdir("/") == -1)
		log_warn("/");
	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
	if (write(detach_fd, "", 1) == -1)
		log_debug("who started it has gone");
	close(detach_fd);
	detach_fd = -1;
}
