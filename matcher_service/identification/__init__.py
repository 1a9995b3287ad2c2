"""Whether two faces match and who a face is: search by index, exact scans, recall, failed tries."""
