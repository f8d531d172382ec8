// How each client is told about this gateway. `key` is put in where a person's own key belongs.
export const PLACEHOLDER = "YOUR_KEY";

const pretty = (value) => JSON.stringify(value, null, 2);

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** mcp-remote takes plain http from the same computer only, unless told otherwise. */
function plainHttp(url) {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && hostname !== "localhost" && hostname !== "127.0.0.1" ? ["--allow-http"] : [];
}

export function clients(url, key = PLACEHOLDER) {
  const mcp = `${url}/mcp/`;
  const server = (value) => ({ url: mcp, headers: { Authorization: `Bearer ${value}` } });
  // Links end up in histories and logs: never a key in one.
  const cursor = `cursor://anysphere.cursor-deeplink/mcp/install?name=chamade&config=${encodeURIComponent(base64(JSON.stringify(server(PLACEHOLDER))))}`;
  return [
    {
      id: "claude-code",
      title: "Claude Code",
      text: "Run this in a terminal, in the project where your agent works.",
      code: `claude mcp add --transport http chamade ${mcp} --header "Authorization: Bearer ${key}"`,
      note: "With --scope user before the name it is there in every project.",
    },
    {
      id: "cursor",
      title: "Cursor",
      text: "Put this in ~/.cursor/mcp.json.",
      code: pretty({ mcpServers: { chamade: server(key) } }),
      note: `The button adds the same without your key, since a link is no place for one: then replace ${PLACEHOLDER} in Cursor's MCP settings.`,
      actions: [{ label: "Add to Cursor", href: cursor }],
    },
    {
      id: "vs-code",
      title: "VS Code",
      text: "Run this in a terminal.",
      code: `code --add-mcp '${JSON.stringify({ name: "chamade", type: "http", ...server(key) })}'`,
      note: "Then start the server chamade from the command MCP: List Servers.",
    },
    {
      id: "claude-desktop",
      title: "Claude Desktop",
      text: "Settings, Developer, Edit Config: put this in claude_desktop_config.json, then start Claude Desktop again. It needs Node.js on your computer.",
      code: pretty({
        mcpServers: {
          chamade: {
            command: "npx",
            args: ["-y", "mcp-remote", mcp, "--header", "Authorization:${CHAMADE_AUTH}", ...plainHttp(url)],
            env: { CHAMADE_AUTH: `Bearer ${key}` },
          },
        },
      }),
      note: "mcp-remote carries the requests, as Claude Desktop's configuration takes local programs only.",
    },
    {
      id: "claude-ai",
      title: "claude.ai",
      text: `claude.ai calls from Anthropic's servers. It needs a gateway at a public https address (this one is at ${url}) and signs in by OAuth: Settings, Connectors, Add custom connector, with the address ${mcp}. It then sends you here to allow it.`,
    },
    {
      id: "rest",
      title: "REST",
      text: "Everything an agent can do is plain HTTP as well.",
      code: `curl -H "X-API-Key: ${key}" ${url}/api/account`,
      actions: [{ label: "REST API reference", href: "/docs/api" }, { label: "More clients", href: "/docs/clients" }],
    },
  ];
}
