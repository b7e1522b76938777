/*
 * Published ports as docker run -p takes them, see spec.h.  Engine worker.
 */
#include <arpa/inet.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "workers/engine/spec.h"

/* "80" or "80-90" */
static int
port_range(const char *s, uint16_t *first, uint16_t *last)
{
	char num[16];
	const char *dash = strchr(s, '-'), *err;
	size_t n = dash != NULL ? (size_t)(dash - s) : strlen(s);

	/* digits only: strtonum would take blanks and signs */
	if (n == 0 || n > 5 || strspn(s, "0123456789") != n)
		return (-1);
	memcpy(num, s, n);
	num[n] = '\0';
	*first = (uint16_t)strtonum(num, 1, UINT16_MAX, &err);
	if (err != NULL)
		return (-1);
	*last = *first;
	if (dash == NULL)
		return (0);
	if (strchr(dash + 1, '-') != NULL ||
	    port_range(dash + 1, last, &(uint16_t) { 0 }) == -1)
		return (-1);
	return (*last >= *first && *last - *first < SPEC_PORTS_MAX ? 0 : -1);
}

/* Take the address off the front of s; what follows it, NULL: bad. */
static char *
port_address(char *s, struct port_spec *out)
{
	struct in6_addr a;
	char *end, *next;
	int family = AF_INET;

	if (s[0] == '[') {
		if ((end = strchr(s, ']')) == NULL || end[1] != ':')
			return (NULL);
		*end = '\0';
		next = end + 2;
		s++;
		family = AF_INET6;
	} else {
		/* IP:HOST:PORT has two colons; HOST:PORT has no address */
		end = strchr(s, ':');
		if (end == NULL || strchr(end + 1, ':') == NULL)
			return (s);
		*end = '\0';
		next = end + 1;
		if (*s == '\0')
			return (next);
	}
	if (inet_pton(family, s, &a) != 1 ||
	    strlcpy(out->ip, s, sizeof(out->ip)) >= sizeof(out->ip))
		return (NULL);
	return (strchr(next, ':') != NULL ? next : NULL);
}

static int
port_proto(char *s, struct port_spec *out)
{
	static const char *const protos[] = { "tcp", "udp", "sctp" };
	char *slash = strchr(s, '/');

	out->proto = protos[0];
	if (slash == NULL)
		return (0);
	*slash = '\0';
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (strcmp(slash + 1, protos[i]) == 0) {
			out->proto = protos[i];
			return (0);
		}
	return (-1);
}

int
spec_port_parse(const char *text, struct port_spec *out)
{
	char copy[128], *s = copy, *colon;
	int hosts;

	memset(out, 0, sizeof(*out));
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy) ||
	    port_proto(s, out) == -1 || (s = port_address(s, out)) == NULL)
		return (-1);
	colon = strchr(s, ':');
	if (colon != NULL) {
		*colon = '\0';
		if (*s != '\0' &&
		    port_range(s, &out->host, &out->host_last) == -1)
			return (-1);
		s = colon + 1;
	}
	if (port_range(s, &out->port, &out->port_last) == -1)
		return (-1);
	hosts = out->host_last - out->host;
	if (out->host != 0 && out->port != out->port_last &&
	    hosts != out->port_last - out->port)
		return (-1);
	return (0);
}
