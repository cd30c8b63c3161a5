// SPDX-License-Identifier: GPL-2.0
/* For a program that is not in C++ itself: does new throw when there is no memory? */
#include <cstdint>
#include <new>

static const volatile std::size_t too_large = SIZE_MAX / 2;

extern "C" int new_throws()
{
	try {
		::operator delete(::operator new(too_large));
	} catch (const std::bad_alloc &) {
		return !::operator new(too_large, std::nothrow);
	}
	return 0;
}
