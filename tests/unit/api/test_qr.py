"""A link as a picture."""

from xml.etree import ElementTree

from chamade_mcp.api.qr import qr_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_it_is_a_square_with_a_quiet_zone_and_no_words() -> None:
    root = ElementTree.fromstring(qr_svg("https://gateway.example.org/c/" + "a" * 32))
    _, _, width, height = map(int, root.attrib["viewBox"].split())
    ground, dark = root.findall(f"{SVG}path")
    assert width == height
    assert ground.attrib["fill"] == "#fff"
    assert dark.attrib["d"].startswith("M4 4.5")
    assert root.attrib.keys() == {"viewBox"}
