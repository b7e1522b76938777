/* Macros of system headers, for cppcheck, which does not read those. */
#define cJSON_ArrayForEach(e, a) \
	for ((e) = (a)->child; (e) != NULL; (e) = (e)->next)
#define RB_HEAD(name, type)            \
	struct name {                  \
		struct type *rbh_root; \
	}
#define RB_ENTRY(type)                 \
	struct {                       \
		struct type *rbe_left; \
	}
#define RB_PROTOTYPE(name, type, field, cmp)
#define RB_PROTOTYPE_STATIC(name, type, field, cmp)
#define RB_GENERATE(name, type, field, cmp)
#define RB_GENERATE_STATIC(name, type, field, cmp)
#define RB_FOREACH(x, name, head) \
	for ((x) = name##_first(head); (x) != NULL; (x) = name##_next(x))
#define RB_FOREACH_SAFE(x, name, head, y) \
	for ((x) = name##_first(head);    \
	     (x) != NULL && ((y) = name##_next(x), 1); (x) = (y))
#define TAILQ_HEAD(name, type)          \
	struct {                        \
		struct type *tqh_first; \
	}
#define TAILQ_ENTRY(type)              \
	struct {                       \
		struct type *tqe_next; \
	}
#define TAILQ_FOREACH(x, head, field) \
	for ((x) = (head)->tqh_first; (x) != NULL; (x) = (x)->field.tqe_next)
#define TAILQ_FOREACH_SAFE(x, head, field, y) \
	for ((x) = (head)->tqh_first;         \
	     (x) != NULL && ((y) = (x)->field.tqe_next, 1); (x) = (y))
