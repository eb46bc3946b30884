"""Answers as DICOM, for an archive or a viewer: structured reports, and secondary captures with the heat map."""
