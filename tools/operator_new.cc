// The program's own `operator new`, of the allocator's memory.
//
// mimalloc brings one, which aborts where memory runs out: as a library in C it cannot throw. This
// one throws std::bad_alloc, as the language has it, so that the end is a line and a status. Built
// only where mimalloc is linked: elsewhere the C++ library's (or a sanitizer's) does the same.
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

void* Allocate(std::size_t size) noexcept { return std::malloc(size != 0 ? size : 1); }

void* Allocate(std::size_t size, std::align_val_t alignment) noexcept {
  const auto align = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (size + align - 1) / align * align;
  if (rounded < size) return nullptr;  // beyond the largest number
  return std::aligned_alloc(align, rounded != 0 ? rounded : align);
}

template <class... Alignment>
void* AllocateOrThrow(std::size_t size, Alignment... alignment) {
  for (;;) {
    if (void* const p = Allocate(size, alignment...)) return p;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

template <class... Alignment>
void* AllocateOrNull(std::size_t size, Alignment... alignment) noexcept {
  try {
    return AllocateOrThrow(size, alignment...);
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

using Size = std::size_t;
using Alignment = std::align_val_t;
using NoThrow = const std::nothrow_t&;

void* operator new(Size n) { return AllocateOrThrow(n); }
void* operator new[](Size n) { return AllocateOrThrow(n); }
void* operator new(Size n, Alignment a) { return AllocateOrThrow(n, a); }
void* operator new[](Size n, Alignment a) { return AllocateOrThrow(n, a); }
void* operator new(Size n, NoThrow) noexcept { return AllocateOrNull(n); }
void* operator new[](Size n, NoThrow) noexcept { return AllocateOrNull(n); }
void* operator new(Size n, Alignment a, NoThrow) noexcept { return AllocateOrNull(n, a); }
void* operator new[](Size n, Alignment a, NoThrow) noexcept { return AllocateOrNull(n, a); }

void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, Size) noexcept { std::free(p); }
void operator delete[](void* p, Size) noexcept { std::free(p); }
void operator delete(void* p, Alignment) noexcept { std::free(p); }
void operator delete[](void* p, Alignment) noexcept { std::free(p); }
void operator delete(void* p, Size, Alignment) noexcept { std::free(p); }
void operator delete[](void* p, Size, Alignment) noexcept { std::free(p); }
void operator delete(void* p, NoThrow) noexcept { std::free(p); }
void operator delete[](void* p, NoThrow) noexcept { std::free(p); }
void operator delete(void* p, Alignment, NoThrow) noexcept { std::free(p); }
void operator delete[](void* p, Alignment, NoThrow) noexcept { std::free(p); }
