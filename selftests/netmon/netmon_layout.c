// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what this project's Netmon.h says as _Static_assert()s, for a compiler that has
 * another Netmon.h to confirm. Built and run by netmon_header, which makes netmon_names.h:
 * ERRORS(X), CONSTANTS(X) and STRINGS(X), lists of every constant found in the header, and
 * TYPES(X), STRUCTURES(X), MEMBERS(X) and TAILS(X), those of its types.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <Netmon.h>

#include "netmon_names.h"

/* Macros with arguments, of which the reference has to make the same numbers. */
#define MACROS(X)								\
	X(XCHG(0x1234)) X(DXCHG(0x12345678)) X(LONIBBLE(0xa5)) X(HINIBBLE(0xa5))	\
	X(MAKE_IDENTIFIER('G', 'M', 'B', 'U')) X(GetTableSize(8, 3, 16))		\
	X(sizeof(GetPropertyInstanceDataValue((LPPROPERTYINST)0, WORD)))

#define SAME(expression)							\
	printf("_Static_assert((%s) == %lld, \"%s is %lld\");\n", #expression,	\
	       (long long)(expression), #expression, (long long)(expression));

/* The text of an argument with quotes is no string literal. */
#define SAME_MACRO(expression)							\
	printf("_Static_assert((%s) == %lld, \"a macro is %lld\");\n", #expression,	\
	       (long long)(expression), (long long)(expression));

#define SAME_STRING(name)							\
	printf("_Static_assert(!__builtin_strcmp(%s, \"%s\"), \"%s is %s\");\n",	\
	       #name, name, #name, name);

/* KIND(), whether signed, unsigned, fraction or none of these, is the script's. */
#define SAME_TYPE(type)								\
	SAME(sizeof(type))							\
	SAME(KIND((type)0))

#define SAME_MEMBER(type, member)						\
	SAME(offsetof(type, member))						\
	SAME(sizeof(((type *)0)->member))					\
	SAME(KIND(((type *)0)->member))

#define SAME_TAIL(type, member)							\
	SAME(offsetof(type, member))						\
	SAME(sizeof(((type *)0)->member[0]))

#define SAME_STRUCTURE(type)							\
	SAME(sizeof(type))							\
	SAME(_Alignof(type))

int main(int argc, char **argv)
{
	const char *group = argc == 2 ? argv[1] : "";

	if (!strcmp(group, "errors")) {
		ERRORS(SAME)
	} else if (!strcmp(group, "constants")) {
		CONSTANTS(SAME)
		STRINGS(SAME_STRING)
		MACROS(SAME_MACRO)
	} else if (!strcmp(group, "structures")) {
		TYPES(SAME_TYPE)
		STRUCTURES(SAME_STRUCTURE)
		MEMBERS(SAME_MEMBER)
		TAILS(SAME_TAIL)
	} else {
		fprintf(stderr, "usage: %s errors|constants|structures\n", argv[0]);
		return 2;
	}
	return 0;
}
