// SPDX-License-Identifier: GPL-2.0
/*
 * Factoring by continued fractions (Morrison and Brillhart, 1975): every convergent of
 * sqrt(n) gives a square that is small modulo n; enough of those that are products of
 * small primes combine into x^2 = y^2 mod n, and gcd(x - y, n) is probably a factor.
 *
 * Every operation on numbers returns a new one, as in a language with numbers of any
 * size: blocks of some 12 to 40 bytes, most of which live for a moment.
 */
#include "workload.h"

/* @used limbs, the lowest first, the highest not 0; zero has none; never negative */
struct big {
	uint32_t used;
	uint32_t limb[];
};

static struct big *big_new(uint32_t limbs)
{
	struct big *big = calloc(1, sizeof(*big) + limbs * sizeof(uint32_t));

	if (!big)
		wrong("out of memory");
	big->used = limbs;
	return big;
}

static struct big *big_trim(struct big *big)
{
	while (big->used && !big->limb[big->used - 1])
		big->used--;
	return big;
}

static struct big *big_of(uint64_t value)
{
	struct big *big = big_new(2);

	big->limb[0] = value;
	big->limb[1] = value >> 32;
	return big_trim(big);
}

static struct big *big_copy(const struct big *a)
{
	struct big *copy = big_new(a->used);

	memcpy(copy->limb, a->limb, a->used * sizeof(a->limb[0]));
	return copy;
}

/* *place = value */
static void big_set(struct big **place, struct big *value)
{
	free(*place);
	*place = value;
}

static int big_compare(const struct big *a, const struct big *b)
{
	uint32_t i;

	if (a->used != b->used)
		return a->used < b->used ? -1 : 1;
	for (i = a->used; i-- > 0; )
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i] ? -1 : 1;
	return 0;
}

static struct big *big_add(const struct big *a, const struct big *b)
{
	uint32_t i, limbs = (a->used > b->used ? a->used : b->used) + 1;
	struct big *sum = big_new(limbs);
	uint64_t carry = 0;

	for (i = 0; i < limbs; i++) {
		carry += i < a->used ? a->limb[i] : 0;
		carry += i < b->used ? b->limb[i] : 0;
		sum->limb[i] = carry;
		carry >>= 32;
	}
	return big_trim(sum);
}

/* a is not less than b */
static struct big *big_sub(const struct big *a, const struct big *b)
{
	struct big *difference = big_new(a->used);
	int64_t borrow = 0;
	uint32_t i;

	for (i = 0; i < a->used; i++) {
		borrow += (int64_t)a->limb[i] - (i < b->used ? b->limb[i] : 0);
		difference->limb[i] = borrow;
		borrow >>= 32;
	}
	if (borrow)
		wrong("cfrac: a difference is negative");
	return big_trim(difference);
}

static struct big *big_mul(const struct big *a, const struct big *b)
{
	struct big *product = big_new(a->used + b->used);
	uint32_t i, j;

	for (i = 0; i < a->used; i++) {
		uint64_t carry = 0;

		for (j = 0; j < b->used; j++) {
			carry += (uint64_t)a->limb[i] * b->limb[j] + product->limb[i + j];
			product->limb[i + j] = carry;
			carry >>= 32;
		}
		product->limb[i + j] = carry;
	}
	return big_trim(product);
}

static struct big *big_div_small(const struct big *a, uint32_t divisor, uint32_t *remainder)
{
	struct big *quotient = big_new(a->used);
	uint64_t rest = 0;
	uint32_t i;

	for (i = a->used; i-- > 0; ) {
		rest = rest << 32 | a->limb[i];
		quotient->limb[i] = rest / divisor;
		rest %= divisor;
	}
	*remainder = rest;
	return big_trim(quotient);
}

/* 2 * a + bit */
static struct big *big_shift_in(const struct big *a, unsigned int bit)
{
	struct big *shifted = big_new(a->used + 1);
	uint32_t i;

	for (i = 0; i < a->used; i++) {
		shifted->limb[i] |= a->limb[i] << 1;
		shifted->limb[i + 1] = a->limb[i] >> 31;
	}
	shifted->limb[0] |= bit;
	return big_trim(shifted);
}

static unsigned int big_bit(const struct big *a, uint32_t bit)
{
	return bit / 32 < a->used ? a->limb[bit / 32] >> bit % 32 & 1 : 0;
}

/* Bit by bit: the numbers are short. */
static struct big *big_div(const struct big *a, const struct big *b, struct big **remainder)
{
	struct big *quotient = big_new(a->used), *rest = big_new(0);
	uint32_t bit;

