"""Builds the bundle that Claude Desktop installs with a click: the Node shim, set up for one gateway.

    python3 shim/mcpb/build.py --url https://gateway.example.org

It needs nothing but Python. The same input gives the same bytes: no times, no compression, a fixed order.
"""

import argparse
import io
import json
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

_SHIM = Path(__file__).resolve().parents[1]
_CONTENT = {
    "server/chamade-mcp-shim.mjs": _SHIM / "node/chamade-mcp-shim.mjs",
    "server/package.json": _SHIM / "node/package.json",
    "LICENSE": _SHIM / "node/LICENSE",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


def bundle(url: str) -> bytes:
    """The bundle for the gateway at `url`, which the person can still change when installing."""
    manifest = json.loads((_SHIM / "mcpb/manifest.json").read_text(encoding="utf-8"))
    manifest["user_config"]["url"]["default"] = url
    content = {"manifest.json": json.dumps(manifest, ensure_ascii=False, indent=2).encode() + b"\n"}
    content |= {name: path.read_bytes() for name, path in _CONTENT.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError("a URL that begins with https:// or http:// is needed")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the bundle for Claude Desktop.")
    parser.add_argument(
        "--url", type=_url, default="https://chamade.io", help="the gateway (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/chamade.mcpb"), help="default: %(default)s")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(bundle(options.url))
    print(options.out)


if __name__ == "__main__":
    main()
