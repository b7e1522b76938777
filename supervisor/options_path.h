/*
 * Where files are that the command line does not name, and what names them
 * wherever the daemon goes.  Supervisor, before it serves.
 */
#ifndef WHARF_OPTIONS_PATH_H
#define WHARF_OPTIONS_PATH_H

/* The control socket.  The caller frees it. */
char *options_default_socket(void);

/* The configuration file; NULL: there is no home.  The caller frees it. */
char *options_default_file(void);

/* The workers: beside wharfd in a build tree, else in libexec. */
char *options_libexec(void);

/*
 * Replace *path by its absolute name: detached, "." is another directory.
 * -1 after saying why on standard error, with the exit code.
 */
int options_absolute(char **path, int *code);

/*
 * The same for $DOCKER_CONFIG, which each reload looks at again, in the
 * environment.
 */
int options_docker_dir(int *code);

#endif
