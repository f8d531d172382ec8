// The official TypeScript SDK as an agent's program: orders come as lines on standard input, what happens goes out
// as lines of JSON. usage: node typescript_client.mjs URL KEY legacy|auto
import { createInterface } from "node:readline";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, mode] = process.argv.slice(2);
const tell = (said) => process.stdout.write(`${JSON.stringify(said)}\n`);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: `Bearer ${key}` } },
  reconnectionOptions: {
    initialReconnectionDelay: 100, maxReconnectionDelay: 500, reconnectionDelayGrowFactor: 1.2, maxRetries: 200,
  },
});
const client = new Client({ name: "typescript", version: "1" }, { versionNegotiation: { mode } });
client.fallbackNotificationHandler = async ({ method, params }) => tell({ method, params });
client.onerror = (error) => process.stderr.write(`${error}\n`);
await client.connect(transport);
tell({ connected: transport.sessionId ?? null });
for await (const tool of createInterface({ input: process.stdin })) {
  try {
    const result = await client.callTool({ name: tool, arguments: {} });
    tell({ tool, content: result.structuredContent, session: transport.sessionId ?? null });
  } catch (error) {
    tell({ tool, error: String(error) });
  }
}
await client.close();
