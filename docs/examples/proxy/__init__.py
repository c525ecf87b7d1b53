"""A SOCKS5 and HTTP proxy on the contract, to read and to run: ``python -m proxy --help``.

From the bottom up:

- ``component``, ``metadata``, ``registry``, ``plugins``, ``logger``: what all the others use
- ``address``, ``access``, ``limits``, ``limited``: who may connect, how often, how fast
- ``tcp``, ``udp``, ``wrapper``, ``stream``, ``relay``: connections, and what is done with them
- ``recorder``, ``observer``, ``metrics``, ``prometheus``: what is kept, told and measured of them
- ``upgrade``, ``tls``, ``tls_settings``: TLS over any connection
- ``handler``, ``connector``, ``socks5``, ``association``, ``http``: what is spoken with clients
  and with proxies
- ``transport``, ``strategies``, ``hop``, ``chain``: the way to a target
- ``names``, ``resolver``, ``rules``, ``probe``: what resolves a name, bypasses a target, finds a
  node alive
- ``ingress``, ``discovery``, ``redis_directory``, ``routes``: which service a host name means, and
  where that is; by which gateway an address is reached
- ``rewrite``, ``gateway``: HTTP to services, and what is changed on the way
- ``service``: the loop that accepts connections
- ``urls``, ``build``, ``__main__``: the program

Comments and docstrings cite the decisions of the contract (D28) that a piece of code keeps.
"""
