/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names of Windows that sources of experts use, so that they compile unchanged. This is
 * not the Windows API: what is missing here is missing. Which names there are and what they do
 * otherwise than on Windows: Documentation/netmon/porting.rst.
 *
 * The directory of this header is on the include path only if it is asked for, by
 * pkg-config expertmem-windows. A program that looks for windows.h to find out where it is
 * compiled does not find this one.
 */
#ifndef EXPERTMEM_WINDOWS_H
#define EXPERTMEM_WINDOWS_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <Netmon.h>

#ifdef __cplusplus
#define EXTERN_C extern "C"
extern "C" {
#else
#define EXTERN_C extern
#endif

/* Words of the compiler, without a meaning here. */
#define CALLBACK
#define APIENTRY
#define PASCAL
#define WINAPIV
#define FAR
#define NEAR
#define IN
#define OUT
#define OPTIONAL
#define UNALIGNED
#define CONST const
#define VOID void
#define __cdecl
#define _cdecl
#define __stdcall
#ifndef __declspec
#define __declspec(attribute)
#endif

/* 64 bits on every system that has the library; "unsigned __int64" is a type too. */
#define __int64 long

typedef char CHAR;
typedef unsigned char UCHAR;
typedef short SHORT;
typedef unsigned short USHORT;
typedef int INT;
typedef unsigned int UINT;
typedef DWORD ULONG;
typedef int64_t LONGLONG;
typedef uint64_t ULONGLONG;
typedef BYTE BOOLEAN;
typedef float FLOAT;
typedef double DOUBLE;
typedef intptr_t INT_PTR;
typedef uintptr_t UINT_PTR;
typedef intptr_t LONG_PTR;
typedef uintptr_t ULONG_PTR;
typedef void *PVOID;
typedef const void *LPCVOID;
typedef BYTE *PBYTE;
typedef WORD *PWORD;
typedef DWORD *PDWORD;
typedef DWORD_PTR *PDWORD_PTR;
typedef BOOL *PBOOL;
typedef BOOL *LPBOOL;
typedef LONG *PLONG;
typedef LONG *LPLONG;
typedef ULONG *PULONG;
typedef UINT *PUINT;
typedef INT *LPINT;
typedef char *PSTR;
typedef char *PCHAR;
typedef const char *PCSTR;
typedef SYSTEMTIME *PSYSTEMTIME;
typedef LARGE_INTEGER *PLARGE_INTEGER;

/* Characters are char, as on Windows without UNICODE. There is no WCHAR. */
typedef char TCHAR;
typedef char *LPTSTR;
typedef const char *LPCTSTR;
#define TEXT(text) text

typedef void *HANDLE;
typedef HANDLE *LPHANDLE;
typedef HANDLE HGLOBAL;
typedef HANDLE HLOCAL;
typedef HINSTANCE HMODULE;

#define INVALID_HANDLE_VALUE	((HANDLE)(intptr_t)-1)

#define UNREFERENCED_PARAMETER(parameter) ((void)(parameter))

/* Parts of numbers */
#define LOBYTE(w)		((BYTE)((DWORD_PTR)(w) & 0xff))
#define HIBYTE(w)		((BYTE)(((DWORD_PTR)(w) >> 8) & 0xff))
#define LOWORD(l)		((WORD)((DWORD_PTR)(l) & 0xffff))
#define HIWORD(l)		((WORD)(((DWORD_PTR)(l) >> 16) & 0xffff))
#define MAKEWORD(low, high)	((WORD)(LOBYTE(low) | ((WORD)LOBYTE(high) << 8)))
#define MAKELONG(low, high)	((LONG)(LOWORD(low) | ((DWORD)LOWORD(high) << 16)))

#if !defined(__cplusplus) && !defined(NOMINMAX)
#ifndef min
#define min(a, b)		((a) < (b) ? (a) : (b))
#endif
#ifndef max
#define max(a, b)		((a) > (b) ? (a) : (b))
#endif
#endif

/* Memory */
#define ZeroMemory(to, bytes)		memset((to), 0, (bytes))
#define FillMemory(to, bytes, byte)	memset((to), (byte), (bytes))
#define CopyMemory(to, from, bytes)	memcpy((to), (from), (bytes))
#define MoveMemory(to, from, bytes)	memmove((to), (from), (bytes))

/* Strings */
#define lstrcpy(to, from)	strcpy((to), (from))
#define lstrcat(to, from)	strcat((to), (from))
#define lstrcmp(a, b)		strcmp((a), (b))
#define lstrcmpi(a, b)		strcasecmp((a), (b))

static __inline__ int lstrlen(LPCSTR text)
{
	return text ? (int)strlen(text) : 0;
}

/* @size: bytes that @to has room for, the 0 at the end included */
static __inline__ LPSTR lstrcpyn(LPSTR to, LPCSTR from, int size)
{
	int i;

	if (size <= 0)
		return to;
	for (i = 0; i < size - 1 && from[i]; i++)
		to[i] = from[i];
	to[i] = 0;
	return to;
}

/* The error of the thread; one variable for all files of an expert. */
#ifdef __GNUC__
__extension__ __attribute__((__weak__, __visibility__("hidden")))
__thread DWORD expertmem_windows_last_error;

#define NO_ERROR		0

static __inline__ DWORD GetLastError(void)
{
	return expertmem_windows_last_error;
}

static __inline__ void SetLastError(DWORD error)
{
	expertmem_windows_last_error = error;
}
#endif

/*
 * wsprintf(), which reads long as the 32 bits it has on Windows: %lu takes a DWORD. %I64d and
 * %I64x take 64 bits, %p a pointer; floating point is not formatted, as on Windows. It writes
 * 1,024 bytes at most, the 0 included.
 */
#define EXPERTMEM_WSPRINTF_SIZE	1024

/* Append @count times @byte, or @length bytes of @text; return how much of @out is used. */
static __inline__ int expertmem_windows_fill(LPSTR out, int used, char byte, int count)
{
	while (count-- > 0 && used < EXPERTMEM_WSPRINTF_SIZE - 1)
		out[used++] = byte;
	return used;
}

static __inline__ int expertmem_windows_put(LPSTR out, int used, LPCSTR text, int length)
{
	int i;

	for (i = 0; i < length && used < EXPERTMEM_WSPRINTF_SIZE - 1; i++)
		out[used++] = text[i];
	return used;
}

/* Read a width or a precision; larger ones than the buffer are as good as its size. */
static __inline__ LPCSTR expertmem_windows_size(LPCSTR format, int *size)
{
	for (*size = 0; *format >= '0' && *format <= '9'; format++)
		if (*size < EXPERTMEM_WSPRINTF_SIZE)
			*size = *size * 10 + *format - '0';
	return format;
}

/* Write @value before @end; return where it starts. */
static __inline__ char *expertmem_windows_digits(char *end, uint64_t value, int hexadecimal,
						 LPCSTR digits)
{
	do {
		*--end = digits[hexadecimal ? value % 16 : value % 10];
		value = hexadecimal ? value / 16 : value / 10;
	} while (value);
	return end;
}

static __inline__ int wvsprintf(LPSTR out, LPCSTR format, va_list args)
{
	int used = 0;

	while (*format) {
		char number[24];
		LPCSTR text = format, prefix = "";
		int left = 0, alternate = 0, wide = 0, zeros = 0, length = 1;
		int width = 0, precision = -1, fill;
		char pad = ' ';
		int64_t number_signed;
		uint64_t value;

		if (*format != '%' || format[1] == '%' || !format[1]) {
			used = expertmem_windows_put(out, used, format, 1);
			format += *format == '%' && format[1] ? 2 : 1;
			continue;
		}
		for (format++; *format == '-' || *format == '#' || *format == '0'; format++) {
			left |= *format == '-';
			alternate |= *format == '#';
			pad = *format == '0' ? '0' : pad;
		}
		format = expertmem_windows_size(format, &width);
		if (*format == '.')
			format = expertmem_windows_size(format + 1, &precision);
		if (!strncmp(format, "I64", 3)) {
			wide = 1;
			format += 3;
		} else if (*format == 'l' || *format == 'h') {
			format++;
		}
		switch (*format) {
		case 'c':
			number[0] = (char)va_arg(args, int);
			text = number;
			break;
		case 's':
			text = va_arg(args, LPCSTR);
			text = text ? text : "(null)";
			for (length = 0; length != precision && text[length];)
				length++;
			break;
		case 'd':
		case 'i':
			number_signed = wide ? va_arg(args, int64_t) : va_arg(args, int);
			value = (uint64_t)number_signed;
			prefix = number_signed < 0 ? "-" : "";
			text = expertmem_windows_digits(number + sizeof(number),
							*prefix ? 0 - value : value, 0, "0123456789");
			break;
		case 'u':
			value = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned int);
			text = expertmem_windows_digits(number + sizeof(number), value, 0, "0123456789");
			break;
		case 'x':
			value = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned int);
			prefix = alternate ? "0x" : "";
			text = expertmem_windows_digits(number + sizeof(number), value, 1, "0123456789abcdef");
			break;
		case 'X':
			value = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned int);
			prefix = alternate ? "0X" : "";
			text = expertmem_windows_digits(number + sizeof(number), value, 1, "0123456789ABCDEF");
			break;
		case 'p':
			value = (uintptr_t)va_arg(args, void *);
			precision = 2 * (int)sizeof(void *);
			text = expertmem_windows_digits(number + sizeof(number), value, 1, "0123456789ABCDEF");
			break;
		default:	/* copied as it is, but for the percent sign */
			text = format;
			length = *format != 0;
			break;
		}
		if (*format && strchr("diuxXp", *format)) {
			length = (int)(number + sizeof(number) - text);
			zeros = precision > length ? precision - length : 0;
		}
		fill = width - (int)strlen(prefix) - zeros - length;
		if (pad == '0' && !left && fill > 0) {
			zeros += fill;
			fill = 0;
		}
		used = left ? used : expertmem_windows_fill(out, used, ' ', fill);
		used = expertmem_windows_put(out, used, prefix, (int)strlen(prefix));
		used = expertmem_windows_fill(out, used, '0', zeros);
		used = expertmem_windows_put(out, used, text, length);
		used = left ? expertmem_windows_fill(out, used, ' ', fill) : used;
		format += *format != 0;
	}
	out[used] = 0;
	return used;
}

