/* SPDX-License-Identifier: GPL-2.0 */
/* Valid and invalid names of an expert, for the tests of module and library. */
#ifndef NAMES_H
#define NAMES_H

static const char *const good_names[] = {
	" ", "~", "a b", "http \xc3\xa9",
	/* the first and the last of each length */
	"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
	"\xf4\x8f\xbf\xbf",
	/* beside the surrogates */
	"\xed\x9f\xbf", "\xee\x80\x80",
	/* as long as may be */
	("abcdefghijklmnopqrstuvwxyz012" "\xc3\xa9"),
};

static const char *const bad_names[] = {
	/* control characters, of ASCII and of ISO 6429's eight-bit set */
	"\x01", "a\nb", "\x1f", "\x7f", "\xc2\x80", ("a\xc2\x9b" "31m"), "\xc2\x9f",
	/* no beginning, or not the end */
	"\x80", "\xbf", "\xc3", "\xe2\x82", "\xf0\x9f\x98", ("\xc3" "a"), ("\xe2\x82" "a"),
	"\xc3\xc3", "caf\xe9",
	/* longer than need be */
	"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
	/* surrogates, and beyond the last */
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
	/* its last character had no room */
	("abcdefghijklmnopqrstuvwxyz0123" "\xc3"),
};

#endif /* NAMES_H */
