/*
 * Loaded into user-mode Linux before the C library's ptrace.
 * Linux sets the extended registers of a traced process only from a buffer that
 * holds all that the processor has. User-mode Linux 6.1 has room for AVX-512
 * but not for AMX, and so dies on processors with AMX. Here the calls get a
 * large enough buffer, in which user-mode Linux sees and changes its part.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* User-mode Linux traces from one thread. */
static char whole[1 << 16] __attribute__((aligned(64)));

static long (*next)(enum __ptrace_request, ...);

__attribute__((constructor)) static void resolve(void)
{
	next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	va_start(args, request);
	pid_t pid = va_arg(args, pid_t);
	void *addr = va_arg(args, void *), *data = va_arg(args, void *);
	va_end(args);
	if (((int)request != PTRACE_GETREGSET && (int)request != PTRACE_SETREGSET) || (long)addr != NT_X86_XSTATE)
		return next(request, pid, addr, data);

	struct iovec *part = data, all = { whole, sizeof whole };
	long result = syscall(SYS_ptrace, PTRACE_GETREGSET, pid, addr, &all);
	if (result < 0)
		return result;
	if (part->iov_len > all.iov_len)
		part->iov_len = all.iov_len;
	if ((int)request == PTRACE_GETREGSET) {
		memcpy(part->iov_base, whole, part->iov_len);
		return 0;
	}
	memcpy(whole, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, addr, &all);
}
