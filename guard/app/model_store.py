"""Files of a model that is being imported: read with care, written aside, moved to their place at once."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guard.errors import ConfigError, ModelError


def read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of an ordinary file; a pipe or a device is refused, not waited for.

    Raises:
        ConfigError: ``import_file``.
        ModelError: ``model_too_large``.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError("import_file", f"{path} cannot be read ({why}); correct the path") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ConfigError("import_file", f"{path} is no ordinary file; name one")
    with os.fdopen(number, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelError(
            "model_too_large", f"{path} is larger than {limit >> 20} MiB; guard takes none so large"
        )
    return content


@contextmanager
def staged(root: Path | None) -> Iterator[Path]:
    """Give a folder nobody else reads, inside ``root`` or among the temporary files; remove it afterwards.

    Raises:
        ConfigError: ``models_dir``.
    """
    with writing(root or Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix=".import-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a refusal of the file system into guard's own error.

    Raises:
        ConfigError: ``models_dir``.
        OSError: the disk is full; the command line has a plain line for that.
    """
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> Exception:
    if error.errno == errno.ENOSPC:
        return error
    return ConfigError(
        "models_dir",
        f"{folder} cannot be written ({error.strerror}); name another folder or correct its rights",
    )


def write(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, readable by all, and wait until the disk has it."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(number, 0o644)
        os.fsync(number)


def install(folder: Path, target: Path, *, force: bool) -> None:
    """Move the staged folder to its place in one rename; with ``force`` an older one gives way to it.

    Raises:
        ModelError: ``model_exists``; somebody was faster.
    """
    folder.chmod(0o755)
    _sync(folder)
    old = target.with_name(f".old-{folder.name.removeprefix('.import-')}")
    if force and target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError as error:
        if old.exists():
            old.rename(target)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise ModelError(
                "model_exists", f"{target} was made meanwhile; look at it, then --force"
            ) from None
        raise
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
