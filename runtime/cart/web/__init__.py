"""HTTP and WebSocket over a `Cart`: knows neither SQL nor DICOM nor a camera driver."""
