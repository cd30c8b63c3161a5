/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests that unload the module: it is loaded again with its old parameters. */
#ifndef EXPERTMEM_MODULE_TEST_H
#define EXPERTMEM_MODULE_TEST_H

#include <sys/syscall.h>

#include "harness.h"
#include "expertmem_test.h"

/**
 * struct module - the module, as it was loaded
 * @file: its file, which is open
 * @parameters: all that it has
 */
struct module {
	int file;
	char parameters[256];
};

static inline void module_look(struct __test_metadata *_metadata, struct module *module)
{
	static const char *const names[] = {
		"default_limit", "total_limit", "max_experts", "uid_limit", "uid_max_experts",
	};
	const char *path = getenv("EXPERTMEM_KO") ?: "/expertmem.ko";
	char *p = module->parameters, file[128], value[32];
	size_t i;

	module->file = open(path, O_RDONLY | O_CLOEXEC);
	if (module->file < 0)
		SKIP_TEST("%s: %s; set EXPERTMEM_KO to the module", path, strerror(errno));
	for (i = 0; i < COUNT_OF(names); i++) {
		snprintf(file, sizeof(file), PARAMETERS "%s", names[i]);
		ASSERT_EQ(0, file_read(file, value, sizeof(value)));
		p += sprintf(p, "%s=%s ", names[i], value);
	}
}

static inline int module_unload(void)
{
	return result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK));
}

/* Load it where a test unloaded it. */
static inline int module_load(const struct module *module)
{
	int err = result(syscall(SYS_finit_module, module->file, module->parameters, 0));

	return err == -EEXIST ? 0 : err;
}

#endif /* EXPERTMEM_MODULE_TEST_H */
