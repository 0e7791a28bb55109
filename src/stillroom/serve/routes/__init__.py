"""The five APIs that a gateway passes on, one file each: what is asked, what is answered, and their errors.

Nothing here talks to anybody: bytes and JSON in, facts out. No request is changed but where that is said.
"""
