"""Raw tensors with their types and shapes."""

import sys

import depthai
import numpy as np

device = depthai.Device("", False)
p = device.create_pipeline(
    {"streams": ["metaout"], "ai": {"blob_file": sys.argv[1] + "/virtual_ssd.blob"}}
)
pkt = p.get_available_nnet_and_data_packets(blocking=True)[0][0]
tensor = pkt.get_tensor(0)
assert tensor.shape == (1, 1, 100, 7)
assert tensor.dtype == np.float16
assert tensor.flags.owndata and tensor.flags.writeable and tensor.flags.c_contiguous
assert np.array_equal(pkt["detection_out"], tensor)
assert np.array_equal(pkt[np.int64(0)], tensor)
assert pkt.get_tensor("nope") is None
for wrong in (-1, 1.0, None):
    try:
        pkt.get_tensor(wrong)
    except TypeError:
        continue
    raise AssertionError(wrong)
try:
    pkt.get_tensor(1)
except IndexError:
    pass
else:
    raise AssertionError(1)
assert len(list(pkt)) == 1
assert list(pkt.getOutputsDict()) == sorted(pkt.getOutputsDict()) == ["detection_out"]
assert pkt.getTensorsSize() == len(pkt.getOutputsList()) == 1

info = pkt.getOutputLayersInfo()[0]
Dimension = depthai.TensorInfo.Dimension
assert info.get_dimension(Dimension.WIDTH) == info.get_dimension(Dimension.W) == 7
assert info.dimensions == [1, 1, 100, 7]
assert info.strides == [1400, 1400, 14, 2]
assert str(info.data_type) == "float16"
assert info.name == "detection_out" and info.index == 0 and info.offset == 0
assert info.element_size == 2
assert info.order == [Dimension.N, Dimension.C, Dimension.H, Dimension.W]
assert list(info.get_dict()) == (
    "name order dimensions strides data_type offset element_size index".split()
)
assert "Channel : 3, Height : 300, Width : 300" in str(pkt.getInputLayersInfo()[0])
try:
    pkt.getDetectedObjects()
except RuntimeError:
    pass
else:
    raise AssertionError("the output is raw")
