"""Limits that callers share fairly: the requests of one caller never keep another from being served.

Callers are told apart by `middleware.call.share_key`: the name of a key or certificate, or if no keys are
required the host's address. The limits differ in what they count and in what happens to a request beyond
them:

- FairByteBudget limits the bytes of messages. The message is refused, or waits up to a given time; callers
  are served in rotation. For memory.
- FairQueueSemaphore limits the messages being read or counted, and those of each caller. The message waits
  in a queue of its caller, whose length is limited; callers are served in rotation. For steps of
  milliseconds, for which estimating the wait would cost more than the wait.
- FairEvictingSet limits streams and slow messages that need no key. The oldest of the host with the most of
  them is evicted. For callers that cannot be asked to wait or to retry, such as health checks.
- FairSemaphore (`matcher_service.admission`) limits connections, searches and calls of the encoder. The
  request waits up to a given time, and is refused immediately if it would wait longer; the next permit goes
  to the caller that holds fewest, then to the one served longest ago. For work of which callers should hear
  early that it will not be done. Its refusals are the matcher's error and metrics, so it is there.
- FairInFlightLimit (`encoder_service.pipeline.in_flight_limit`) limits images in flight. The image is
  refused immediately. For the memory of accepted work.
- FairThreadPool (`encoder_service.pipeline.thread_pool`) limits the work on threads. The work waits, as
  long as it takes: a FairInFlightLimit limits how much can wait. Callers are served in rotation. For work
  that holds a thread. This and FairInFlightLimit also divide a caller's share among the end callers on whose
  behalf it calls (`middleware.call.on_behalf_of`).

All are used on one event loop, without locks.
"""
