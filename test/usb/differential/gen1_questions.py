"""Expressions that both Gen1 modules evaluate; each names a row of the table."""

from __future__ import annotations

_ENUMERATION = (
    "int({})",
    "hash({})",
    "{}.name",
    "repr({})",
    "str({})",
    "{} == 1",
    "{} == depthai.TensorInfo.Dimension.W",
    "pickle.loads(pickle.dumps({})) == {}",
    "[0, 1, 2, 3][{}]",
)
_MACRO, _LEFT = "depthai.AutofocusMode.AF_MODE_MACRO", "depthai.CameraControl.CamId.LEFT"
_CLASSES = (
    *("CNNPipeline", "Pipeline", "NNetPacket", "DataPacket", "Tracklet", "TensorInfo"),
    *("Detections", "Detection", "CameraControl", "FrameMetadata", "ObjectTracker"),
    *("NNetPacketList", "DataPacketList"),
)

#: Evaluated with the module only.
MODULE = (
    "depthai.__version__",
    *(text.replace("{}", member) for member in (_MACRO, _LEFT) for text in _ENUMERATION),
    "depthai.AutofocusMode(1)",
    "depthai.AutofocusMode(77)",
    "depthai.AutofocusMode(77).name",
    "depthai.AutofocusMode('AF_MODE_AUTO')",
    "depthai.AutofocusMode(1.0)",
    "list(depthai.AutofocusMode)",
    "isinstance(depthai.AutofocusMode.AF_MODE_AUTO, int)",
    "sorted(name for name in vars(depthai.AutofocusMode) if name.startswith('AF_'))",
    "list(depthai.AutofocusMode.__members__)",
    "setattr(depthai.AutofocusMode.AF_MODE_AUTO, 'x', 1)",
    "depthai.TensorInfo.Dimension.C",
    "getattr(depthai.TensorInfo.Dimension, 'C ')",
    "depthai.TensorInfo.Dimension.CHANNEL == depthai.TensorInfo.Dimension(3)",
    "depthai.TensorInfo.Dimension.BATCH",
    "depthai.TensorInfo.Dimension.B == depthai.TensorInfo.Dimension.N",
    "depthai.TensorInfo.DataType()",
    *(f"depthai.{name}()" for name in _CLASSES if name != "FrameMetadata"),
    *(f"depthai.{name}.__module__" for name in _CLASSES),
    "depthai.FrameMetadata(1)",
    "setattr(depthai.FrameMetadata(), 'x', 1)",
    "pickle.dumps(depthai.FrameMetadata())",
    "depthai.FrameMetadata() == depthai.FrameMetadata()",
    "len(depthai.NNetPacketList())",
    "list(depthai.DataPacketList())",
    "len(depthai.ObjectTracker())",
    "depthai.ObjectTracker().getNrTracklets()",
    "depthai.ObjectTracker().getTracklet('0')",
    "depthai.Device('')",
    "depthai.Device(None, False)",
    "depthai.Device('', [])",
    "depthai.Device('', False, 1)",
    "depthai.Device(usb_device='')",
)

#: Evaluated with a missing device.
ABSENT = (
    "bool(device)",
    "device.create_pipeline({'streams': ['left']})",
    "device.get_available_streams()",
    "device.is_rgb_connected()",
    "device.request_jpeg()",
    "device.get_pipeline()",
)

#: Evaluated with a device before its first pipeline.
OPENED = (
    "bool(device)",
    "device.get_available_streams()",
    "device.get_nn_to_depth_bbox_mapping()",
    "device.get_left_intrinsic()",
    "device.get_right_intrinsic()",
    "device.get_left_homography()",
    "device.get_right_homography()",
    "device.get_rotation()",
    "device.get_translation()",
    "device.is_eeprom_loaded()",
    "device.is_usb3()",
    "device.get_mx_id()",
    "device.is_rgb_connected()",
    "device.is_left_connected()",
    "device.is_right_connected()",
    "device.is_device_changed()",
    "device.reset_device_changed()",
    "device.is_device_changed() or device.is_device_changed()",
    "device.get_pipeline()",
    "device.request_jpeg()",
    "device.request_af_trigger()",
    "device.request_af_mode(depthai.AutofocusMode.AF_MODE_AUTO)",
    "device.send_disparity_confidence_threshold(200)",
    "device.create_pipeline([1])",
    "device.create_pipeline(None)",
    "device.create_pipeline(configuration={})",
    "setattr(device, 'x', 1)",
    "pickle.dumps(device)",
)

