// The Python bindings of the core; depthai_ros/_core.pyi documents them.

#include <malloc.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <climits>
#include <map>
#include <string>
#include <vector>

#include "link/link.hpp"
#include "python/python_kernels.hpp"
#include "python/python_usb.hpp"
#include "python/python_views.hpp"
#include "python/rcl_publisher.hpp"
#include "transport/socket_transport.hpp"

#ifndef DEPTHAI_VERSION
#define DEPTHAI_VERSION "0+unknown"
#endif

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

using Seconds = std::optional<double>;

// ---- the GIL ---------------------------------------------------------------------------------

using WithoutGil = py::call_guard<NoGil>;

// ---- errors ----------------------------------------------------------------------------------

/// The classes of depthai_ros.errors. Never released: threads may throw until the process ends.
struct ErrorClasses {
  PyObject *device_not_found, *boot, *link, *lost, *link_timeout, *protocol, *encode;
};
ErrorClasses g_errors{};

void find_error_classes() {
  const py::module_ errors = py::module_::import("depthai_ros.errors");
  const auto find = [&](const char* name) { return py::object(errors.attr(name)).release().ptr(); };
  g_errors = {find("DeviceNotFoundError"), find("BootError"),        find("LinkError"),
              find("DeviceLostError"),     find("LinkTimeoutError"), find("ProtocolError"),
              find("EncodeError")};
}

void set_error(PyObject* type, const Error& error, const char* name, const std::string& value) {
  const py::object object = py::reinterpret_borrow<py::object>(type)(error.what());
  object.attr(name) = value;
  PyErr_SetObject(type, object.ptr());
}

void translate_error(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const ProtocolError& e) {
    set_error(g_errors.protocol, e, "culprit", role_name(e.culprit()));
  } catch (const LinkTimeoutError& e) {
    PyErr_SetString(g_errors.link_timeout, e.what());
  } catch (const DeviceLostError& e) {
    PyErr_SetString(g_errors.lost, e.what());
  } catch (const LinkError& e) {
    PyErr_SetString(g_errors.link, e.what());
  } catch (const EncodeError& e) {
    PyErr_SetString(g_errors.encode, e.what());
  } catch (const DeviceNotFoundError& e) {
    set_error(g_errors.device_not_found, e, "reason", e.reason());
  } catch (const BootError& e) {
    set_error(g_errors.boot, e, "reason", e.reason());
  }
}

// ---- waiting ---------------------------------------------------------------------------------

Timeout to_timeout(Seconds seconds) {
  constexpr double kForEver = 1e8;  // three years
  if (!seconds || *seconds > kForEver) return std::nullopt;
  if (!(*seconds > 0)) return std::chrono::nanoseconds(0);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(*seconds));
}

/// Wait in slices without the GIL, so that Ctrl-C is handled. Only the main thread handles signals:
/// all others wait in one slice. `attempt(timeout, is_last)` returns true when it is done.
template <typename Attempt>
bool wait_interruptibly(Seconds seconds, Attempt attempt) {
  constexpr std::chrono::nanoseconds kSlice = std::chrono::milliseconds(100);
  Timeout left = to_timeout(seconds);
  const bool is_main_thread = ::getpid() == ::gettid();
  for (;;) {
    const bool last = !is_main_thread || (left && *left <= kSlice);
    {
      const NoGil no_gil;
      if (attempt(last ? left : kSlice, last)) return true;
    }
    if (last) return false;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (left) *left -= kSlice;
  }
}

// ---- links -----------------------------------------------------------------------------------

/// Joining a link's threads takes time, so it happens without the GIL. A child of fork() has no
/// such threads, and locks that they held stay locked: there the copy is not deleted.
struct DeleteLink {
  pid_t owner = ::getpid();

  void operator()(Link* link) const {
    if (::getpid() != owner) return;
    if (PyGILState_Check()) {
      const NoGil no_gil;
      delete link;
    } else {
      delete link;
    }
  }
};

Role role_of(const std::string& name) {
  if (name == "host") return Role::host;
  if (name == "device") return Role::device;
  throw py::value_error("role is '" + name + "', must be 'host' or 'device'");
}

std::shared_ptr<Link> make_link(const std::shared_ptr<Transport>& transport,
                                const std::string& role, bool auto_release,
                                std::uint32_t max_payload_bytes, std::size_t max_queued_bytes) {
  LinkOptions options;
  options.auto_release = auto_release;
  options.max_payload_bytes = max_payload_bytes;
  options.max_queued_bytes = max_queued_bytes;
  return {new Link(transport, role_of(role), options), DeleteLink{}};
}

bool write_packet(Link& link, const std::string& name, const py::sequence& parts, Seconds timeout_s,
                  bool wait_response) {
  std::vector<View> views;
  std::vector<Part> spans;
  for (const py::handle part : parts) {
    views.emplace_back(part, PyBUF_SIMPLE);
    spans.push_back(views.back().part());
  }
  constexpr std::chrono::seconds kResponseLimit{10};
  WriteOptions options;
  options.wait_response = wait_response;
  options.response = to_timeout(timeout_s);
  // A timeout of 0 applies to the credit only, not to the response.
  if (options.response && options.response->count() == 0) options.response = kResponseLimit;
  return wait_interruptibly(timeout_s, [&](Timeout slice, bool is_last) {
    options.credit = slice;
    options.count_refusal = is_last;
    return link.write(name, spans.data(), spans.size(), options);
  });
}

