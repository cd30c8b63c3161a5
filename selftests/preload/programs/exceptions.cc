// SPDX-License-Identifier: GPL-2.0
/*
 * A C++ program with exceptions and threads, and every form of new and delete. What it
 * prints is the same with every malloc.
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int failures;

static void check(const char *fact, bool holds)
{
	printf("%s %s\n", holds ? "yes" : "NO ", fact);
	failures += !holds;
}

/* ------------------------------------------------------------ the operators, by hand */

static const volatile std::size_t too_large = SIZE_MAX / 2;
static int handled;

static void handler()
{
	if (++handled == 3)
		std::set_new_handler(nullptr);
}

template <typename Call> static bool throws_bad_alloc(Call call)
{
	try {
		static_cast<void>(call());
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static bool is_aligned(void *p, std::align_val_t alignment)
{
	return p && reinterpret_cast<std::uintptr_t>(p) % std::size_t(alignment) == 0;
}

static void test_operators()
{
	const auto page = std::align_val_t(4096), line = std::align_val_t(64);
	void *p;

	p = ::operator new(100);
	::operator delete(p);
	p = ::operator new(100);
	::operator delete(p, std::size_t(100));
	p = ::operator new[](0);
	check("new[0] is a pointer", p);
	::operator delete[](p);
	p = ::operator new[](1000);
	::operator delete[](p, std::size_t(1000));
	p = ::operator new(100, std::nothrow);
	::operator delete(p, std::nothrow);
	p = ::operator new[](100, std::nothrow);
	::operator delete[](p, std::nothrow);
	p = ::operator new(100, page);
	check("new is aligned", is_aligned(p, page));
	::operator delete(p, page);
	p = ::operator new(100, line);
	::operator delete(p, std::size_t(100), line);
	p = ::operator new[](100, page);
	check("new[] is aligned", is_aligned(p, page));
	::operator delete[](p, page);
	p = ::operator new[](100, line);
	::operator delete[](p, std::size_t(100), line);
	p = ::operator new(100, page, std::nothrow);
	check("nothrow new is aligned", is_aligned(p, page));
	::operator delete(p, page, std::nothrow);
	p = ::operator new[](100, page, std::nothrow);
	check("nothrow new[] is aligned", is_aligned(p, page));
	::operator delete[](p, page, std::nothrow);

	check("new throws", throws_bad_alloc([] { return ::operator new(too_large); }));
	check("new[] throws", throws_bad_alloc([] { return ::operator new[](too_large); }));
	check("aligned new throws",
	      throws_bad_alloc([=] { return ::operator new(too_large, page); }));
	check("aligned new[] throws",
	      throws_bad_alloc([=] { return ::operator new[](too_large, page); }));
	check("nothrow new is null", !::operator new(too_large, std::nothrow));
	check("nothrow new[] is null", !::operator new[](too_large, std::nothrow));
	check("nothrow aligned new is null", !::operator new(too_large, page, std::nothrow));
	check("nothrow aligned new[] is null",
	      !::operator new[](too_large, page, std::nothrow));

	std::set_new_handler(handler);
	check("new throws once its handler has given up",
	      throws_bad_alloc([] { return ::operator new(too_large); }) && handled == 3);
	handled = 0;
	std::set_new_handler(handler);
	check("nothrow new calls the handler, too",
	      !::operator new(too_large, std::nothrow) && handled == 3);
	std::set_new_handler([] { throw std::bad_alloc(); });
	check("a handler may throw", throws_bad_alloc([] { return ::operator new(too_large); }));
	std::set_new_handler(nullptr);
}

/* -------------------------------------------------------------- exceptions in threads */

struct alignas(128) Record {
	std::string name;
	std::vector<int> values;
};

class Problem : public std::runtime_error {
	std::shared_ptr<Record> cause;
public:
	Problem(const std::string &what, std::shared_ptr<Record> record) :
		std::runtime_error(what), cause(std::move(record)) {}
	std::size_t size() const { return cause->values.size(); }
};

static unsigned long work(int thread, int depth)
{
	auto record = std::make_shared<Record>();

	record->name = "record " + std::to_string(thread) + "/" + std::to_string(depth) +
		       std::string(depth * 10, '.');
	for (int i = 0; i < depth * 7; i++)
		record->values.push_back(i * thread);
	if (depth == 40)
		throw Problem(record->name, record);
	return work(thread, depth + 1) + record->values.size();
}

static unsigned long thread_main(int thread)
{
	std::map<std::string, std::unique_ptr<Record>> records;
	unsigned long sum = 0;

	for (int round = 0; round < 50; round++) {
		try {
			work(thread, 1);
		} catch (const Problem &problem) {
			auto &record = records[problem.what()];

			if (!record)
				record = std::make_unique<Record>();
			record->name += problem.what();
			record->values.resize(round * 100, round);
			sum += problem.size() * thread + record->name.size();
		}
	}
	for (auto &[name, record] : records)
		for (int value : record->values)
			sum += value + name.size();
	if (thread % 2)
		throw Problem("thread " + std::to_string(thread),
			      std::make_shared<Record>(Record{ "", { int(sum) } }));
	return sum;
}

static void test_threads()
{
	std::vector<std::future<unsigned long>> futures;

	for (int thread = 0; thread < 8; thread++)
		futures.push_back(std::async(std::launch::async, thread_main, thread));
	for (auto &future : futures) {
		try {
			printf("sum %lu\n", future.get());
		} catch (const std::exception &exception) {
			printf("caught %s\n", exception.what());
		}
	}
}

/* An exception that is caught here, and dies in another thread. */
static void test_exceptions_travel()
{
	std::exception_ptr pointer;

	try {
		work(3, 30);
	} catch (...) {
		pointer = std::current_exception();
	}
	std::thread([pointer = std::move(pointer)] {
		try {
			std::rethrow_exception(pointer);
		} catch (const Problem &problem) {
			printf("problem of size %zu\n", problem.size());
		}
	}).join();
}

int main()
{
	test_operators();
	test_threads();
	test_exceptions_travel();
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
