#include "evals/sandbox/memory_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

namespace crossover::evals {
namespace {

namespace fs = std::filesystem;

void AddChildren(pid_t process, std::vector<pid_t>& all) {
  std::error_code ended;
  for (fs::directory_iterator thread(fmt::format("/proc/{}/task", process), ended), last;
       !ended && thread != last; thread.increment(ended)) {
    std::ifstream children(thread->path() / "children");
    for (pid_t child = 0; children >> child;) all.push_back(child);
  }
}

size_t ResidentPages(pid_t process) {
  std::ifstream statm(fmt::format("/proc/{}/statm", process));
  size_t virtual_pages = 0, resident = 0;
  return statm >> virtual_pages >> resident ? resident : 0;
}

}  // namespace

std::vector<pid_t> Children(pid_t process) {
  std::vector<pid_t> children;
  AddChildren(process, children);
  return children;
}

size_t BytesBelow(pid_t root) {
  constexpr size_t kMost = 4096;  // processes: against numbers that are used again while we look
  std::vector<pid_t> family = Children(root);
  size_t pages = 0;
  for (size_t i = 0; i < family.size() && i < kMost; ++i) {
    pages += ResidentPages(family[i]);
    AddChildren(family[i], family);
  }
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace crossover::evals
