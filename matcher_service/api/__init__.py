"""The gRPC servicers: check requests, call the domain, build responses; no decisions are made here."""
