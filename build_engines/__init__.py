"""The build side: checkpoint to graphs to plans to bundle. Torch and onnx live only here."""
