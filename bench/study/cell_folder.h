// The folder in which a study makes its files, and what may be deleted in it: nothing but what is
// proved to be the study's own.
//
// It lies in the study's folder under a name of this program's, and holds a marker: a file that was
// created together with it and that lists, before any file is made, the key of the cell that it is
// made for. Deleted are regular files in it, never what links lead to, whose names end with a
// listed key as the study's names do. A folder of that name without a marker, or a link, is
// somebody else's: then nothing is written.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "base/descriptor.h"

namespace crossover::bench {

class CellFolder {
 public:
  /// `study`: the study's folder, which must be there. Makes nothing. Error(kIo) if something that
  /// is not this program's stands in the place.
  explicit CellFolder(const std::filesystem::path& study);

  const std::filesystem::path& path() const { return path_; }

  /// Says that files for this cell are about to be made, and makes the folder if it is not there.
  /// `keep`: they are to stay. Error(kIo).
  void Begin(const std::string& key, bool keep);

  /// Keys of all cells that Begin was called for in this folder, by whatever process.
  std::set<std::string> Begun() const;

  /// Deletes what was made for the cell: all of it, or if it was to be kept only what a process
  /// that died left unfinished. What cannot be deleted stays.
  void Remove(const std::string& key) const;

  /// Deletes the folder if there is nothing in it but the marker, and no other process uses it.
  /// What cannot be deleted stays.
  void RemoveIfEmpty();

 private:
  struct Marks {
    std::set<std::string> begun = {};
    std::set<std::string> kept = {};
  };
  /// Opens it if it is there; false if not.
  bool Open();
  void Make();
  /// `how`: as flock has it. False if others hold it so that this must not be.
  bool Lock(int how) const;
  void RemoveAlone();
  bool OpenMarker();
  /// Leaves marker_ empty, and errno, if it cannot be created again.
  void CreateMarker();
  Marks ReadMarks() const;
  static Marks MarksIn(std::string_view marker);
  [[noreturn]] void RefuseForeign() const;

  std::filesystem::path path_;
  Descriptor folder_;
  Descriptor marker_;
};

/// The name of a cell's file: "MODEL-RECIPE-KEY.gguf", in which unusual characters of the model's
/// name are replaced and a long one is cut.
std::string CellFileName(std::string_view model, std::string_view recipe, std::string_view key);

}  // namespace crossover::bench
