"""Reading pictures back."""

import re
import xml.etree.ElementTree as ET

import pytest

SVG = "{http://www.w3.org/2000/svg}"
_COORDINATES = ("x", "y", "width", "height", "cx", "cy", "r", "rx", "d", "transform", "viewBox")


class Picture:
    """An SVG, parsed; making one checks what holds for every picture."""

    def __init__(self, text: str) -> None:
        self.root = ET.fromstring(text)  # well-formed, or an exception
        assert self.root.tag == f"{SVG}svg"
        assert self.root[0].tag == f"{SVG}title"
        assert self.root[1].tag == f"{SVG}desc"
        for element in self.root.iter():
            for name in _COORDINATES:
                self._check_coordinates(name, element.get(name, ""))

    @staticmethod
    def _check_coordinates(name: str, value: str) -> None:
        """Only commands and plain decimal numbers: `nan`, `inf` and `1e300` are none."""
        for word in re.split(r"[\s,()MLHVCZhvl]+", value.replace("translate", "").removesuffix("%")):
            assert re.fullmatch(r"-?\d+(\.\d+)?(-\d+(\.\d+)?)*|", word), f"{name}={value!r}"
            assert all(abs(float(number)) < 1e7 for number in re.findall(r"[\d.]+", word))

    @property
    def title(self) -> str:
        return self.root[0].text or ""

    @property
    def words(self) -> list[str]:
        """All visible texts."""
        return [e.text or "" for e in self.root.iter(f"{SVG}text")]

    def all(self, name: str, **attributes: str) -> list[ET.Element]:
        """Elements of that name with these attributes (`_` for `-`)."""
        wanted = {key.replace("_", "-"): value for key, value in attributes.items()}
        return [e for e in self.root.iter(f"{SVG}{name}") if all(e.get(k) == v for k, v in wanted.items())]


@pytest.fixture(scope="session")
def read_svg():
    return Picture
