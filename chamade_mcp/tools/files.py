"""The file tool."""

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient, NewFile, Reply
from chamade_mcp.tools.schema import arguments, result, text
from chamade_mcp.tools.tool import Hints, Tool


async def _upload_url(core: CoreClient, caller: Caller, given: NewFile) -> Reply:
    return await core.reserve_file(caller, given)


TOOLS = (
    Tool(
        name="chamade_file_upload_url",
        title="Get an upload URL for a local file",
        description=(
            "Reserve a place for a local file to send. Then upload it from a shell, without any key: `curl "
            "-F file=@path UPLOAD_URL`; the URL works once, for 5 minutes. Afterwards send it with "
            'attachments=[{"file_id": ...}] in chamade_dm_chat or chamade_call_chat, as often as you like '
            "for 24 h. Much better than bytes_b64 for anything but tiny files. At most 25 MB."
        ),
        arguments=NewFile,
        input_schema=arguments(
            {
                "name": text(
                    "File name with extension, as the person will see it.", min_length=1, max_length=255
                ),
                "mime": text("Media type, such as application/pdf.", min_length=3, max_length=127),
            }
        ),
        output_schema=result(
            {
                "file_id": text("For attachments, once the upload is done."),
                "upload_url": text("POST multipart, field file; no auth header."),
                "expires_at": text("When the upload URL stops working."),
            },
            required=("file_id", "upload_url"),
        ),
        hints=Hints(open_world=False),
        run=_upload_url,
    ),
)
