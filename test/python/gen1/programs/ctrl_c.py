"""Waits for a packet that never arrives."""

import depthai

device = depthai.Device("", False)
p = device.create_pipeline({"streams": ["jpegout"]})
print("waiting", flush=True)
p.get_available_data_packets(blocking=True)
