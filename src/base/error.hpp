/// The exceptions that the core throws.
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

/// Base of all errors of the core. Each class has a counterpart in `depthai_ros.errors`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An error with a machine-readable reason: the name of a known case, "" if it is none.
class ReasonedError : public Error {
 public:
  explicit ReasonedError(const std::string& message, std::string reason = "")
      : Error(message), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/// No device at that address, or no permission to open it.
class DeviceNotFoundError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// The device did not accept the firmware, or did not come back after the boot.
class BootError : public ReasonedError {
 public:
  using ReasonedError::ReasonedError;
};

/// The link broke, was closed, or could not be made.
class LinkError : public Error {
 public:
  using Error::Error;
};

/// The device has left the bus: it was unplugged, or it rebooted.
class DeviceLostError : public LinkError {
 public:
  using LinkError::LinkError;
};

/// The other end did not answer in time; the link is still up.
class LinkTimeoutError : public LinkError {
 public:
  using LinkError::LinkError;
};

/// Received bytes violate XLink.
class ProtocolError : public Error {
 public:
  ProtocolError(Role culprit, const std::string& message) : Error(message), culprit_(culprit) {}
  /// The end that sent the bytes.
  Role culprit() const { return culprit_; }

 private:
  Role culprit_;
};

/// An image, or a setting for it, that a format cannot hold.
class EncodeError : public Error {
 public:
  using Error::Error;
};

/// Why a link ended; a value, so that every waiting thread can throw an exception of its own.
struct Failure {
  enum class Kind { closed, link, lost, protocol };

  Kind kind = Kind::closed;  ///< closed: on purpose, by this end
  std::string message;       ///< "" if closed on purpose
  Role culprit = Role::device;

  /// From the exception of a broken transport.
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
