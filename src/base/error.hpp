/// The exceptions the core can throw.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace depthai {

/// The two ends of a link.
enum class Role { host, device };

constexpr const char* role_name(Role role) { return role == Role::host ? "host" : "device"; }
constexpr Role other_end(Role role) { return role == Role::host ? Role::device : Role::host; }

/// Anything the core reports on purpose. Each class has its twin in `depthai_ros.errors`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An error with a word for programs: which of the known cases it is, "" if none.
class ReasonedError : public Error {
 public:
  explicit ReasonedError(const std::string& message, std::string reason = "")
      : Error(message), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/// Nothing answers at that address, or it may not be opened.
class DeviceNotFoundError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// The firmware was not accepted, or the device did not come back after it.
class BootError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// The link broke, was closed, or could not be made.
class LinkError : public Error {
 public:
  using Error::Error;
};

/// The device is not there any more: unplugged, or it rebooted.
class DeviceLostError : public LinkError {
 public:
  using LinkError::LinkError;
};

/// The other end did not answer within the time given; the link is still up.
class LinkTimeoutError : public LinkError {
 public:
  using LinkError::LinkError;
};

/// Bytes that break XLink.
class ProtocolError : public Error {
 public:
  ProtocolError(Role culprit, const std::string& message) : Error(message), culprit_(culprit) {}
  /// The end whose bytes were wrong.
  Role culprit() const { return culprit_; }

 private:
  Role culprit_;
};

/// Why a link ended, kept as a value: every waiting thread gets an exception of its own.
struct Failure {
  enum class Kind { closed, link, lost, protocol };

  Kind kind = Kind::closed;  ///< closed: on purpose, by this end
  std::string message;       ///< "" if closed on purpose
  Role culprit = Role::device;

  /// What a broken transport threw.
  static Failure of(const std::exception& error, Role culprit) {
    const bool lost = dynamic_cast<const DeviceLostError*>(&error) != nullptr;
    return {lost ? Kind::lost : Kind::link, error.what(), culprit};
  }

  [[noreturn]] void raise() const {
    if (kind == Kind::lost) throw DeviceLostError(message);
    if (kind == Kind::protocol) throw ProtocolError(culprit, message);
    throw LinkError(kind == Kind::closed ? "the link was closed" : message);
  }
};

}  // namespace depthai
