#include "transport/usb_errors.hpp"

#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace depthai {
namespace {

constexpr const char* kRule = R"(SUBSYSTEM=="usb", ATTRS{idVendor}=="03e7", MODE="0666")";

bool exists(const char* path) { return ::access(path, F_OK) == 0; }

/// A remedy for containers; "" outside of one.
std::string container_advice() {
  if (!exists("/.dockerenv") && !exists("/run/.containerenv")) return "";
  return "; this is a container: it needs the whole of /dev/bus/usb (docker run -v "
         "/dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw'), since a booted device "
         "appears as a new device";
}

std::string owner_of(const struct stat& status) {
  const passwd* const user = ::getpwuid(status.st_uid);
  const group* const members = ::getgrgid(status.st_gid);
  return (user ? user->pw_name : std::to_string(status.st_uid)) + std::string(":") +
         (members ? members->gr_name : std::to_string(status.st_gid));
}

/// True if both are the same file; device files are compared by number, for containers.
bool same_file(const struct stat& a, const struct stat& b) {
  if (S_ISCHR(a.st_mode) && S_ISCHR(b.st_mode)) return a.st_rdev == b.st_rdev;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;
Folder open_folder(const std::string& path) { return {::opendir(path.c_str()), &::closedir}; }

bool has_open(const std::string& process, const struct stat& wanted) {
  const std::string path = process + "/fd";
  const Folder files = open_folder(path);
  if (files == nullptr) return false;
  while (const dirent* const entry = ::readdir(files.get())) {
    struct stat status{};
    if (::stat((path + "/" + entry->d_name).c_str(), &status) != 0) continue;
    if (same_file(status, wanted)) return true;
  }
  return false;
}

/// "process 1234 (python3)"; less if /proc does not show it.
std::string user_of(const std::string& node) {
  struct stat wanted{};
  const Folder processes = open_folder("/proc");
  if (::stat(node.c_str(), &wanted) != 0 || processes == nullptr) return "another program";
  while (const dirent* const entry = ::readdir(processes.get())) {
    const std::string number = entry->d_name;
    if (std::isdigit(static_cast<unsigned char>(number[0])) == 0) continue;
    if (std::atoi(number.c_str()) == ::getpid()) continue;
    if (!has_open("/proc/" + number, wanted)) continue;
    std::string name;
    std::getline(std::ifstream("/proc/" + number + "/comm"), name);
    return "process " + number + " (" + name + ")";
  }
  return "another program, of another user or in another container";
}

}  // namespace

std::string name_of(const UsbBoard& board) {
  char ids[16];
  std::snprintf(ids, sizeof(ids), "%04x:%04x", kUsbVendor, board.product);
  return std::string(ids) + " at " + board.location();
}

DeviceNotFoundError absent_error(const std::string& selector) {
  return DeviceNotFoundError(selector +
                                 ": no USB device of vendor 03e7 found; check that it is plugged "
                                 "in, has enough power, and "
                                 "that the cable carries data" +
                                 container_advice(),
                             "absent");
}

DeviceNotFoundError mismatch_error(const std::string& selector, const std::vector<UsbBoard>& boards,
                                   const std::vector<std::string>& notes) {
  std::string text = selector + ": no such device; found: ";
  for (std::size_t i = 0; i < boards.size(); ++i) {
    text += (i > 0 ? ", " : "") + name_of(boards[i]) + " (" + notes[i] + ")";
  }
  return DeviceNotFoundError(text, "mismatch");
}

DeviceNotFoundError access_error(const std::string& selector, const UsbBoard& board) {
  struct stat status{};
  std::string mode = "cannot be examined";
  if (::stat(board.node().c_str(), &status) == 0) {
    char octal[8];
    std::snprintf(octal, sizeof(octal), "%04o", static_cast<unsigned>(status.st_mode & 07777));
    mode = "belongs to " + owner_of(status) + ", mode " + octal;
  }
  return DeviceNotFoundError(
      selector + ": " + name_of(board) + ": no permission to open it: " + board.node() + " " +
          mode + ", this process runs as user " + std::to_string(::geteuid()) +
          "; run `sudo depthai-udev`, or put this rule into /etc/udev/rules.d/80-depthai.rules and "
          "plug the device in again: " +
          kRule + container_advice(),
      "access");
}

DeviceNotFoundError busy_error(const std::string& selector, const UsbBoard& board) {
  return DeviceNotFoundError(
      selector + ": " + name_of(board) + " is in use by " + user_of(board.node()), "busy");
}

DeviceNotFoundError claimed_error(const std::string& selector, const UsbBoard& board,
                                  const std::string& owner) {
  return DeviceNotFoundError(selector + ": " + name_of(board) + " is in use by " + owner +
                                 "; end that program, or choose another device",
                             "busy");
}

BootError not_returned_error(const std::string& selector, const UsbBoard& rom,
                             const std::vector<UsbBoard>& boards, const std::string& transfer) {
  std::string text = selector + ": " + name_of(rom) + " " + transfer +
                     ", but no 03e7:f63b came back on port " + rom.port + "; found: ";
  for (const UsbBoard& board : boards) text += name_of(board) + ", ";
  if (boards.empty()) text += "no device of this vendor, ";
  return BootError(text + "try another port, a powered hub, a shorter cable" + container_advice(),
                   "not_returned");
}

}  // namespace depthai
