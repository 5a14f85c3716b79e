"""Keeps a preview and the disparity of its exposure if the preview is there first."""

import depthai

device = depthai.Device("", False)
p = device.create_pipeline(
    config={
        "streams": ["previewout", "disparity_color"],
        "app": {"sync_sequence_numbers": True},
    }
)
previews, kept, end = {}, [], 0
while len(kept) < 5:
    for packet in p.get_available_data_packets(True):
        number = packet.getMetadata().getSequenceNum()
        if packet.stream_name == "previewout":
            previews[number] = packet.getData()
        elif number in previews:
            kept.append((previews.pop(number), packet.getData()))
        end = max(end, number)
    assert end < 300, (len(kept), end)
