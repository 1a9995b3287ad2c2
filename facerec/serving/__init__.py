"""How either service is put on the wire: server, status, settings, logs.

Nothing here imports a service.
"""
