"""ONNX Runtime, imported with its telemetry off; everything else takes it from here.

Left to itself it writes a device id and a database of events to the user's cache as it is imported, and sends
them to its vendor. It looks at the variable once, when it is loaded, and takes `0`, `false` and an empty
value for consent. The variable is set whatever it was: the services call nobody but whom their
settings name. A process that imports ONNX Runtime before this module has to set the variable itself.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
