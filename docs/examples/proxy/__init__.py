"""A SOCKS5 and HTTP proxy on the contract, to read and to run: ``python -m proxy --help``.

The README beside this package tells how to read it. Comments and docstrings cite the decisions of
the contract (D28) that a piece of code keeps.
"""