static __inline__ int wsprintf(LPSTR out, LPCSTR format, ...)
{
	va_list args;
	int used;

	va_start(args, format);
	used = wvsprintf(out, format, args);
	va_end(args);
	return used;
}

/*
 * The process' heap: malloc() with the block's size in 16 bytes before it. It is not the
 * expert's memory of ExpertAllocMemory(), and free() must not be called on its blocks.
 */
#define HEAP_NO_SERIALIZE		0x01
#define HEAP_GENERATE_EXCEPTIONS	0x04
#define HEAP_ZERO_MEMORY		0x08
#define HEAP_REALLOC_IN_PLACE_ONLY	0x10

static __inline__ HANDLE GetProcessHeap(void)
{
	return (HANDLE)(uintptr_t)1;
}

static __inline__ SIZE_T HeapSize(HANDLE heap, DWORD flags, LPCVOID block)
{
	SIZE_T size;

	(void)heap;
	(void)flags;
	memcpy(&size, (const char *)block - 16, sizeof(size));
	return size;
}

static __inline__ LPVOID HeapReAlloc(HANDLE heap, DWORD flags, LPVOID block, SIZE_T bytes)
{
	SIZE_T old = block ? HeapSize(heap, flags, block) : 0;
	char *start;

	if (bytes > SIZE_MAX - 16 || ((flags & HEAP_REALLOC_IN_PLACE_ONLY) && bytes > old))
		return NULL;
	start = (char *)realloc(block ? (char *)block - 16 : NULL, bytes + 16);
	if (!start)
		return NULL;
	memcpy(start, &bytes, sizeof(bytes));
	if ((flags & HEAP_ZERO_MEMORY) && bytes > old)
		memset(start + 16 + old, 0, bytes - old);
	return start + 16;
}

