/*
 * The word that was probably meant, see schema.h.  Pure code, config process.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/config/schema.h"

#define SUGGEST_MAX 32 /* bytes of a word that is looked at */

/* What compose, docker and wharfd's own options say. */
static const char *const synonyms[][2] = {
	{ "env", "environment" },
	{ "container_name", "container" },
	{ "args", "build-args" },
	{ "build", "dir" },
	{ "context", "dir" },
	{ "directory", "dir" },
	{ "path", "dir" },
	{ "file", "dockerfile" },
	{ "stage", "target" },
	{ "binds", "volumes" },
	{ "mounts", "volumes" },
	{ "networks", "network" },
	{ "network_mode", "network" },
	{ "includes", "include" },
	{ "containers", "services" },
};

static unsigned
suggest_min(unsigned a, unsigned b)
{
	return (a < b ? a : b);
}

/* Levenshtein's distance of two short words. */
static unsigned
suggest_distance(const char *a, const char *b)
{
	unsigned row[SUGGEST_MAX + 1], diagonal, d;
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			diagonal += a[i - 1] != b[j - 1];
			d = suggest_min(row[j - 1], row[j]) + 1;
			d = suggest_min(d, diagonal);
			diagonal = row[j];
			row[j] = d;
		}
	}
	return (row[n]);
}

const char *
suggest_word(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned d, least = 3;

	if (strlen(word) > SUGGEST_MAX)
		return (NULL);
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) > SUGGEST_MAX)
			continue;
		d = suggest_distance(word, words[i]);
		/* of a short word, two other letters make another word */
		if (d < least && d * 2 < strlen(words[i])) {
			least = d;
			best = words[i];
		}
	}
	if (best != NULL)
		return (best);
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		for (size_t j = 0; j < n; j++)
			if (strcmp(word, synonyms[i][0]) == 0 &&
			    strcmp(words[j], synonyms[i][1]) == 0)
				return (words[j]);
	return (NULL);
}
