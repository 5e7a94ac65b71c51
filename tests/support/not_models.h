// What people have in a file where a model should be.
#pragma once

#include <string>
#include <vector>

namespace crossover::test {

/// What Git LFS leaves where it is not installed.
inline std::string LfsPointer() {
  return "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '4') +
         "\nsize 12345\n";
}

struct NotModel {
  std::string bytes, said;  // a file's content, and a part of what is said of it
};

inline std::vector<NotModel> NotModels() {
  const std::string zeros(64, '\0');
  return {{LfsPointer(), "git lfs pull"},
          {"", "is empty"},
          {"\n<!DOCTYPE html>\n<html>", "web page"},
          {"<HTML><body>", "web page"},
          {"PK\x03\x04" + zeros, "zip"},
          {"\x1f\x8b\x08" + zeros, "gunzip"},
          {"\x28\xB5\x2F\xFD" + zeros, "unzstd"},
          {"lmgg" + zeros, "before GGUF"},
          {"tjgg\x03" + zeros, "GGJT"},
          {zeros, "zeros"},
          {std::string("\x40\0\0\0\0\0\0\0{\"a\":", 13), "SafeTensors"}};
}

}  // namespace crossover::test