Packet read_packet(Link& link, const std::string& name, Seconds timeout_s) {
  std::optional<Packet> packet;
  const bool arrived = wait_interruptibly(timeout_s, [&](Timeout slice, bool) {
    packet = link.read(name, slice);
    return packet.has_value();
  });
  if (!arrived) throw LinkTimeoutError("read stream '" + name + "': no packet in time");
  return *packet;
}

std::optional<LinkEvent> next_event(Link& link, Seconds timeout_s) {
  std::optional<LinkEvent> event;
  wait_interruptibly(timeout_s, [&](Timeout slice, bool) {
    event = link.next_event(slice);
    return event.has_value() || link.is_down();
  });
  return event;
}

const char* event_kind(const LinkEvent& event) {
  static constexpr const char* kKinds[] = {"ping", "opened", "closed", "reset", "down"};
  return kKinds[static_cast<int>(event.kind)];
}

std::shared_ptr<Transport> accept_connection(SocketListener& listener, Seconds timeout_s) {
  std::shared_ptr<Transport> transport;
  wait_interruptibly(timeout_s, [&](Timeout slice, bool) {
    transport = listener.accept(slice);
    return transport != nullptr || listener.is_closed();
  });
  return transport;
}

// ---- publishing ------------------------------------------------------------------------------

template <typename Use>
auto with_parts(Buffer& buffer, std::size_t size, const py::bytes& prefix, const py::bytes& suffix,
                Use use) {
  const View before(prefix, PyBUF_SIMPLE), behind(suffix, PyBUF_SIMPLE);
  const NoGil no_gil;
  return use(
      SerializedParts{buffer, size, before.data(), before.size(), behind.data(), behind.size()});
}

