// What stands where something is to be written. That decides how it is written, not the name: a
// name may be a link, a device, a pipe, or one of this process's own streams.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "base/descriptor.h"

namespace crossover {

struct OutputPlace {
  enum class Kind {
    kFile,     // a regular file
    kNothing,  // a name that is free, in a folder that is there
    kStream,   // a device, a FIFO, or what is open already, as /dev/stdout and /dev/fd/3 are
  };
  Kind kind = Kind::kNothing;
  Descriptor folder = Descriptor();  // where links end; good for the *at calls only (O_PATH)
  std::string name = {};             // in that folder
  bool through_link = false;         // the path's last part is a link
  int own_descriptor = -1;           // of a stream that is open in this process
  struct stat status {};             // of what stands there; not of kNothing
};

/// Follows links to their end. Error(kIo): a folder or a socket stands there, the folder is
/// missing, links go round in circles.
OutputPlace FindOutput(const std::filesystem::path& path);

/// Opens a place of kind kStream for writing, a stream of this process's where it stands. Waits for
/// the reader of a FIFO; Error(kInterrupted) after Ctrl-C. Error(kIo).
Descriptor OpenStream(const OutputPlace& place, const std::filesystem::path& path);

}  // namespace crossover
