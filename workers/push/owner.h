/*
 * COPY --chown and --chmod: names to numbers by the container's own files.
 * Push worker; pure, what it parses is hostile.
 */
#ifndef WHARF_PUSH_OWNER_H
#define WHARF_PUSH_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWNER_FILE_MAX (1024 * 1024) /* bytes of a tar with such a file */

struct owner {
	uint32_t uid, gid;
};

/* Whether `spec` (USER[:GROUP]) has a name, so that the files are needed. */
bool owner_needs_files(const char *spec);

/*
 * Resolve as docker build does: numbers as they are, names by passwd and
 * group (text, NULL: there is no such file); without a group, the user's name
 * or number is looked up as a group (moby builder parseChownFlag).  -1: why.
 */
int owner_parse(const char *spec, const char *passwd, size_t passwd_len,
    const char *group, size_t group_len, struct owner *out, char *why,
    size_t size);

/*
 * The content of the one regular file in a tar.  0 and *text, which lies in
 * the tar; -1 when it is no such tar.
 */
int owner_untar(const uint8_t *tar, size_t len, const char **text,
    size_t *text_len);

/* An octal --chmod; -1 for what is none. */
int owner_mode(const char *spec, uint32_t *mode);

#endif
