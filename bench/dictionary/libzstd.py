"""Trains dictionaries, and compresses events with libzstd: `libzstd.py FOLDER`.

Runs in the environment of the clients, which has zstandard. In the folder are events, a line each:
`training`, `measured` and any others; each dictionary is written beside them. The answer is JSON, a
line for each file of events, level and dictionary.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import zstandard

SIZES = (16, 64, 112)
LEVELS = (1, 3, 9)


def main() -> None:
    """Train and measure."""
    folder = Path(sys.argv[1])
    training = lines(folder / "training")
    dictionaries: Dict[str, Optional[zstandard.ZstdCompressionDict]] = {"": None}
    for size in SIZES:
        name = f"{size} KB"
        dictionaries[name] = zstandard.train_dictionary(size * 1024, training, level=3)
        (folder / name).write_bytes(dictionaries[name].as_bytes())
    for what in sys.argv[2:]:
        events = lines(folder / what)
        for level in LEVELS:
            for name, dictionary in dictionaries.items():
                told = measure(events, level, dictionary)
                print(json.dumps({"events": what, "dictionary": name, **told}), flush=True)


def lines(file: Path) -> List[bytes]:
    """Read a file's lines."""
    return file.read_bytes().rstrip(b"\n").split(b"\n")


def measure(
    events: List[bytes], level: int, dictionary: Optional[zstandard.ZstdCompressionDict]
) -> Dict[str, Any]:
    """Compress and decompress each; the second round counts."""
    if dictionary is not None:
        dictionary.precompute_compress(level=level)
    compressor = zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_checksum=True)
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
    for _ in range(2):
        begin = time.process_time()
        frames = [compressor.compress(event) for event in events]
        compressed = time.process_time()
        back = [decompressor.decompress(frame) for frame in frames]
        decompressed = time.process_time()
        if back != events:
            raise ValueError("events came back changed")
    return {
        "level": str(level),
        "sizes": [len(frame) for frame in frames],
        "compress": 1e6 * (compressed - begin) / len(events),
        "decompress": 1e6 * (decompressed - compressed) / len(events),
    }


if __name__ == "__main__":
    main()
