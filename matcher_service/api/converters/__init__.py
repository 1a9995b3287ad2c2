"""Messages to the domain's dataclasses, checked, and back: the only place that reads or writes either."""
