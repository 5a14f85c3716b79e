"""Shows each disparity over the newest preview, and counts the exposures in which they agree."""

import depthai

assert depthai.init_device("./depthai.cmd")
p = depthai.create_pipeline(
    {
        "streams": [{"name": "previewout"}, {"name": "disparity_color"}],
        "app": {"sync_sequence_numbers": True},
    }
)
newest, same, older = None, 0, 0
while not (same and older):
    for packet in p.get_available_data_packets(True):
        number = packet.getMetadata().getSequenceNum()
        assert number < 300, (same, older)
        if packet.stream_name == "previewout":
            newest = number
        elif newest is not None:
            same += newest == number
            older += newest < number
