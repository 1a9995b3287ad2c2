"""The matcher's domain: people, faces, collections, decisions and errors; without protobuf and driver."""
