"""DICOM: the exam's objects, the worklist, the outbox that sends, and the export that names nobody."""
