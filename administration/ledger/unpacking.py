"""
A handover package that came as one ZIP file, unpacked into a folder of its own.

    NotUnpacked   the file is no ZIP, or holds what a package does not: other paths, links, too much
"""

import re
import shutil
import stat
import zipfile
from pathlib import Path

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.ledger import archives, package

FILES_MAX = 10_000
BYTES_MAX = 64 * 2**30  # of all files together, unpacked
PIECE = 1 << 20
NAME = re.compile(r"(?:evidence/)?[^/\\\0]{1,200}", re.ASCII | re.DOTALL)


class NotUnpacked(Refused):
    """The ZIP file is not one that can be unpacked here. Nothing of it was kept."""


def unpack(source: Path, folder: Path) -> Path:
    """
    Unpack `source` into `folder`, which must not exist yet, and return it.

    Every path is checked before anything is written, sizes are counted while writing: what the ZIP says of itself is
    not believed. A package inside one folder of the ZIP is taken out of it.
    """
    half = folder.with_name(f".{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    try:
        with archives.reading(), zipfile.ZipFile(source) as archive:
            names = _names(archive)
            (half / package.EVIDENCE).mkdir(parents=True, mode=0o700)
            left = BYTES_MAX
            for entry, name in names:
                left = _write(archive, entry, half / name, left)
        half.rename(folder)
    except archives.Damaged as error:
        raise NotUnpacked(_("The file is not a ZIP that can be read (%(error)s). Make it anew.") % {"error": error}) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def _names(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """Each file with its name in the package; or a refusal of the first that cannot be one."""
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(files) > FILES_MAX:
        raise NotUnpacked(_("The ZIP holds %(n)s files; a package has at most %(most)s.") % {"n": len(files), "most": FILES_MAX})
    if sum(entry.file_size for entry in files) > BYTES_MAX:
        raise NotUnpacked(_("Unpacked, the package would be larger than %(most)s GB.") % {"most": BYTES_MAX // 2**30})
    manifests = [entry.filename for entry in files if entry.filename.rsplit("/", 1)[-1] == package.MANIFEST]
    if len(manifests) != 1:
        raise NotUnpacked(_("The ZIP must hold one package: exactly one %(manifest)s. It holds %(n)s.") % {
            "manifest": package.MANIFEST, "n": len(manifests)})  # fmt: skip
    above = manifests[0].removesuffix(package.MANIFEST)
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in files:
        name = entry.filename.removeprefix(above)
        linked = stat.S_ISLNK(entry.external_attr >> 16)
        last = name.rsplit("/", 1)[-1]
        inside = entry.filename.startswith(above) and NAME.fullmatch(name) and last not in (".", "..") and archives.is_name(last)
        if not inside or linked or entry.flag_bits & 1 or name in found:
            raise NotUnpacked(
                _("“%(name)s” in the ZIP is not a file of a package: only plain files beside the manifest and in evidence/ are taken.")
                % {"name": entry.filename}
            )
        found[name] = entry
    return [(entry, name) for name, entry in found.items()]


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Write one file, counting. What is left of the room."""
    with archive.open(entry) as packed, path.open("xb") as out:
        while piece := packed.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise NotUnpacked(_("Unpacked, the package would be larger than %(most)s GB.") % {"most": BYTES_MAX // 2**30})
            out.write(piece)
    return left
