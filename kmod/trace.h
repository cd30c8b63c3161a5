/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM expertmem

#if !defined(EXPERTMEM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define EXPERTMEM_TRACE_H

#include <linux/tracepoint.h>
#include <uapi/linux/expertmem.h>

/* export the values, so that tools in user space can print the causes by name */
TRACE_DEFINE_ENUM(EXPERTMEM_CAUSE_NONE);
TRACE_DEFINE_ENUM(EXPERTMEM_CAUSE_DETACH);
TRACE_DEFINE_ENUM(EXPERTMEM_CAUSE_HOST);
TRACE_DEFINE_ENUM(EXPERTMEM_CAUSE_OPERATOR);

#define show_cause(cause)					\
	__print_symbolic(cause,					\
			 { EXPERTMEM_CAUSE_NONE, "none" },	\
			 { EXPERTMEM_CAUSE_DETACH, "detach" },	\
			 { EXPERTMEM_CAUSE_HOST, "host" },	\
			 { EXPERTMEM_CAUSE_OPERATOR, "operator" })

DECLARE_EVENT_CLASS(expertmem_expert,
	TP_PROTO(u64 id),
	TP_ARGS(id),
	TP_STRUCT__entry(
		__field(u64, id)
	),
	TP_fast_assign(
		__entry->id = id;
	),
	TP_printk("id=%llu", __entry->id)
);

DEFINE_EVENT(expertmem_expert, expertmem_open,
	TP_PROTO(u64 id),
	TP_ARGS(id));

DEFINE_EVENT(expertmem_expert, expertmem_terminate,
	TP_PROTO(u64 id),
	TP_ARGS(id));

TRACE_EVENT(expertmem_configure,
	TP_PROTO(u64 id, const struct expertmem_config *config, int err),
	TP_ARGS(id, config, err),
	TP_STRUCT__entry(
		__field(u64, id)
		__array(char, name, sizeof_field(struct expertmem_config, name))
		__field(u64, limit)
		__field(u32, flags)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = id;
		memcpy(__entry->name, config->name, sizeof(__entry->name));
		__entry->limit = config->limit;
		__entry->flags = config->flags;
		__entry->err = err;
	),
	TP_printk("id=%llu name=\"%s\" limit=%llu flags=%#x err=%d", __entry->id,
		  __entry->name, __entry->limit, __entry->flags, __entry->err)
);

DECLARE_EVENT_CLASS(expertmem_region,
	TP_PROTO(u64 id, u64 offset, u64 size, u32 flags, int err),
	TP_ARGS(id, offset, size, flags, err),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, offset)
		__field(u64, size)
		__field(u32, flags)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->offset = offset;
		__entry->size = size;
		__entry->flags = flags;
		__entry->err = err;
	),
	TP_printk("id=%llu offset=%#llx size=%llu flags=%#x err=%d", __entry->id,
		  __entry->offset, __entry->size, __entry->flags, __entry->err)
);

DEFINE_EVENT(expertmem_region, expertmem_alloc,
	TP_PROTO(u64 id, u64 offset, u64 size, u32 flags, int err),
	TP_ARGS(id, offset, size, flags, err));

DEFINE_EVENT(expertmem_region, expertmem_realloc,
	TP_PROTO(u64 id, u64 offset, u64 size, u32 flags, int err),
	TP_ARGS(id, offset, size, flags, err));

DEFINE_EVENT(expertmem_region, expertmem_free,
	TP_PROTO(u64 id, u64 offset, u64 size, u32 flags, int err),
	TP_ARGS(id, offset, size, flags, err));

TRACE_EVENT(expertmem_copy,
	TP_PROTO(u64 id, u64 from, u64 regions, u64 bytes, int err),
	TP_ARGS(id, from, regions, bytes, err),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, from)
		__field(u64, regions)
		__field(u64, bytes)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->from = from;
		__entry->regions = regions;
		__entry->bytes = bytes;
		__entry->err = err;
	),
	TP_printk("id=%llu from=%llu regions=%llu bytes=%llu err=%d", __entry->id,
		  __entry->from, __entry->regions, __entry->bytes, __entry->err)
);

TRACE_EVENT(expertmem_reclaim,
	TP_PROTO(u64 id, u32 cause, const struct expertmem_reclaim *result),
	TP_ARGS(id, cause, result),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, cause)
		__field(u64, reclaimed_bytes)
		__field(u64, reclaimed_resident)
		__field(u64, reclaimed_regions)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->cause = cause;
		__entry->reclaimed_bytes = result->reclaimed_bytes;
		__entry->reclaimed_resident = result->reclaimed_resident;
		__entry->reclaimed_regions = result->reclaimed_regions;
	),
	TP_printk("id=%llu cause=%s reclaimed_bytes=%llu reclaimed_resident=%llu reclaimed_regions=%llu",
		  __entry->id, show_cause(__entry->cause), __entry->reclaimed_bytes,
		  __entry->reclaimed_resident, __entry->reclaimed_regions)
);

TRACE_EVENT(expertmem_release,
	TP_PROTO(u64 id, u64 peak),
	TP_ARGS(id, peak),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, peak)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->peak = peak;
	),
	TP_printk("id=%llu peak=%llu", __entry->id, __entry->peak)
);

#endif /* EXPERTMEM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
