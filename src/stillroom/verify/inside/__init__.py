"""What runs inside the sandbox, where the code of answers is run. Standard library only, and nothing of stillroom.

`server` is started once by `stillroom.verify.sandbox`. For each answer it forks a process for the tests, which forks
one for the answer before it reads what the tests are: the answer's process never holds a test, and has no way out but
the messages of `link`. There is no file system to write to, no network, and no starting of other processes (`walls`).
"""
