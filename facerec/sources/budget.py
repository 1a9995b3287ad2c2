"""Limits on the memory and work of reading a source, in proportion to the size of its file."""

from typing import Final

from facerec.sources.errors import SourceRefused

MAX_LOADED_FILE_BYTES: Final = 8 * 2**30
"""The largest file of a format that is read as a whole. CSV and JSON lines may be larger."""

MAX_FACE_BYTES: Final = 2**20
"""The largest face in CSV or JSON lines; 128 numbers take about 3,000 bytes."""

MAX_DIRECTORY_BYTES: Final = 2**20
"""The largest list of arrays in an npz; eight arrays take about 600 bytes."""

BASE_BYTES: Final = 64 * 2**20
BYTES_BUILT_PER_BYTE: Final = 8
"""A list of floats, the largest of real files, takes 32 bytes a number in memory and 9 in a pickle."""

BASE_STEPS: Final = 2**20
BYTES_PER_STEP: Final = 2
"""The shortest numbers in a pickle take two bytes an operation, others nine or more."""

STEPS_PER_ROW: Final = 64
"""With BYTES_PER_STEP a row needs 128 bytes of file, one for each number; half floats have two."""

NO_MEMORY: Final = (
    "there is not enough memory to read it as a whole: write it as CSV or JSON lines, or in parts"
)


class Budget:
    """A budget of memory, in bytes, and of steps for reading a file of `file_bytes` bytes.

    A step is an operation of a pickle; a row counts as 64 steps. Raises SourceRefused where the file is too
    large to be read as a whole.
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
        """Spend memory and steps. Raises SourceRefused where the budget is exceeded."""
        self._bytes_left -= built_bytes
        self._steps_left -= steps
        if self._bytes_left < 0:
            raise SourceRefused(
                f"its {self.file_bytes:,} bytes would fill more than {BYTES_BUILT_PER_BYTE} times as much "
                "memory, which encodings do not: write it again from the encodings themselves"
            )
        if self._steps_left < 0:
            raise SourceRefused(
                f"its {self.file_bytes:,} bytes take more steps to read than that many bytes of encodings: "
                "write it again from the encodings themselves, each face once"
            )

    def spend_rows(self, count: int) -> None:
        """Spend the steps of `count` rows. Raises SourceRefused where the file is too small for as many."""
        self.spend(steps=count * STEPS_PER_ROW)
