"""Right implementations of real kinds of protocols, which every contract of their parts must pass.

Each has faults planted in it, as a person makes them who knows the protocol and not the contract.
"""
