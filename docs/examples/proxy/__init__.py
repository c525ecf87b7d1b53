"""A SOCKS5 and HTTP proxy on the contract, to read and to run: ``python -m proxy --help``.

From the bottom up:

- ``component``, ``metadata``, ``registry``, ``plugins``, ``logger``: what all the others use
- ``address``, ``access``, ``limits``, ``limited``: who may connect, how often, how fast
- ``tcp``, ``udp``, ``wrapper``, ``stream``, ``relay``: connections, and what is done with them
- ``upgrade``, ``tls``, ``tls_settings``: TLS over any of them
- ``handler``, ``connector``, ``socks5``, ``association``, ``http``: what is spoken with clients
  and with proxies
- ``transport``, ``strategies``, ``hop``, ``chain``: the way to a target
- ``names``, ``resolver``, ``rules``, ``probe``: what resolves a name, bypasses a target, finds a
  node alive
- ``service``: the loop that accepts connections
- ``urls``, ``build``, ``__main__``: the program

Comments and docstrings cite the decisions of the contract (D28) that a piece of code keeps.
"""
