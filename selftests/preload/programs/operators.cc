// SPDX-License-Identifier: GPL-2.0
/*
 * The C++ standard lets a program replace operator new(size_t) and operator delete(void *) alone;
 * all other forms then go through these. Prints how many blocks each form has made and left.
 */
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

/* as programs of C++11 have it */
#pragma GCC diagnostic ignored "-Wsized-deallocation"

static long made, live;

void *operator new(std::size_t size)
{
	void *block = std::malloc(size);

	if (!block)
		throw std::bad_alloc();
	made++;
	live++;
	return block;
}

void operator delete(void *block) noexcept
{
	if (block)
		live--;
	std::free(block);
}

struct item {
	char bytes[100];
	item() : bytes() {}
	~item() {}
};

static void tell(const char *form)
{
	std::printf("%s: %ld made, %ld left\n", form, made, live);
}

int main()
{
	item *volatile one = new item;
	delete one;
	tell("new");
	one = new item[10];
	delete[] one;
	tell("new[]");
	one = new (std::nothrow) item;
	delete one;
	tell("new (nothrow)");
	one = new (std::nothrow) item[3];
	delete[] one;
	tell("new (nothrow)[]");
	{
		auto shared = std::make_shared<item>();
		tell("make_shared");
	}
	tell("shared_ptr");
	return live != 0;
}