	for (bit = a->used * 32; bit-- > 0; ) {
		big_set(&rest, big_shift_in(rest, big_bit(a, bit)));
		if (big_compare(rest, b) < 0)
			continue;
		big_set(&rest, big_sub(rest, b));
		quotient->limb[bit / 32] |= 1U << bit % 32;
	}
	*remainder = rest;
	return big_trim(quotient);
}

static struct big *big_mod(const struct big *a, const struct big *b)
{
	struct big *remainder;

	free(big_div(a, b, &remainder));
	return remainder;
}

static struct big *big_mul_mod(const struct big *a, const struct big *b, const struct big *n)
{
	struct big *product = big_mul(a, b), *rest = big_mod(product, n);

	free(product);
	return rest;
}

static struct big *big_gcd(const struct big *a, const struct big *b)
{
	struct big *x = big_copy(a), *y = big_copy(b), *rest;

	while (y->used) {
		rest = big_mod(x, y);
		big_set(&x, y);
		y = rest;
	}
	free(y);
	return x;
}

/* the largest number whose square is not more than @a */
static struct big *big_root(const struct big *a)
{
	struct big *root = big_new(0);
	uint32_t bit;

	for (bit = a->used * 16; bit-- > 0; ) {
		struct big *next = big_new(bit / 32 + 1), *more, *square;

		next->limb[bit / 32] = 1U << bit % 32;
		more = big_add(root, next);
		square = big_mul(more, more);
		if (big_compare(square, a) <= 0)
			big_set(&root, more);
		else
			free(more);
		free(square);
		free(next);
	}
	return root;
}

/* The small primes, and what was found with them */

#define PRIMES		120
#define RELATIONS	(PRIMES + 16)
#define WORDS		((PRIMES + RELATIONS + 64) / 64)

/* x^2 = (-1)^exponent[0] * prime[1]^exponent[1] * ... mod n */
struct relation {
	struct big *x;
	uint8_t exponent[PRIMES];
	/* in the matrix: exponents mod 2, then which relations were added up */
	uint64_t row[WORDS];
};

struct factoring {
	struct big *n;
	uint32_t prime[PRIMES];		/* [0] stands for -1 */
	struct relation relation[RELATIONS];
	unsigned int relations;
};

static bool is_prime(uint64_t value)
{
	uint64_t divisor;

	for (divisor = 2; divisor * divisor <= value; divisor++)
		if (value % divisor == 0)
			return false;
	return value > 1;
}

/* Can @prime divide x^2 - n? Then n is a square modulo it (Euler). */
static bool useful(const struct big *n, uint32_t prime)
{
	uint64_t power = 1, base;
	uint32_t rest, e;

	free(big_div_small(n, prime, &rest));
	base = rest;
	for (e = (prime - 1) / 2; e; e >>= 1) {
		if (e & 1)
			power = power * base % prime;
		base = base * base % prime;
	}
	return prime == 2 || power == 1;
}

static void choose_primes(struct factoring *f)
{
	unsigned int i = 1;
	uint32_t prime;

	for (prime = 2; i < PRIMES; prime++)
		if (is_prime(prime) && useful(f->n, prime))
			f->prime[i++] = prime;
}

/* If @q is a product of the primes, keep that x^2 = q or -q. */
static void try_relation(struct factoring *f, const struct big *x, const struct big *q,
			 bool negative)
{
	struct relation *relation = &f->relation[f->relations];
	struct big *rest = big_copy(q), *quotient;
	uint32_t remainder;
	unsigned int i;

	memset(relation, 0, sizeof(*relation));
	relation->exponent[0] = negative;
	for (i = 1; i < PRIMES; i++) {
		while (quotient = big_div_small(rest, f->prime[i], &remainder), !remainder) {
			relation->exponent[i]++;
			big_set(&rest, quotient);
		}
		free(quotient);
	}
	if (rest->used == 1 && rest->limb[0] == 1) {
		relation->x = big_copy(x);
		f->relations++;
	}
	free(rest);
}

/*
 * The continued fraction of sqrt(n): with P, Q and the quotient a of each step,
 *
 *	P' = a Q - P	Q' = (n - P'^2) / Q	a' = (root + P') / Q'	x' = a' x + x0
 *
 * x0 being the x before, x^2 = Q' or -Q' modulo n in turn. False if it repeats itself.
 */
