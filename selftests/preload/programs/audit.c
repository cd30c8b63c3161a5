// SPDX-License-Identifier: GPL-2.0
/* For LD_AUDIT: the loader calls this for each object, before the program has a heap. */
#include <link.h>
#include <stdlib.h>
#include <string.h>

unsigned int la_version(unsigned int version);
unsigned int la_objopen(struct link_map *map, Lmid_t lmid, uintptr_t *cookie);

unsigned int la_version(unsigned int version)
{
	return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t lmid, uintptr_t *cookie)
{
	char *name = strdup(map->l_name);

	(void)lmid, (void)cookie;
	free(name);
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
