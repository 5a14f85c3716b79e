// Finding, booting, opening and using a board on a made-up bus.

#include <stdexcept>

#include "fake_libusb.hpp"
#include "transport/usb_boot.hpp"

namespace depthai::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFirmwareSizes[] = {1, 512, 1000, (1 << 20) + 512, 3 << 20};
constexpr std::size_t kPartSizes[] = {0, 1, 84, 1000, 1 << 20, (1 << 20) + 1, (5 << 20) + 84};
constexpr const char* kSelectors[] = {"", "1.1", "200:1", "0000000000", "1", "200:2.2.2"};
constexpr std::size_t kLargest = (5 << 20) + 84;

struct GaveUp {};

UsbCaller caller_of(Input& input) {
  UsbCaller caller;
  caller.pause = [&input](std::chrono::milliseconds time) {
    pass(time);
    if (input.byte() == 255) throw GaveUp{};
  };
  caller.who_has = [&input](const UsbBoard&) {
    return input.byte() < 240 ? std::string() : std::string("process 1 (another)");
  };
  return caller;
}

/// Memory of that size; of the exact size if it is small, so that a sanitizer sees each byte
/// outside.
std::uint8_t* memory_of(std::size_t size, Bytes& exact) {
  static Bytes large(kLargest);
  if (size > 4096) return large.data();
  exact.assign(size, 0);
  exact.shrink_to_fit();
  return exact.data();
}

void use(UsbTransport& transport, Input& input) {
  Bytes first, second;
  for (int left = 12; left > 0 && !input.is_empty(); --left) {
    const std::size_t sizes[] = {input.one_of(kPartSizes), input.one_of(kPartSizes)};
    const Part parts[] = {{memory_of(sizes[0], first), sizes[0]},
                          {memory_of(sizes[1], second), sizes[1]}};
    switch (input.below(8)) {
      case 0:
        transport.close();
        break;
      case 1:
        transport.limit_write(std::chrono::milliseconds(input.byte()));
        break;
      case 2:
      case 3:
      case 4:
        transport.write(parts, 1 + input.below(2));
        break;
      default:
        transport.read_exactly(memory_of(sizes[0], first), sizes[0]);
    }
  }
}

void run(Input& input) {
  static const Bytes firmware(kFirmwareSizes[4]);
  const UsbCaller caller = caller_of(input);
  const std::string selector =
      input.byte() < 230 ? input.one_of(kSelectors) : input.text(input.below(20));
  const UsbLimits limits{std::chrono::milliseconds(input.byte() * 8),
                         std::chrono::milliseconds(input.byte() * 16)};
  const Firmware image{firmware.data(), input.one_of(kFirmwareSizes)};
  const auto transport = open_usb(selector, image, limits, caller);
  for (int left = 3; left > 0; --left) {
    try {
      use(*transport, input);
    } catch (const LinkError&) {
    }
  }
}

}  // namespace
}  // namespace depthai::fuzz

/// Bytes: selector, limits, size of the firmware, then the results of libusb in their order.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace depthai;
  fuzz::Input input(data, size);
  fuzz::begin_bus(input);
  try {
    fuzz::run(input);
  } catch (const Error&) {
  } catch (const std::invalid_argument&) {
  } catch (const fuzz::GaveUp&) {
  }
  fuzz::end_bus();
  return 0;
}
