/*
 * Where the container can be reached: told when it changes.
 */
#include <stdio.h>
#include <string.h>

#include "workers/plan/plan.h"
#include "workers/shared/json.h"

/* One "IP:PORT" for each published TCP or UDP port, blanks in between. */
static void
ports_collect(const cJSON *inspect, char *dst, size_t size)
{
	const cJSON *port, *bind;
	const char *ip, *number;
	char one[96];

	dst[0] = '\0';
	cJSON_ArrayForEach (port,
	    json_obj(json_obj(inspect, "NetworkSettings"), "Ports"))
		cJSON_ArrayForEach (bind, port) {
			ip = json_str(bind, "HostIp");
			number = json_str(bind, "HostPort");
			if (ip == NULL || number == NULL)
				continue;
			snprintf(one, sizeof(one), "%s%s%s%s:%s",
			    dst[0] != '\0' ? " " : "",
			    strchr(ip, ':') != NULL ? "[" : "", ip,
			    strchr(ip, ':') != NULL ? "]" : "", number);
			strlcat(dst, one, size);
		}
}

void
ports_tell(struct service *s, const cJSON *inspect)
{
	char now[sizeof(s->ports)];

	ports_collect(inspect, now, sizeof(now));
	if (strcmp(now, s->ports) == 0)
		return;
	strlcpy(s->ports, now, sizeof(s->ports));
	if (now[0] != '\0')
		log_info("%s: published at %s", s->conf->name, now);
}
