/*
 * The normal form of what wharf-config has read, see config_print.h.
 */
#include "config_print.h"
#include "normal_form.h"
#include "yamlout.h"

void
config_print(const struct config *c, struct buf *out)
{
	const struct msg_config_global g = config_global(c);
	const struct config_engine *e;
	const struct config_service *s;

	normal_form_global(out, &g, c->global.socket);
	yamlout_open(out, 0, "engines");
	for (size_t i = 0; i < c->nengines; i++) {
		e = &c->engines[i];
		normal_form_engine(out, e->name, e->host, e->context, e->api);
	}
	if (c->nservices == 0) {
		yamlout_empty(out, 0, "services");
		return;
	}
	yamlout_open(out, 0, "services");
	for (size_t i = 0; i < c->nservices; i++) {
		s = &c->services[i];
		normal_form_service(out, &s->text, c->engines[s->index].name,
		    s->keep);
	}
}
