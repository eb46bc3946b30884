"""JPEG streams that no library in the tests writes: lossless, and of 12 bits."""

import struct

import numpy as np

_CODE_BITS = 5  # of each of the 17 sizes of a difference, whose code is the size itself


def lossless_jpeg(levels: np.ndarray, bits: int) -> bytes:
    """Return uint (height, width) as a lossless JPEG of first-order prediction (ITU-T T.81, annex H)."""
    values = levels.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    differences = (values - predicted + 2**15) % 2**16 - 2**15
    scan = "".join(_coded(int(difference)) for difference in differences.ravel())
    return _stream(0xC3, levels.shape, bits, b"\x00", (1, 0, 0), scan)


def extended_jpeg(blocks: np.ndarray) -> bytes:
    """Return 12-bit levels of blocks, each of 8 x 8 pixels of one value, as a sequential DCT JPEG."""
    means = blocks.astype(np.int64).ravel() - 2048  # the DC coefficient is 8 times it, and so is the quantisation
    scan = "".join(f"{_coded(int(step))}0" for step in np.diff(means, prepend=0))  # 0 ends the block
    height, width = blocks.shape
    tables = _segment(0xDB, b"\x00" + bytes([8] * 64)) + _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\x00")
    return _stream(0xC1, (8 * height, 8 * width), 12, b"\x00", (0, 63, 0), scan, tables)


def _coded(difference: int) -> str:
    size = abs(difference).bit_length()
    if size == 0 or difference == -(2**15):
        return f"{16 if difference else 0:0{_CODE_BITS}b}"
    extra = difference if difference > 0 else difference + 2**size - 1
    return f"{size:0{_CODE_BITS}b}{extra:0{size}b}"


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _stream(
    frame: int, shape: tuple[int, int], bits: int, table: bytes, scan_options: tuple, scan: str, tables: bytes = b""
) -> bytes:
    sizes = _segment(0xC4, b"\x00" + bytes([0] * 4 + [17] + [0] * 11) + bytes(range(17)))
    header = _segment(frame, struct.pack(">BHHB", bits, *shape, 1) + b"\x01\x11" + table)
    start = _segment(0xDA, b"\x01\x01\x00" + bytes(scan_options))
    scan += "1" * (-len(scan) % 8)
    data = int(scan, 2).to_bytes(len(scan) // 8, "big").replace(b"\xff", b"\xff\x00")
    return b"\xff\xd8" + tables + sizes + header + start + data + b"\xff\xd9"
