"""What a process can give up for good, by calls to the Linux kernel: files, network, other processes, privileges.

- Capabilities are dropped, and no program can give any back.
- Landlock (https://docs.kernel.org/userspace-api/landlock.html): only the interpreter's own files can be read, and no
  file can be written, made or deleted.
- A seccomp filter refuses the system calls that make sockets, start or touch other processes, or change the system.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL, _EPERM, _ENOSYS = 9, 1, 38

# Landlock: system calls (the same number everywhere), and rights by the version of its interface that brought them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 0x1FFF, 2: 0x2000, 3: 0x4000, 5: 0x8000}
_NET_RIGHTS = {4: 0x3}  # binding and connecting TCP
_SCOPES = {6: 0x3}  # abstract sockets and signals of processes outside

# Seccomp: the numbers of refused system calls on x86-64 and on 64-bit Arm, -1 where there is none.
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_REFUSED = {
    # network, and what else reaches other processes
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other processes
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "setsid": (112, 157),
    "setpgid": (109, 154), "setpriority": (141, 140), "sched_setaffinity": (203, 122), "ioprio_set": (251, 30),
    "execve": (59, 221), "execveat": (322, 281),
    # what Landlock, or an old one, leaves alone: the metadata of files, and their length
    "truncate": (76, 45),
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1),
    "futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "flock": (73, 32), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    # the system
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, -1), "ioperm": (173, -1),
    "personality": (135, 92),
}  # fmt: skip
_FORKS = {"fork": (57, -1), "vfork": (58, -1)}
_CLONE, _CLONE3, _CLONE_THREAD = (56, 220), 435, 0x10000
_PRCTL, _PRLIMIT = (157, 167), (302, 261)
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32_BIT = 0x40000000


def drop_capabilities() -> bool:
    """Whether this process, and all that come from it, now have no privilege that its user would not have."""
    header = struct.pack("=Ii", 0x20080522, 0)
    nothing = bytes(24)
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _system_call("capset", header, nothing)


def close_files(readable: Iterable[str], usable: Iterable[str]) -> bool:
    """Whether Landlock holds: from now on `readable` (files and folders) can be read, `usable` (devices) written too,
    and no other file can be opened, made or deleted."""
    version = _libc().syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    files, net, scopes = (_rights(table, version) for table in (_FILE_RIGHTS, _NET_RIGHTS, _SCOPES))
    attributes = struct.pack("=QQQ", files, net, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _libc().syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    granted = [(path, _READ_FILE | _READ_DIR) for path in readable]
    granted += [(path, _READ_FILE | _WRITE_FILE) for path in usable]
    held = [_add_rule(ruleset, path, rights) for path, rights in granted]
    restricted = all(held) and _libc().syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return restricted


def refuse_system_calls(*, forking: bool) -> bool:
    """Whether a seccomp filter holds. `forking`: processes may be forked (never is a program started)."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    column, audit = architecture
    program = _filter(column, audit, forking)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    described = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    return _prctl(_PR_SET_SECCOMP, 2, described)


def limit(cpu_s: int, memory_bytes: int) -> None:
    """Limits of this process and those that come from it. None may make a file longer."""
    for name, soft, hard in (
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),  # a signal that can be caught, then one that cannot
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(name, (soft, hard))


def refuse_processes() -> None:
    """No process or thread may be started, where the system counts those of this user. It does not count root's."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def end_with_parent() -> None:
    """This process is killed when the one that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def _filter(column: int, audit: int, forking: bool) -> list[tuple[int, int, int, int]]:
    """The program of the filter: (code, jump if true, jump if false, operand) each."""
    refused = _REFUSED if forking else _REFUSED | _FORKS
    numbers = sorted({numbers[column] for numbers in refused.values()} - {-1})
    refusal = (_RETURN, 0, 0, _ERRNO | _EPERM)
    program = [
        (_LOAD, 0, 0, 4),  # the architecture: on another one, numbers mean other calls
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
    ]
    if column == 0:
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for number in numbers:
        program += [(_EQUAL, 0, 1, number), refusal]
    # The limits of this process (number 0) may be looked at; those of others are none of its business.
    program += [(_EQUAL, 0, 4, _PRLIMIT[column]), (_LOAD, 0, 0, 16), (_EQUAL, 1, 0, 0), refusal, (_LOAD, 0, 0, 0)]
    if not forking:
        # That it ends with its parent is not to be taken back.
        program += [(_EQUAL, 0, 4, _PRCTL[column]), (_LOAD, 0, 0, 16), (_EQUAL, 0, 1, _PR_SET_PDEATHSIG), refusal]
        program += [(_LOAD, 0, 0, 0)]
        # Threads may be begun, by the older call, whose flags a filter can see: the newer one "is not there".
        program += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
        program += [(_EQUAL, 0, 3, _CLONE[column]), (_LOAD, 0, 0, 16), (_ANY_BIT, 1, 0, _CLONE_THREAD), refusal]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _rights(by_version: dict[int, int], version: int) -> int:
    return sum(rights for since, rights in by_version.items() if since <= version)


def _add_rule(ruleset: int, path: str, rights: int) -> bool:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True  # what is not there needs no right
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - of the interpreter's modules, the fewest
            rights &= ~_READ_DIR
        rule = struct.pack("=Qi", rights, descriptor)
        return bool(_libc().syscall(_ADD_RULE, ruleset, 1, rule, 0) == 0)
    finally:
        os.close(descriptor)


def _prctl(option: int, value: int, pointer: bytes | None = None) -> bool:
    nothing = ctypes.c_ulong(0)
    third = nothing if pointer is None else pointer
    return bool(_libc().prctl(option, ctypes.c_ulong(value), third, nothing, nothing) == 0)


def _system_call(name: str, *arguments: bytes) -> bool:
    return bool(getattr(_libc(), name)(*arguments) == 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
