"""Pairs preview and depth by their number, whichever comes first; each stream stays in order."""

import depthai

device = depthai.Device("", False)
p = device.create_pipeline(
    config={"streams": ["previewout", "depth"], "app": {"sync_sequence_numbers": True}}
)
waiting, first, last = {}, set(), {}
while len(first) < 2:
    for packet in p.get_available_data_packets(True):
        name, number = packet.stream_name, packet.getMetadata().getSequenceNum()
        assert number > last.get(name, -1), (name, number, last)
        assert number < 300, first
        last[name] = number
        if number in waiting:
            first.add(waiting.pop(number))
        else:
            waiting[number] = name