static __inline__ LPVOID HeapAlloc(HANDLE heap, DWORD flags, SIZE_T bytes)
{
	return HeapReAlloc(heap, flags & ~(DWORD)HEAP_REALLOC_IN_PLACE_ONLY, NULL, bytes);
}

static __inline__ BOOL HeapFree(HANDLE heap, DWORD flags, LPVOID block)
{
	(void)heap;
	(void)flags;
	if (block)
		free((char *)block - 16);
	return TRUE;
}

/* Messages go to standard error; there are no windows, so that a dialog fails: -1. */
typedef UINT_PTR WPARAM;
typedef LONG_PTR LPARAM;
typedef LONG_PTR LRESULT;
typedef INT_PTR (CALLBACK *DLGPROC)(HWND, UINT, WPARAM, LPARAM);

#define IDOK			1
#define IDCANCEL		2
#define IDYES			6
#define IDNO			7
#define MB_OK			0x00
#define MB_OKCANCEL		0x01
#define MB_YESNO		0x04
#define MB_ICONERROR		0x10
#define MB_ICONSTOP		0x10
#define MB_ICONHAND		0x10
#define MB_ICONQUESTION		0x20
#define MB_ICONEXCLAMATION	0x30
#define MB_ICONWARNING		0x30
#define MB_ICONINFORMATION	0x40
#define WM_INITDIALOG		0x0110
#define WM_COMMAND		0x0111
#define MAKEINTRESOURCE(id)	((LPSTR)(uintptr_t)(WORD)(id))

static __inline__ int MessageBox(HWND window, LPCSTR text, LPCSTR caption, UINT type)
{
	(void)window;
	(void)type;
	fprintf(stderr, "%s: %s\n", caption ? caption : "Error", text ? text : "");
	return IDOK;
}

static __inline__ INT_PTR DialogBoxParam(HINSTANCE instance, LPCSTR resource, HWND parent,
					 DLGPROC procedure, LPARAM parameter)
{
	(void)instance;
	(void)resource;
	(void)parent;
	(void)procedure;
	(void)parameter;
	return -1;
}

#define DialogBox(instance, resource, parent, procedure) \
	DialogBoxParam((instance), (resource), (parent), (procedure), 0)

static __inline__ BOOL EndDialog(HWND dialog, INT_PTR result)
{
	(void)dialog;
	(void)result;
	return FALSE;
}

static __inline__ void OutputDebugString(LPCSTR text)
{
	if (text)
		fputs(text, stderr);
}

/* What an expert for Windows defines. Nothing here calls it. */
#define DLL_PROCESS_DETACH	0
#define DLL_PROCESS_ATTACH	1
#define DLL_THREAD_ATTACH	2
#define DLL_THREAD_DETACH	3

#ifdef __GNUC__
__attribute__((__visibility__("default")))
#endif
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved);

#ifdef __cplusplus
}
#endif

#endif /* EXPERTMEM_WINDOWS_H */
