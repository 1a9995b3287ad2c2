"""ONNX Runtime, imported with its telemetry disabled; all other modules import it from here.

By default it writes a device id and a database of events to the user's cache when it is imported, and sends
them to its vendor. It reads the variable once, at its import, and treats `0`, `false` and an empty value as
consent. The variable is always overwritten, as the services connect only to addresses in their settings. A
process that imports ONNX Runtime before this module has to set the variable itself.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