#: Each sends one packet to the device, or none; the table shows its bytes.
_CONTROL = (
    "device.send_camera_control("
    "depthai.CameraControl.CamId.{}, depthai.CameraControl.Command.{}, {})"
)
COMMANDS = (
    "device.request_jpeg()",
    "device.request_af_trigger()",
    *(
        f"device.request_af_mode(depthai.AutofocusMode.{name})"
        for name in (
            "AF_MODE_AUTO",
            "AF_MODE_MACRO",
            "AF_MODE_CONTINUOUS_VIDEO",
            "AF_MODE_CONTINUOUS_PICTURE",
            "AF_MODE_EDOF",
        )
    ),
    "device.send_disparity_confidence_threshold(0)",
    "device.send_disparity_confidence_threshold(255)",
    "device.send_disparity_confidence_threshold(True)",
    "device.send_disparity_confidence_threshold(np.uint8(7))",
    *(
        _CONTROL.format(camera, command, repr(words).replace("ä", "\\u00e4"))
        for camera, command, words in (
            ("RGB", "MOVE_LENS", "120"),
            ("LEFT", "AE_MANUAL", "20000 400 33333"),
            ("RIGHT", "EXPOSURE_COMPENSATION", "-2"),
            ("RGB", "AE_AUTO", ""),
            ("RGB", "AE_REGION", "10 20 300 400 1"),
            ("RGB", "SATURATION", " +2 "),
            ("RGB", "AE_MANUAL", "1 " * 26),
            ("RGB", "SCENE_MODES", "ä"),
            ("RGB", "SCENE_MODES", "text"),
        )
    ),
    "device.request_af_mode(1)",
    "device.request_af_mode()",
    "device.send_disparity_confidence_threshold(256)",
    "device.send_disparity_confidence_threshold(-1)",
    "device.send_disparity_confidence_threshold(3.0)",
    "device.send_disparity_confidence_threshold(None)",
    "device.send_camera_control(0, depthai.CameraControl.Command.AE_AUTO, '')",
    _CONTROL.format("RGB", "AE_AUTO", "None"),
    _CONTROL.format("RGB", "AE_AUTO", "").replace(", )", ")"),
    (
        "device.send_camera_control(camera_id=depthai.CameraControl.CamId.RGB,"
        " command_id=depthai.CameraControl.Command.FOCUS_TRIGGER, extra_args='')"
    ),
)


def frame_questions(*streams: str) -> tuple[str, ...]:
    """Questions for packets of images, and for others with an image's metadata."""
    texts = (
        "type({}).__name__, {}.stream_name",
        "{}.getData()",
        "{}.size() == {}.getData().nbytes",
        "{}.getMetadata()",
        "10 < {}.getMetadata().getTimestamp() < 200",
        "rising(stamps['{}'])",
    )
    return tuple(text.replace("{}", stream) for stream in streams for text in texts)


def bytes_questions(*streams: str) -> tuple[str, ...]:
    """Questions for packets whose size depends on an encoder."""
    texts = (
        "type({}).__name__, {}.stream_name",
        "str({}.getData().dtype), {}.getData().ndim",
        "{}.size() == {}.getData().nbytes",
        "{}.getMetadata()",
    )
    return tuple(text.replace("{}", stream) for stream in streams for text in texts)


ARRAYS = (
    "left.getData().flags.owndata",
    "left.getData().flags.writeable",
    "left.getData().flags.c_contiguous",
    "left.getData() is left.getData()",
    "np.shares_memory(left.getData(), left.getData())",
    "previewout.getData().strides",
)
_INFO = "metaout.getOutputLayersInfo()[0]"
RESULTS = (
    "type(metaout).__name__",
    "metaout.getMetadata()",
    "metaout.getTensorsSize()",
    "metaout.getInputLayersInfo()",
    "metaout.getOutputLayersInfo()",
    "str(metaout.getInputLayersInfo()[0])",
    "str(metaout.getOutputLayersInfo()[-1])",
    _INFO + ".get_dimension(depthai.TensorInfo.Dimension.WIDTH)",
    _INFO + ".get_dimension(0)",
    _INFO + ".get_dict()['data_type']",
    "metaout.getDetectedObjects()",
    "metaout.getOutputsList()",
    "metaout.getOutputsDict()",
    "metaout.get_tensor(0)",
    "metaout.get_tensor(np.int64(0))",
    "metaout.get_tensor(False)",
    "metaout.get_tensor(-1)",
    "metaout.get_tensor(0.0)",
    "metaout.get_tensor(None)",
    "metaout.get_tensor('nope')",
    "metaout[0]",
    "metaout['detection_out']",
    "metaout['nope']",
)
DETECTIONS = (
    "apart(stamps['left'], stamps['right'])",
    "apart(stamps['left'], stamps['depth'])",
    "apart(stamps['previewout'], stamps['metaout'])",
    "metaout.getDetectedObjects().size, len(metaout.getDetectedObjects())",
    "metaout.getDetectedObjects()[0]",
    "metaout.getDetectedObjects()[0] == metaout.getDetectedObjects()[0]",
    "[type(value) for value in metaout.getDetectedObjects()[0].get_dict().values()]",
    "json.dumps(metaout.getDetectedObjects()[0].get_dict())",
    "list(metaout.getDetectedObjects())",
    "isinstance(metaout.getDetectedObjects(), depthai.Detections)",
    "object_tracker.getObjectTracker()",
    "len(object_tracker.getObjectTracker())",
    "jpegout.getData()[:2].tolist(), jpegout.getData()[-2:].tolist()",
    "str(meta_d2h.getData().dtype), meta_d2h.getData().ndim",
    "meta_d2h.getMetadata()",
    "sorted(json.loads(meta_d2h.getDataAsStr())['sensors']['temperature'])",
    "setattr(left, 'stream_name', 'x')",
    "setattr(left, 'x', 1)",
    "pickle.dumps(left)",
)
RUNNING = (
    "device.get_nn_to_depth_bbox_mapping()",
    "device.get_left_intrinsic()",
    "device.get_right_homography()",
    "device.get_pipeline() is pipeline",
    "device.is_device_changed()",
    "type(pipeline.get_available_data_packets())",
    "type(pipeline.get_available_nnet_and_data_packets())",
    "pipeline.get_available_data_packets(blocking=False) is None",
    "pipeline.get_available_data_packets(False) is None",
    "pipeline.get_available_data_packets(wait=False)",
)
#: Evaluated after the device was released and the queued packets were taken.
LEFT = (
    "forget('device')",
    "(pipeline.get_available_data_packets(), pipeline.get_available_data_packets())[1]",
    "pipeline.get_available_nnet_and_data_packets()",
    "left.getData()",
    "left.getMetadata()",
    "metaout.getDetectedObjects()",
)
