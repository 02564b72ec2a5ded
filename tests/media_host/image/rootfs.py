"""The image's file system without Docker: the Dockerfile's COPY lines over this machine's own libraries, started in namespaces.

What stands in for what: the base image is this machine's /usr and Python (read-only), /venv has links to those packages alone
that pip would install for media_host/requirements.txt. The rest is the image's: paths, user, environment, entry point, process 1,
a root that cannot be written.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import cache_from_source
from pathlib import Path

from tests.media_host.image.contents import ROOT, Stage, copied, in_context, installed

PACKAGES = "/opt/packages"
UID = 10001

START = """
set -e
root=$1; python=$2; packages=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
for one in usr $(for d in bin sbin lib lib64; do [ -d /$d ] && [ ! -L /$d ] && echo $d; done); do
    mount --bind "/$one" "$root/$one"; mount -o remount,bind,ro "$root/$one"
done
mount --bind "$python" "$root$python"; mount -o remount,bind,ro "$root$python"
mount --bind "$packages" "$root/opt/packages"; mount -o remount,bind,ro "$root/opt/packages"
mount --bind "$root.recordings" "$root/recordings"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec=10001:10001 "$root" "$@"
"""


def unshared() -> str:
    """ "" if this process may make namespaces and mounts, else why not."""
    if sys.platform != "linux" or any(
        shutil.which(one) is None for one in ("unshare", "nsenter", "chroot", "mount")
    ):
        return "needs Linux with unshare, nsenter, chroot and mount"
    if os.geteuid() != 0:
        return "needs root: another user id cannot be taken without it"
    tried = subprocess.run(
        [shutil.which("unshare") or "", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True
    )
    return "" if tried.returncode == 0 else f"namespaces are not allowed here: {tried.stderr.strip()}"


def assemble(root: Path, image: list[Stage], rules: list[str]) -> None:
    """Make the file system in `root`, which is made too."""
    for folder in ("usr", "dev", "proc", "tmp", "recordings", "opt/packages", "etc", "venv/bin"):
        (root / folder).mkdir(parents=True)
    recordings = root.with_name(root.name + ".recordings")
    recordings.mkdir()
    os.chown(recordings, UID, UID)
    for name in ("bin", "sbin", "lib", "lib64"):
        if (host := Path("/", name)).is_symlink():
            (root / name).symlink_to(host.readlink())
        elif host.is_dir():
            (root / name).mkdir()
    (root / sys.base_prefix.lstrip("/")).mkdir(parents=True)
    for path, source in copied(image).items():
        if not path.startswith("/venv"):
            _copy(source, root / path.lstrip("/"), rules)
    _packages(root / "venv")


def _copy(source: str, target: Path, rules: list[str]) -> None:
    """Files as they are, with what Python has compiled of them here: the image compiles all of them once."""
    origin = ROOT / source
    for path in [origin] if origin.is_file() else sorted(origin.rglob("*")):
        if path.is_file() and in_context(str(path.relative_to(ROOT)), rules):
            there = target if origin.is_file() else target / path.relative_to(origin)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, there)
            compiled = Path(cache_from_source(path)) if path.suffix == ".py" else path
            if compiled != path and compiled.exists():
                (there.parent / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(compiled, there.parent / "__pycache__" / compiled.name)


def _packages(venv: Path) -> None:
    """What `python -m venv` and `pip install -r media_host/requirements.txt` make."""
    (venv / "bin" / "python").symlink_to(
        Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    )
    (venv / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\ninclude-system-site-packages = false\n")
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    made: set[Path] = set()
    for distribution in installed(ROOT / "media_host" / "requirements.txt").values():
        for path in distribution.files or []:
            if ".." in path.parts:
                continue
            folder = site.joinpath(*path.parts[:-1])
            if folder not in made:
                folder.mkdir(parents=True, exist_ok=True)
                made.add(folder)
            os.symlink(f"{PACKAGES}/{path}", folder / path.name)


def command(root: Path, environment: dict[str, str], folder: str, words: list[str]) -> list[str]:
    """What starts `words` as the container's process 1, as its user, in its environment and folder alone."""
    values = [f"{name}={value}" for name, value in environment.items()]
    packages = sysconfig.get_path("purelib")
    head = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        START,
        "sh",
        str(root),
        sys.base_prefix,
        packages,
    ]
    return [*head, "/usr/bin/env", "-i", "-C", folder, *values, *words]


def inside(pid: int, environment: dict[str, str], folder: str, words: list[str]) -> list[str]:
    """What runs `words` in the container whose process 1 has this id here (`docker exec`)."""
    values = [f"{name}={value}" for name, value in environment.items()]
    head = [
        "nsenter",
        f"--target={pid}",
        "--mount",
        "--pid",
        "--root",
        "--wd",
        f"--setuid={UID}",
        f"--setgid={UID}",
    ]
    return [*head, "/usr/bin/env", "-i", "-C", folder, *values, *words]
