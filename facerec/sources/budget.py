"""What reading one source may take: bounded by the bytes of its file, so that a small file costs little."""

from typing import Final

from facerec.sources.errors import SourceRefused

MAX_LOADED_FILE_BYTES: Final = 8 * 2**30
"""Of a file that is read as a whole; CSV and JSON lines are read a line at a time and may be of any size."""

MAX_FACE_BYTES: Final = 2**20
"""Of one face in CSV or JSON lines; 128 numbers take about 3,000."""

MAX_DIRECTORY_BYTES: Final = 2**20
"""Of the list of arrays in an npz; eight arrays take about 600."""

BASE_BYTES: Final = 64 * 2**20
BYTES_BUILT_PER_BYTE: Final = 8
"""Lists of float, the largest of what is real, take 32 bytes a number in memory and 9 in a pickle."""

BASE_STEPS: Final = 2**20
BYTES_PER_STEP: Final = 2
"""The shortest numbers in a pickle take two bytes an operation, and others nine or more."""

STEPS_PER_ROW: Final = 64
"""So a row takes 128 bytes of the file: a byte a number, which half floats take twice."""

NO_MEMORY: Final = (
    "there is not enough memory to read it as a whole: write it as CSV or JSON lines, or in parts"
)


class Budget:
    """The bytes that may be built in memory and the steps that may be taken for a file of `file_bytes`.

    A step is an operation of a pickle; a row counts as 64. Raises SourceRefused where the file is too large
    to be read as a whole.
    """

    def __init__(self, file_bytes: int) -> None:
        if file_bytes > MAX_LOADED_FILE_BYTES:
            raise SourceRefused(
                f"it has more than {MAX_LOADED_FILE_BYTES >> 30} GiB, and this format is read as a whole: "
                "write it as CSV or JSON lines, which are read line by line, or in parts"
            )
        self.file_bytes = file_bytes
        self._bytes_left = BASE_BYTES + BYTES_BUILT_PER_BYTE * file_bytes
        self._steps_left = BASE_STEPS + file_bytes // BYTES_PER_STEP

    def spend(self, *, built_bytes: int = 0, steps: int = 0) -> None:
        """Take from what is left. Raises SourceRefused where that is not enough."""
        self._bytes_left -= built_bytes
        self._steps_left -= steps
        if self._bytes_left < 0:
            raise SourceRefused(
                f"its {self.file_bytes:,} bytes would fill more than {BYTES_BUILT_PER_BYTE} times as much "
                "memory, which encodings do not: write it anew from the encodings themselves"
            )
        if self._steps_left < 0:
            raise SourceRefused(
                f"its {self.file_bytes:,} bytes take more steps than as many of encodings do: write it anew "
                "from the encodings themselves, each face once"
            )

    def spend_rows(self, count: int) -> None:
        """Take the steps of `count` rows. Raises SourceRefused where the file can't hold as many."""
        self.spend(steps=count * STEPS_PER_ROW)
