"""What computes a checkpoint's vectors: torch, ONNX Runtime, OpenVINO. Each is imported when it is needed."""
