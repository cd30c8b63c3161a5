// SPDX-License-Identifier: GPL-2.0-or-later
/* The Wireshark engine: starting libwireshark, display filters, and the table of operations. */
#include "ws.h"

#include <stdio.h>
#include <stdlib.h>

#include <Netmon.h>
#include <epan/addr_resolv.h>
#include <epan/prefs.h>
#include <wsutil/privileges.h>
#include <wsutil/wslog.h>

/* A path that does not exist, so that libwireshark finds no files of the user. */
#define NOWHERE "/nonexistent"

/* A display filter. @code: NULL: the filter is empty, and each frame passes. */
struct filter {
	dfilter_t *code;
};

/* Remove variables that name files of the user, or that let libwireshark abort. */
static void forget_environment(void)
{
	char **names = g_listenv();

	for (char **name = names; *name; name++)
		if (g_str_has_prefix(*name, "WIRESHARK_"))
			g_unsetenv(*name);
	g_strfreev(names);
	g_setenv("HOME", NOWHERE, true);
	g_setenv("XDG_CONFIG_HOME", NOWHERE, true);
	g_setenv("WIRESHARK_CONFIG_DIR", NOWHERE, true);
	g_setenv("WIRESHARK_PLUGIN_DIR", NOWHERE, true);
}

/* All preferences have libwireshark's defaults but these. */
static bool set_preferences(char error[static 1024])
{
	static const char *const preferences[] = {
		/* A property must have the value of its bytes in the frame. */
		"tcp.relative_sequence_numbers:FALSE",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(preferences); i++) {
		char *preference = g_strdup(preferences[i]), *reason = NULL;
		prefs_set_pref_e result = prefs_set_pref(preference, &reason);

		g_free(preference);
		if (result != PREFS_SET_OK) {
			snprintf(error, 1024, "libwireshark refuses the preference %s%s%s",
				 preferences[i], reason ? ": " : "", reason ? reason : "");
			g_free(reason);
			return false;
		}
	}
	prefs_apply_all();
	return true;
}

static bool init(char software[static 128], char error[static 1024])
{
	int major, minor, micro;

	forget_environment();
	init_process_policies();
	ws_log_set_level(LOG_LEVEL_CRITICAL);
	if (!epan_init(NULL, NULL, false)) {
		snprintf(error, 1024,
			 "libwireshark cannot be initialised; raise the engine's memory limit, or reinstall Wireshark's libraries");
		return false;
	}
	/* No file of settings exists; the call sets libwireshark's defaults. */
	epan_load_settings();
	disable_name_resolution();
	if (!set_preferences(error))
		return false;
	describe_init();
	dissect_init();
	epan_get_version_number(&major, &minor, &micro);
	snprintf(software, 128, "Wireshark %d.%d.%d", major, minor, micro);
	return true;
}

static uint32_t compile(const char *text, uint16_t link_type, void **compiled,
			char error[static 484])
{
	struct filter *filter = g_new0(struct filter, 1);

	(void)link_type;
	if (!ws_compile(text, &filter->code, error)) {
		g_free(filter);
		return NMERR_FILTER_INVALID_EXPRESSION;
	}
	if (filter->code && ws_requires_columns(filter->code)) {
		dfilter_free(filter->code);
		g_free(filter);
		snprintf(error, 484,
			 "columns (_ws.col) cannot be used in filters here; use the fields that the column shows");
		return NMERR_FILTER_INVALID_EXPRESSION;
	}
	*compiled = filter;
	return NMERR_SUCCESS;
}

static void drop(void *compiled)
{
	struct filter *filter = compiled;

	if (!filter)
		return;
	if (filter->code)
		dfilter_free(filter->code);
	g_free(filter);
}

/* A frame that must not be dissected passes no filter. */
static bool passes(void *compiled, uint32_t frame)
{
	const struct filter *filter = compiled;
	const struct wanted wanted = { .tree = TREE_FILTER, .filter = filter->code };
	epan_dissect_t *edt;
	uint32_t error;
	bool passed;

	if (!filter->code)
		return true;
	edt = dissect_begin(frame, &wanted, &error);
	if (!edt)
		return false;
	/*
	 * If the filter crashes or hangs from here on, its request is refused, and the frame is
	 * not.
	 */
	desk_dissected();
	passed = dfilter_apply_edt(filter->code, edt);
	dissect_end();
	return passed;
}

const struct engine_ops engine_ops = {
	.kind = ENGINE_WIRESHARK,
	.init = init,
	.loaded = dissect_loaded,
	.compile = compile,
	.drop = drop,
	.passes = passes,
	.properties = properties_of,
	.protocols = protocols_of,
	.find_protocol = describe_protocol,
	.find_field = describe_field,
	.fields = describe_fields,
	.dissected = dissect_count,
};
