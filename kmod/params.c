// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of the module: limits of experts, of users and of all together.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "expertmem.h"

u64 expertmem_default_limit;
u64 expertmem_total_limit = U64_MAX;	/* U64_MAX while loading: the parameter was not given */
unsigned int expertmem_max_experts = 16384;
u64 expertmem_uid_limit = EXPERTMEM_AUTO;
u64 expertmem_uid_max_experts = EXPERTMEM_AUTO;

/* The length of the number at the start of @val: decimal, or hexadecimal after 0x. */
static size_t number_length(const char *val)
{
	if (val[0] == '0' && tolower(val[1]) == 'x')
		return 2 + strspn(val + 2, "0123456789abcdefABCDEF");
	return strspn(val, "0123456789");
}

/* A parameter in bytes: a number with an optional K, M, G, T, P or E. */
static int size_set(const char *val, const struct kernel_param *kp)
{
	static const char units[] = "KMGTPE";
	size_t nr = number_length(val);
	const char *unit = NULL;
	char digits[24] = "";
	u64 size;
	int err;

	if (nr >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, val, nr);
	err = kstrtou64(digits, 0, &size);
	if (err)
		return err;
	val += nr;
	if (*val)
		unit = strchr(units, toupper(*val));
	if (unit) {
		if (check_shl_overflow(size, 10 * (unit - units + 1), &size))
			return -ERANGE;
		val++;
	}
	if (*val && strcmp(val, "\n"))
		return -EINVAL;
	if (size == U64_MAX)
		return -ERANGE;		/* U64_MAX stands for "not given" and "auto" */
	WRITE_ONCE(*(u64 *)kp->arg, size);
	return 0;
}

static int size_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", READ_ONCE(*(u64 *)kp->arg));
}

static const struct kernel_param_ops param_ops_size = {
	.set = size_set,
	.get = size_get,
};

#define param_check_size(name, p) __param_check(name, p, u64)

/* A parameter in bytes, or the word "auto". */
static int auto_size_set(const char *val, const struct kernel_param *kp)
{
	if (!sysfs_streq(val, "auto"))
		return size_set(val, kp);
	WRITE_ONCE(*(u64 *)kp->arg, EXPERTMEM_AUTO);
	return 0;
}

static int auto_size_get(char *buffer, const struct kernel_param *kp)
{
	if (READ_ONCE(*(u64 *)kp->arg) == EXPERTMEM_AUTO)
		return sysfs_emit(buffer, "auto\n");
	return size_get(buffer, kp);
}

static const struct kernel_param_ops param_ops_auto_size = {
	.set = auto_size_set,
	.get = auto_size_get,
};

#define param_check_auto_size(name, p) __param_check(name, p, u64)

module_param_named(default_limit, expertmem_default_limit, size, 0644);
MODULE_PARM_DESC(default_limit,
		 "Bytes that an expert may have in regions unless configured otherwise, 0: no limit (default)");
module_param_named(total_limit, expertmem_total_limit, size, 0644);
MODULE_PARM_DESC(total_limit,
		 "Bytes that all experts together may have in regions or pinned, 0: no limit (default: half of the memory)");
module_param_named(max_experts, expertmem_max_experts, uint, 0644);
MODULE_PARM_DESC(max_experts,
		 "Experts that may be open at once, 0: any number (default: 16384)");
module_param_named(uid_limit, expertmem_uid_limit, auto_size, 0644);
MODULE_PARM_DESC(uid_limit,
		 "Bytes that all experts of one user may have, 0: no limit, auto: half of total_limit (default)");
module_param_named(uid_max_experts, expertmem_uid_max_experts, auto_size, 0644);
MODULE_PARM_DESC(uid_max_experts,
		 "Experts that one user may have open, 0: any number, auto: half of max_experts (default)");
