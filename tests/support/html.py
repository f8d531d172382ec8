"""What a page links to, and what can be linked to on it."""

from html.parser import HTMLParser


class Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and tag == "a" and value:
                self.links.append(value)
            elif name == "id" and value:
                self.ids.append(value)


def anchors_of(html: str) -> Anchors:
    found = Anchors()
    found.feed(html)
    return found