static bool find_relations(struct factoring *f)
{
	struct big *root = big_root(f->n), *p = big_new(0), *q = big_of(1);
	struct big *a = big_copy(root), *x0 = big_of(1), *x = big_copy(root), *t, *rest;
	bool negative = true;

	while (f->relations < RELATIONS) {
		t = big_mul(a, q);
		big_set(&p, big_sub(t, p));
		big_set(&t, big_mul(p, p));
		big_set(&t, big_sub(f->n, t));
		big_set(&q, big_div(t, q, &rest));
		if (rest->used)
			wrong("cfrac: a division leaves a remainder");
		free(rest);
		free(t);
		if (q->used == 1 && q->limb[0] == 1)
			break;
		try_relation(f, x, q, negative);
		negative = !negative;

		t = big_add(root, p);
		big_set(&a, big_div(t, q, &rest));
		free(rest);
		big_set(&t, big_mul(a, x));
		big_set(&t, big_add(t, x0));
		big_set(&x0, x);
		x = big_mod(t, f->n);
		free(t);
	}
	free(root);
	free(p);
	free(q);
	free(a);
	free(x0);
	free(x);
	return f->relations == RELATIONS;
}

static bool row_bit(const struct relation *relation, unsigned int bit)
{
	return relation->row[bit / 64] >> bit % 64 & 1;
}

static void row_flip(struct relation *relation, unsigned int bit)
{
	relation->row[bit / 64] ^= 1UL << bit % 64;
}

/* The relations that this row is the sum of, as x^2 = y^2: a factor, or NULL. */
static struct big *try_factor(const struct factoring *f, const struct relation *sum)
{
	struct big *x = big_of(1), *y = big_of(1), *t, *factor;
	unsigned int exponent[PRIMES] = { 0 }, i, j;

	for (i = 0; i < RELATIONS; i++) {
		if (!row_bit(sum, PRIMES + i))
			continue;
		big_set(&x, big_mul_mod(x, f->relation[i].x, f->n));
		for (j = 0; j < PRIMES; j++)
			exponent[j] += f->relation[i].exponent[j];
	}
	for (j = 1; j < PRIMES; j++) {
		t = big_of(f->prime[j]);
		for (i = 0; i < exponent[j] / 2; i++)
			big_set(&y, big_mul_mod(y, t, f->n));
		free(t);
	}
	t = big_compare(x, y) < 0 ? big_sub(y, x) : big_sub(x, y);
	factor = big_gcd(f->n, t);
	free(t);
	free(x);
	free(y);
	if (big_compare(factor, f->n) && !(factor->used == 1 && factor->limb[0] == 1))
		return factor;
	free(factor);
	return NULL;
}

/* Gauss, modulo 2: a row that becomes zero is a square. */
static struct big *combine(struct factoring *f)
{
	bool is_pivot[RELATIONS] = { false };
	struct big *factor = NULL;
	unsigned int i, j, k, bit;

	for (i = 0; i < RELATIONS; i++) {
		for (j = 0; j < PRIMES; j++)
			if (f->relation[i].exponent[j] % 2)
				row_flip(&f->relation[i], j);
		row_flip(&f->relation[i], PRIMES + i);
	}
	for (bit = 0; bit < PRIMES; bit++) {
		for (i = 0; i < RELATIONS && (is_pivot[i] || !row_bit(&f->relation[i], bit)); i++)
			;
		if (i == RELATIONS)
			continue;
		is_pivot[i] = true;
		for (j = 0; j < RELATIONS; j++)
			if (j != i && row_bit(&f->relation[j], bit))
				for (k = 0; k < WORDS; k++)
					f->relation[j].row[k] ^= f->relation[i].row[k];
	}
	for (i = 0; i < RELATIONS && !factor; i++)
		if (!is_pivot[i])
			factor = try_factor(f, &f->relation[i]);
	return factor;
}

static uint64_t random_prime(uint64_t *seed)
{
	uint64_t value = 1UL << 37 | (uint64_t)random_next(seed) << 5 | 1;

	while (!is_prime(value))
		value += 2;
	return value;
}

void cfrac(unsigned int threads, unsigned int scale)
{
	struct factoring *f = calloc(1, sizeof(*f));
	uint64_t seed = 1, one, two;
	struct big *p, *q, *factor, *rest;
	unsigned int i, j;

	(void)threads;
	if (!f)
		wrong("out of memory");
	for (i = 0; i * 33 < scale; i++) {
		one = random_prime(&seed);
		two = random_prime(&seed);
		p = big_of(one);
		q = big_of(two);
		f->n = big_mul(p, q);
		f->relations = 0;
		choose_primes(f);
		factor = find_relations(f) ? combine(f) : NULL;
		live_phase_ends();
		if (!factor)
			wrong("cfrac: no factor found");
		if (big_compare(factor, p) && big_compare(factor, q))
			wrong("cfrac: that is no factor");
		big_set(&q, big_div(f->n, factor, &rest));
		big_set(&p, big_mul(q, factor));
		if (rest->used || big_compare(p, f->n))
			wrong("cfrac: the factors' product is another number");
		for (j = 0; j < f->relations; j++)
			free(f->relation[j].x);
		free(factor);
		free(rest);
		free(p);
		free(q);
		free(f->n);
	}
	free(f);
}
