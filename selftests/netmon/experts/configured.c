// SPDX-License-Identifier: GPL-2.0
/*
 * Has a configuration: a number, which Configure() increases, and a text from standard input.
 * CONFIGURED says what else Configure() does: cancel, crash, long, short, none, foreign.
 */
#define NO_REGISTER
#include "expert.h"

struct settings {
	DWORD length;
	DWORD number;
	char text[56];
};

static HINSTANCE module;

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved);
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved UNUSED)
{
	if (reason == 1)
		module = instance;
	else
		printf("configured: DllMain says the end\n");
	return TRUE;
}

BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Configured");
	info->Flags = getenv("NOT_CONFIGURABLE") ? 0 : EXPERT_ENUM_FLAG_CONFIGURABLE;
	return module != NULL;
}

static void print(const struct settings *settings, PEXPERTSTARTUPINFO startup, DWORD flags)
{
	if (settings)
		printf("configured: number %u, text '%s'\n", settings->number, settings->text);
	else
		printf("configured: no configuration\n");
	printf("configured: frame %d, flags %u\n", (int)startup->dwFrameNumber, flags);
	fflush(stdout);
}

/* Append a byte to the file of the host, after it has received the configuration. */
static void damage(void)
{
	char path[64], name[64];

	for (int fd = 3; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(name, 0, sizeof(name));
		if (readlink(path, name, sizeof(name) - 1) > 0 && strstr(name, "expertmem configure"))
			if (write(fd, "", 1) < 0)
				perror(path);
	}
}

BOOL WINAPI Configure(HEXPERTKEY key, PEXPERTCONFIG *config, PEXPERTSTARTUPINFO startup, DWORD flags,
		      HWND window UNUSED)
{
	const char *mode = getenv("CONFIGURED") ? getenv("CONFIGURED") : "";
	struct settings *settings = (struct settings *)*config;
	static struct settings own = { .length = sizeof(own) };
	DWORD number = settings ? settings->number + 1 : 1;

	print(settings, startup, flags);
	if (!strcmp(mode, "cancel"))
		return FALSE;
	if (!strcmp(mode, "crash"))
		abort();
	settings = ExpertReallocMemory(key, settings, sizeof(*settings), NULL);
	if (!settings)
		return FALSE;
	memset(settings, 0, sizeof(*settings));
	if (!strcmp(mode, "damage"))
		atexit(damage);
	settings->length = sizeof(*settings);
	settings->number = number;
	if (!fgets(settings->text, sizeof(settings->text), stdin))
		strcpy(settings->text, "nothing");
	settings->text[strcspn(settings->text, "\n")] = '\0';
	if (!strcmp(mode, "long"))
		settings->length = 1 << 20;
	if (!strcmp(mode, "short"))
		settings->length = 3;
	*config = !strcmp(mode, "none") ? NULL : (PEXPERTCONFIG)settings;
	if (!strcmp(mode, "foreign"))
		*config = (PEXPERTCONFIG)&own;
	return TRUE;
}

RUN
{
	print((struct settings *)config, startup, flags);
	return !config || ExpertMemorySize(key, config) == config->RawConfigLength;
}
