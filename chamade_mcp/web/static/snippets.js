// How each client is told about this gateway. `key` is put in where a person's own key belongs.
// In `steps`, names of menus and buttons stand between asterisks.
const PLACEHOLDER = "YOUR_KEY";

const pretty = (value) => JSON.stringify(value, null, 2);

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

const LOCAL = /^(localhost|.*\.localhost|127\.[\d.]+|\[::1\])$/;
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|\[f[cde])|\.(local|lan|home|internal|test)$|^[^.:]+$/;

/** Whether `url` is "here" (this computer alone), "near" (the network it is in) or "everywhere", by its name alone. */
export function reach(url) {
  const { hostname } = new URL(url);
  return LOCAL.test(hostname) ? "here" : PRIVATE.test(hostname) ? "near" : "everywhere";
}

/** mcp-remote takes plain http from the same computer only, unless told otherwise. */
const plainHttp = (url) => (url.startsWith("http:") && reach(url) !== "here" ? ["--allow-http"] : []);

/** Why a client that calls from `whose` servers does not get here; empty where nothing is known against it. */
function unreachable(url, whose) {
  if (reach(url) === "everywhere" && url.startsWith("https:")) return "";
  const lack = reach(url) === "everywhere" ? "has no https" : "is not on the public Internet";
  return `This does not work as this gateway is now: it is at ${url}, which ${lack}, and the requests come from ${whose} servers. Put it behind a public https address first, and set CHAMADE_PUBLIC_URL to that.`;
}

function claudeCode(url, key) {
  const mcp = `${url}/mcp/`;
  const add = (address) => `claude mcp add --transport http chamade ${address} --header "Authorization: Bearer ${key}"`;
  return [
    {
      title: "By polling",
      text: "Run this in a terminal, in the project where your agent works.",
      code: add(mcp),
      note: "With --scope user before the name it is there in every project.",
    },
    {
      title: "With push",
      text: "Messages and calls then appear in the session as they happen. The second line starts Claude Code: channels are a preview, so it takes the flag each time.",
      code: `${add(`"${mcp}?stateful"`)}\nclaude --dangerously-load-development-channels server:chamade`,
    },
    {
      title: "Over stdio",
      text: "Through a small program of this gateway, which finds its way back however long the gateway was away. It needs Node.js 18 or newer.",
      code: [
        `curl -fsS ${url}/download/chamade-mcp-shim.mjs -o ~/chamade-mcp-shim.mjs`,
        `claude mcp add chamade --env CHAMADE_URL=${url} --env CHAMADE_API_KEY=${key} -- node ~/chamade-mcp-shim.mjs --stateful`,
      ].join("\n"),
      note: "Push takes the same flag as above.",
    },
  ];
}

function claudeDesktop(url, key) {
  return [
    {
      title: "By a bundle",
      text: "Download the bundle for this gateway and open it: Claude Desktop installs it, asks for your key, and keeps that in the system’s key store.",
      actions: [{ label: "Download the bundle", href: "/download/chamade.mcpb", download: true }],
      note: "If nothing opens: Settings, Extensions, Advanced settings, Install Extension.",
    },
    {
      title: "By hand",
      text: "Settings, Developer, Edit Config: put this in claude_desktop_config.json, then start Claude Desktop again. It needs Node.js on your computer.",
      code: pretty({
        mcpServers: {
          chamade: {
            command: "npx",
            args: ["-y", "mcp-remote", `${url}/mcp/`, "--header", "Authorization:${CHAMADE_AUTH}", ...plainHttp(url)],
            env: { CHAMADE_AUTH: `Bearer ${key}` },
          },
        },
      }),
      note: "mcp-remote carries the requests, as Claude Desktop’s configuration takes local programs only.",
    },
  ];
}

export function clients(url, key = PLACEHOLDER) {
  const mcp = `${url}/mcp/`;
  const server = { url: mcp, headers: { Authorization: `Bearer ${key}` } };
  // Links end up in histories and logs: never a key in one. Without one, these clients sign in by OAuth.
  const cursor = `cursor://anysphere.cursor-deeplink/mcp/install?name=chamade&config=${encodeURIComponent(base64(JSON.stringify({ url: mcp })))}`;
  const code = `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: "chamade", type: "http", url: mcp }))}`;
  return [
    { id: "claude-code", title: "Claude Code", ways: claudeCode(url, key) },
    { id: "claude-desktop", title: "Claude Desktop", ways: claudeDesktop(url, key) },
    {
      id: "cursor",
      title: "Cursor",
      ways: [
        {
          title: "With a click",
          text: "No key is needed: Cursor sends you here to sign in and to allow it.",
          actions: [{ label: "Add to Cursor", href: cursor }],
        },
        { title: "With a key", text: "Put this in ~/.cursor/mcp.json.", code: pretty({ mcpServers: { chamade: server } }) },
      ],
    },
    {
      id: "vs-code",
      title: "VS Code",
      ways: [
        {
          title: "With a click",
          text: "No key is needed: VS Code sends you here to sign in and to allow it.",
          actions: [{ label: "Add to VS Code", href: code }],
        },
        {
          title: "With a key",
          text: "Run this in a terminal.",
          code: `code --add-mcp '${JSON.stringify({ name: "chamade", type: "http", ...server })}'`,
          note: "Then start the server chamade from the command MCP: List Servers.",
        },
      ],
    },
    {
      id: "claude-ai",
      title: "claude.ai",
      ways: [
        {
          warning: unreachable(url, "Anthropic’s"),
          steps: [
            "On claude.ai, open *Customize*, then *Connectors*. On Team and Enterprise plans an owner adds it for all, in the organization’s settings under *Connectors*.",
            "Choose *+*, then *Add custom connector*.",
            "Name it *Chamade*, and give it this address. Leave the advanced settings empty.",
            "Choose *Add*, then *Connect*: you come here to sign in and to allow it. In a conversation it is switched on under *+*, *Connectors*.",
          ],
          code: mcp,
        },
      ],
    },
    {
      id: "chatgpt",
      title: "ChatGPT",
      ways: [
        {
          warning: unreachable(url, "OpenAI’s"),
          steps: [
            "On chatgpt.com, open *Settings*, then *Security and login*, and switch on *Developer mode*. In a workspace its administrator has to allow it first.",
            "Open *Plugins* at chatgpt.com/plugins, choose *+*, then *Add custom MCP server*.",
            "Name it *Chamade*, and give it this address as its *Server URL*. As *Authentication* choose *OAuth*, without any credentials.",
            "Choose *I understand and want to continue*, then *Create as a plugin*: you come here to sign in and to allow it.",
          ],
          code: mcp,
          note: "Older versions have it under Settings, Apps & Connectors, Advanced settings, and call it a connector.",
        },
      ],
    },
    {
      id: "rest",
      title: "REST",
      ways: [
        {
          text: "Everything an agent can do is plain HTTP as well.",
          code: `curl -H "X-API-Key: ${key}" ${url}/api/account`,
          actions: [{ label: "REST API reference", href: "/docs/api" }, { label: "More clients", href: "/docs/clients" }],
        },
      ],
    },
  ];
}