/// Make malloc keep large blocks instead of returning them to the kernel: a newly mapped block of
/// the size of a frame costs a page fault per 4 KiB. All threads share one heap, since otherwise
/// each would keep blocks of its own.
void keep_large_buffers() {
  constexpr int kLargest = 1 << 30, kLargestOfOldGlibc = 32 << 20, kSpare = 64 << 20;
  if (::mallopt(M_MMAP_THRESHOLD, kLargest) == 0) ::mallopt(M_MMAP_THRESHOLD, kLargestOfOldGlibc);
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
  ::mallopt(M_TOP_PAD, kSpare);
  ::mallopt(M_ARENA_MAX, 1);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Named streams of bytes over XLink.";
  m.attr("__version__") = DEPTHAI_VERSION;
  find_error_classes();
  py::register_local_exception_translator(&translate_error);

  py::class_<Transport, std::shared_ptr<Transport>>(m, "Transport")
      .def_static("pair", &make_socket_pair)
      .def_static(
          "connect",
          [](const std::string& address, double timeout_s) {
            return connect_socket(address, to_timeout(timeout_s));
          },
          py::kw_only(), "address"_a, "timeout_s"_a = 10.0, WithoutGil())
      .def_static(
          "from_fd",
          [](int fd) -> std::shared_ptr<Transport> {
            return std::make_shared<SocketTransport>(fd, "fd:" + std::to_string(fd));
          },
          py::kw_only(), "fd"_a)
      .def_property_readonly("description", &Transport::describe)
      .def("close", &Transport::close);

  bind_usb(m);

  py::class_<SocketListener>(m, "Listener")
      .def(py::init<const std::string&>(), py::kw_only(), "address"_a)
      .def_property_readonly("address", &SocketListener::address)
      .def("accept", &accept_connection, py::kw_only(), "timeout_s"_a = py::none())
      .def("close", &SocketListener::close);

  py::class_<Buffer, std::shared_ptr<Buffer>> buffer(m, "Buffer", py::buffer_protocol());
  buffer.attr("HEADROOM") = Buffer::kHeadroom;
  buffer.attr("TAILROOM") = Buffer::kTailroom;
  buffer
      .def(py::init([](std::size_t size) { return std::make_shared<Buffer>(size); }), py::kw_only(),
           "size"_a)
      .def("__len__", &Buffer::size)
      .def_buffer([](Buffer& self) {
        return py::buffer_info(self.data(), static_cast<py::ssize_t>(self.size()));
      });

  py::class_<Packet>(m, "Packet")
      .def_property_readonly("stream", [](const Packet& self) { return *self.stream; })
      .def_readonly("received_ns", &Packet::received_ns)
      .def_readonly("buffer", &Packet::buffer)
      .def_readonly("serial", &Packet::serial)
      .def("__len__", [](const Packet& self) { return self.buffer->size(); });

  py::class_<PacketQueue, std::shared_ptr<PacketQueue>>(m, "PacketQueue")
      .def(py::init<std::size_t, std::size_t>(), py::kw_only(), "capacity"_a = 1024,
           "capacity_per_stream"_a = 30)
      .def(
          "wait",
          [](PacketQueue& self, Seconds timeout_s) {
            bool ready = false;
            wait_interruptibly(timeout_s, [&](Timeout slice, bool) {
              ready = self.wait(slice);
              return ready || self.has_ended();
            });
            return ready;
          },
          py::kw_only(), "timeout_s"_a = py::none())
      .def("take", &PacketQueue::take, py::kw_only(), "most"_a = SIZE_MAX)
      .def(
          "drop_before",
          [](PacketQueue& self, std::int64_t received_ns) {
            return self.drop_before(received_ns).size();
          },
          py::kw_only(), "received_ns"_a)
      .def("fileno", &PacketQueue::fileno)
      .def("dropped", py::overload_cast<>(&PacketQueue::dropped, py::const_))
      .def("close", &PacketQueue::close);

  py::class_<LinkEvent>(m, "LinkEvent")
      .def_property_readonly("kind", &event_kind)
      .def_readonly("stream", &LinkEvent::stream)
      .def_readonly("size", &LinkEvent::size)
      .def_readonly("detail", &LinkEvent::detail)
      .def("__repr__", [](const LinkEvent& self) {
        return std::string("<LinkEvent ") + event_kind(self) + " " + self.stream + self.detail +
               ">";
      });

  const auto timed = [](auto method) {
    return [method](Link& self, Seconds timeout_s) { (self.*method)(to_timeout(timeout_s)); };
  };
  py::class_<Link, std::shared_ptr<Link>>(m, "Link")
      .def(py::init(&make_link), py::kw_only(), "transport"_a, "role"_a, "auto_release"_a = true,
           "max_payload_bytes"_a = LinkOptions{}.max_payload_bytes,
           "max_queued_bytes"_a = LinkOptions{}.max_queued_bytes)
      .def("ping", timed(&Link::ping), py::kw_only(), "timeout_s"_a = 10.0, WithoutGil())
      .def(
          "open_stream",
          [](Link& self, const std::string& name, std::uint32_t window_bytes,
             std::shared_ptr<PacketQueue> queue, Seconds timeout_s) {
            return self.open_stream(name, window_bytes, std::move(queue), to_timeout(timeout_s));
          },
          py::kw_only(), "name"_a, "window_bytes"_a, "queue"_a = py::none(), "timeout_s"_a = 10.0,
          WithoutGil())
      .def(
          "close_stream",
          [](Link& self, const std::string& name, Seconds timeout_s) {
            self.close_stream(name, to_timeout(timeout_s));
          },
          py::kw_only(), "name"_a, "timeout_s"_a = 10.0, WithoutGil())
      .def("write", &write_packet, py::kw_only(), "name"_a, "parts"_a, "timeout_s"_a = 10.0,
           "wait_response"_a = true)
      .def("read", &read_packet, py::kw_only(), "name"_a, "timeout_s"_a = 10.0)
      .def("release", &Link::release, py::kw_only(), "packet"_a, WithoutGil())
      .def("reset", timed(&Link::reset), py::kw_only(), "timeout_s"_a = 2.0, WithoutGil())
      .def("next_event", &next_event, py::kw_only(), "timeout_s"_a = py::none())
      .def("has_stream", &Link::has_stream, py::kw_only(), "name"_a, WithoutGil())
      .def("close", &Link::close, WithoutGil())
      .def_property_readonly("is_up", &Link::is_up)
      .def_property_readonly("failure", &Link::failure)
      .def("counters", &Link::counters, WithoutGil())
      .def("stream_counters", &Link::stream_counters, WithoutGil());

  bind_kernels(m);
  bind_depth_filters(m);
  bind_depth(m);
  bind_codecs(m);

  m.def("has_rcl", &has_rcl);
  m.def(
      "publish_serialized",
      [](std::uintptr_t publisher, Buffer& target, std::size_t size, const py::bytes& prefix,
         const py::bytes& suffix) {
        with_parts(target, size, prefix, suffix,
                   [&](const SerializedParts& parts) { publish_serialized(publisher, parts); });
      },
      py::kw_only(), "publisher"_a, "buffer"_a, "size"_a, "prefix"_a, "suffix"_a = py::bytes());
  m.def(
      "serialized",
      [](Buffer& source, std::size_t size, const py::bytes& prefix, const py::bytes& suffix) {
        return py::bytes(with_parts(source, size, prefix, suffix, &serialized));
      },
      py::kw_only(), "buffer"_a, "size"_a, "prefix"_a, "suffix"_a = py::bytes());
  m.def("keep_large_buffers", &keep_large_buffers);
  m.def("buffer_counters", [] {
    const BufferPool::Statistics pool = BufferPool::shared().statistics();
    return std::map<std::string, std::size_t>{{"in_use", pool.used_blocks},
                                              {"in_use_bytes", pool.used_bytes},
                                              {"allocated", pool.taken - pool.reused}};
  });
}

}  // namespace depthai
