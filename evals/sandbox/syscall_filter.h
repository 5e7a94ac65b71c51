// The system calls that a program which a model wrote may use (seccomp).
#pragma once

#include <linux/filter.h>

#include <vector>

namespace crossover::evals {

/// What a Python program needs that computes, keeps files and starts processes of its own. A call
/// that is not on the list fails with ENOSYS: sockets, namespaces, mounts, shared memory of System
/// V, memory files, tracing, keys, and what kernels to come will add. Arguments are looked at where
/// a call can do more than that: clone makes no namespace, ioctl asks about files only.
/// Error(kUnsupported) where this build has no libseccomp, or it knows nothing of this CPU.
std::vector<sock_filter> SyscallFilter();

/// Puts the filter on the calling thread and all that it starts; for the time between fork and
/// exec, so only system calls. Needs "no new privileges". False with errno.
bool InstallSyscallFilter(const std::vector<sock_filter>& filter);

}  // namespace crossover::evals
