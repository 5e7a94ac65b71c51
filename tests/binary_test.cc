// What the linker made: hardened against what a hostile file may still find, and without code of
// one instruction set where another's belongs.
#include <elf.h>

#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

/// A 64-bit ELF file of this machine's byte order.
class Elf {
 public:
  explicit Elf(const std::filesystem::path& path) : bytes_(ReadFile(path)) {
    header_ = At<Elf64_Ehdr>(0);
    REQUIRE(std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0);
    REQUIRE(header_.e_ident[EI_CLASS] == ELFCLASS64);
    for (size_t i = 0; i < header_.e_phnum; ++i) {
      segments_.push_back(At<Elf64_Phdr>(header_.e_phoff + i * header_.e_phentsize));
    }
  }

  bool IsPositionIndependent() const { return header_.e_type == ET_DYN; }
  const Elf64_Phdr* Segment(uint32_t type) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == type) return &segment;
    }
    return nullptr;
  }
  bool BindsNow() const {
    const Elf64_Phdr* dynamic = Segment(PT_DYNAMIC);
    REQUIRE(dynamic != nullptr);
    for (size_t at = 0; at < dynamic->p_filesz; at += sizeof(Elf64_Dyn)) {
      const auto entry = At<Elf64_Dyn>(dynamic->p_offset + at);
      if (entry.d_tag == DT_BIND_NOW) return true;
      if (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_BIND_NOW) != 0) return true;
      if (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_NOW) != 0) return true;
    }
    return false;
  }
  /// Names of what it takes from other libraries.
  std::set<std::string> Imports() const {
    std::set<std::string> names;
    for (size_t i = 0; i < header_.e_shnum; ++i) {
      const auto section = Section(i);
      if (section.sh_type != SHT_DYNSYM) continue;
      const auto strings = Section(section.sh_link);
      for (size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
        const auto symbol = At<Elf64_Sym>(section.sh_offset + at);
        if (symbol.st_shndx != SHN_UNDEF) continue;
        names.insert(bytes_.c_str() + strings.sh_offset + symbol.st_name);
      }
    }
    return names;
  }

 private:
  template <class T>
  T At(size_t offset) const {
    REQUIRE(offset + sizeof(T) <= bytes_.size());
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  Elf64_Shdr Section(size_t i) const {
    return At<Elf64_Shdr>(header_.e_shoff + i * header_.e_shentsize);
  }

  std::string bytes_;
  Elf64_Ehdr header_;
  std::vector<Elf64_Phdr> segments_;
};

void CheckHardened(const std::filesystem::path& path) {
  CAPTURE(path);
  const Elf elf(path);
  CHECK(elf.IsPositionIndependent());
  CHECK(elf.Segment(PT_GNU_RELRO) != nullptr);
  CHECK(elf.BindsNow());
  const Elf64_Phdr* stack = elf.Segment(PT_GNU_STACK);
  REQUIRE(stack != nullptr);
  CHECK((stack->p_flags & PF_X) == 0);
  const std::set<std::string> imports = elf.Imports();
  CHECK(imports.contains("__stack_chk_fail"));
  const bool fortified = std::any_of(imports.begin(), imports.end(), [](const std::string& name) {
    return name.starts_with("__") && name.ends_with("_chk");
  });
  CHECK(fortified);
}

TEST_CASE("binary: program and library are hardened") {
  if (!CROSSOVER_HARDENED) return Skip("a build with sanitizers, or without optimisation");
  CheckHardened(CrossoverBinary());
  CheckHardened(CROSSOVER_LIBRARY);
}

/// Weak symbols that a library defines: of code, the linker keeps any one copy in the program.
std::set<std::string> WeakSymbols(const std::string& library) {
  const ProcessResult listing = RunProcess({"nm", "--defined-only", library});
  REQUIRE(listing.ok());
  std::set<std::string> names;
  std::istringstream lines(listing.out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address, kind, name;
    if (!(words >> address >> kind >> name)) continue;
    const bool is_weak = kind == "W" || kind == "V";
    if (is_weak && !name.starts_with("DW.ref.")) names.insert(name);
  }
  return names;
}

TEST_CASE("binary: no weak symbol stands in objects of two instruction sets") {
  if (!CROSSOVER_HARDENED) return Skip("without optimisation all small functions are weak symbols");
  if (!RunProcess({"sh", "-c", "command -v nm"}).ok()) return Skip("no nm");
  std::istringstream libraries(CROSSOVER_LEVEL_LIBRARIES);
  std::map<std::string, std::string> found;  // name → library
  size_t count = 0;
  for (std::string library; std::getline(libraries, library, ':'); ++count) {
    for (const std::string& name : WeakSymbols(library)) {
      const auto [at, is_new] = found.emplace(name, library);
      CAPTURE(name);
      CAPTURE(library);
      CAPTURE(at->second);
      CHECK(is_new);
    }
  }
  CHECK(count >= 2);
  CHECK(!found.empty());
}

}  // namespace
}  // namespace crossover::test
