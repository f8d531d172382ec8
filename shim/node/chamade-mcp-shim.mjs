#!/usr/bin/env node
// MCP over stdio for clients, MCP over Streamable HTTP towards a Chamade gateway. The twin of shim/python, in
// the same order: settings, messages, failures, server-sent events, gateway, policy, push, bridge, command.
// Reasons that hold for both stand there.

import { realpathSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const VERSION = '0.1.0';

// --- settings: what the environment and the command line ask for -----------------------------------------

export class BadSetting extends Error {}

export function settings(environment, stateful) {
  const apiKey = (environment.CHAMADE_API_KEY ?? '').trim();
  if (!apiKey || apiKey.startsWith('${')) {
    throw new BadSetting("CHAMADE_API_KEY is not set; make a key on the gateway's dashboard and set it");
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new BadSetting('CHAMADE_API_KEY holds characters that no key has; copy the key again');
  }
  const explicit = (environment.CHAMADE_MCP_URL ?? '').trim();
  const given = (environment.CHAMADE_URL ?? '').trim() || 'https://chamade.io';
  const url = explicit ? parsed('CHAMADE_MCP_URL', explicit) : endpointOf(parsed('CHAMADE_URL', given));
  if (stateful && !url.searchParams.has('stateful')) url.search += url.search ? '&stateful' : '?stateful';
  url.hash = '';
  const open = url.protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(url.hostname);
  const warning = `the key goes to ${url.hostname} unencrypted, because the URL begins with http://`;
  return { url: url.href, apiKey, warning: open ? warning : null };
}

function endpointOf(url) {
  if (/(^|\.)chamade\.io$/.test(url.hostname) && !url.hostname.startsWith('mcp.')) {
    url.hostname = `mcp.${url.hostname}`;
  }
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith('/mcp') ? `${path}/` : `${path}/mcp/`;
  return url;
}

function parsed(name, value) {
  let url;
  try {
    url = /^https?:\/\/[\x21-\x7e]+$/i.test(value) && new URL(value);
  } catch {
    // Told below.
  }
  if (!url) throw new BadSetting(`${name} is no URL that begins with https:// or http://`);
  if (url.username || url.password) {
    throw new BadSetting(`${name} must not hold a user or a password; the key goes into CHAMADE_API_KEY`);
  }
  return url;
}

// --- messages: JSON-RPC as far as a bridge has to look ---------------------------------------------------

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const NAMED_BY = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' };
const SAFE = new Set([
  ...['initialize', 'ping', 'server/discover', 'subscriptions/listen', 'tools/list', 'resources/list'],
  ...['resources/templates/list', 'resources/read', 'resources/subscribe', 'resources/unsubscribe'],
  ...['prompts/list', 'prompts/get', 'completion/complete', 'logging/setLevel'],
  ...['notifications/initialized', 'notifications/cancelled'],
]);
const utf8 = new TextDecoder('utf-8', { fatal: true });

class Malformed extends Error {
  constructor(code, text, id = null) {
    super(text);
    Object.assign(this, { code, id });
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value) => typeof value === 'string' || typeof value === 'number';
const member = (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);

export function read(bytes) {
  let raw, body;
  try {
    raw = utf8.decode(bytes);
    body = JSON.parse(raw);
  } catch {
    throw new Malformed(-32700, 'This line is not JSON');
  }
  if (!isObject(body)) {
    throw new Malformed(-32600, 'A line holds one JSON-RPC message; batches are not supported');
  }
  const id = isId(body.id) ? body.id : null;
  if (typeof body.method !== 'string') {
    if (!('result' in body) && !('error' in body)) {
      throw new Malformed(-32600, 'Neither a request nor a notification nor a response', id);
    }
    return { raw, kind: 'response', id, method: '', params: {}, body };
  }
  if ('id' in body && id === null) throw new Malformed(-32600, 'The id of a request is a string or a number');
  const params = isObject(body.params) ? body.params : {};
  return { raw, kind: 'id' in body ? 'request' : 'notification', id, method: body.method, params, body };
}

export function ownVersion(message) {
  const version = member(message.params._meta, VERSION_KEY);
  return typeof version === 'string' && /^[\x20-\x7e]*$/.test(version) ? version : null;
}

export function line(text) {
  const escaped = { '\u2028': '\\u2028', '\u2029': '\\u2029', '\u0085': '\\u0085' };
  return `${text.replace(/[\r\n]/g, ' ').replace(/[\u2028\u2029\u0085]/g, (found) => escaped[found])}\n`;
}

export class Tools {
  #readOnly = new Map();
  #headers = new Map();

  learn(result) {
    const tools = member(result, 'tools');
    for (const tool of Array.isArray(tools) ? tools : []) {
      const name = member(tool, 'name');
      if (typeof name !== 'string') continue;
      this.#readOnly.set(name, member(member(tool, 'annotations'), 'readOnlyHint') === true);
      this.#headers.set(name, marked(member(tool, 'inputSchema'), []));
    }
  }

  mayRepeat(message) {
    if (message.kind === 'response' || SAFE.has(message.method)) return true;
    return message.method === 'tools/call' && this.#readOnly.get(message.params.name) === true;
  }

  modernHeaders(message) {
    const headers = { 'mcp-method': header(message.method) };
    const name = member(message.params, NAMED_BY[message.method] ?? '');
    if (typeof name !== 'string') return headers;
    headers['mcp-name'] = header(name);
    if (message.method !== 'tools/call') return headers;
    for (const [path, token] of this.#headers.get(name) ?? []) {
      const value = path.reduce(member, message.params.arguments);
      const fits = typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value);
      if (fits) headers[`mcp-param-${token}`] = header(String(value));
    }
    return headers;
  }
}

function marked(schema, path) {
  const properties = member(schema, 'properties');
  return Object.entries(isObject(properties) ? properties : {}).flatMap(([name, inner]) => {
    const token = member(inner, 'x-mcp-header');
    const own = typeof token === 'string' && /^[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*$/.test(token);
    return [...(own ? [[[...path, name], token]] : []), ...marked(inner, [...path, name])];
  });
}

function header(value) {
  const plain = /^[\x20-\x7e]*$/.test(value) && value === value.trim() && !/^=\?base64\?.*\?=$/.test(value);
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

// --- failures: what can go wrong, and how the person and the model are told ------------------------------

const ADVICE = {
  401: ": check CHAMADE_API_KEY; a new key is made on the gateway's dashboard",
  403: ": the key may not do that; see its permissions on the gateway's dashboard",
  404: ": is CHAMADE_URL (or CHAMADE_MCP_URL) the gateway's address?",
};

export class Failed extends Error {
  outcome = 'not_done';
  again = false;

  constructor(code, detail, action, more = {}) {
    super(detail);
    Object.assign(this, { code, detail, action, ...more });
  }

  get text() {
    return this.detail + (ADVICE[this.status] ?? '');
  }

  unsure(mayRepeat) {
    if (this.outcome !== 'unknown' || mayRepeat) return this;
    const detail = `${this.detail}. The outcome is unknown: it may have been done. Look before sending it again`;
    const { outcome, again, status, retryAfter, members } = this;
    return new Failed('OUTCOME_UNKNOWN', detail, 'wait', { outcome, again, status, retryAfter, members });
  }

  line(id) {
    const { code, action, outcome, status, retryAfter } = this;
    const data = { ...this.members, code, action, outcome, status, retry_after: retryAfter };
    return errorLine(id, outcome === 'unknown' ? -32011 : this.again ? -32010 : -32012, `${this.text}.`, data);
  }
}

function errorLine(id, code, message, data) {
  return line(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, data } }));
}

function unreachable(where, reason, forGood = false) {
  const detail = `The gateway at ${where} cannot be reached: ${reason}`;
  return new Failed('UNREACHABLE', detail, forGood ? 'ask_human' : 'wait', { again: !forGood });
}

function broken(where, reason) {
  const detail = `The gateway at ${where} went away: ${reason}`;
  return new Failed('CONNECTION_LOST', detail, 'retry', { outcome: 'unknown', again: true });
}

function noMcp(where, reason, status) {
  const detail = `What answers at ${where} is no MCP endpoint (${reason}); check CHAMADE_URL or CHAMADE_MCP_URL`;
  return new Failed('NOT_MCP', detail, 'ask_human', { status });
}

export function refused(where, status, headers, text) {
  if (status >= 300 && status < 400) {
    const target = headers.get('location') ?? 'nowhere';
    const detail = `${where} redirects to ${target}; set CHAMADE_URL or CHAMADE_MCP_URL to where it leads`;
    return new Failed('REDIRECTED', detail, 'ask_human', { status });
  }
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // It needs not be JSON.
  }
  if (!isObject(problem)) problem = {};
  if (isObject(problem.error)) problem = { detail: problem.error.message };
  const forNow = status === 429 || status === 503;
  const ours = status >= 500 && status !== 501;
  const unknown = forNow ? problem.outcome === 'unknown' : ours;
  const code = typeof problem.code === 'string' ? problem.code : `HTTP_${status}`;
  const detail = short(String(problem.detail || problem.title || 'no reason given'));
  const action = typeof problem.action === 'string' ? problem.action : usualAction(status);
  const kept = ['param', 'errors', 'platform', 'request_id'].filter((name) => name in problem);
  return new Failed(code, `The gateway at ${where} says ${status}: ${detail}`, action, {
    outcome: unknown ? 'unknown' : 'not_done',
    again: forNow || ours,
    status,
    retryAfter: retryAfter(headers.get('retry-after')),
    members: Object.fromEntries(kept.map((name) => [name, problem[name]])),
  });
}

function usualAction(status) {
  if ([401, 403, 404].includes(status)) return 'ask_human';
  if (status === 429 || status === 503) return 'wait';
  return status >= 500 ? 'retry' : 'fix_argument';
}

export function retryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.round(seconds * 1000) / 1000) : undefined;
}

function short(text) {
  const clean = text.split(/\s+/).filter(Boolean).join(' ').replace(/\.+$/, '');
  return clean.length <= 300 ? clean : `${clean.slice(0, 300)}…`;
}

// --- server-sent events, from bytes in whatever pieces they come -----------------------------------------

export class Parser {
  retryS = null;
  pings = 0;
  #begun = false;
  #afterCr = false;
  #pieces = [];
  #data = [];
  #kind = '';
  #id = '';
  #newId = false;

  feed(piece) {
    let chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (this.#afterCr && chunk.length) {
      this.#afterCr = false;
      if (chunk[0] === 0x0a) chunk = chunk.subarray(1);
    }
    if (!chunk.includes(0x0a) && !chunk.includes(0x0d)) {
      this.#pieces.push(chunk);
      return [];
    }
    this.#afterCr = chunk[chunk.length - 1] === 0x0d;
    // One character per byte, so that nothing is cut in the middle; what is text is decoded when whole.
    const lines = Buffer.concat([...this.#pieces, chunk]).toString('latin1').split(/\r\n|\n|\r/);
    const rest = lines.pop();
    this.#pieces = rest ? [Buffer.from(rest, 'latin1')] : [];
    if (lines.length && !this.#begun) {
      this.#begun = true;
      lines[0] = lines[0].replace(/^\xef\xbb\xbf/, '');
    }
    return lines.map((each) => this.#line(each)).filter(Boolean);
  }

  #line(text) {
    if (!text) return this.#dispatch();
    const colon = text.indexOf(':');
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (!name) this.pings += 1;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#kind = value;
    else if (name === 'id' && /^[\x21-\x7e]*$/.test(value)) [this.#id, this.#newId] = [value, true];
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) this.retryS = Number(value) / 1000;
    return null;
  }

  #dispatch() {
    const told = this.#data.length > 0 || this.#newId;
    const event = { data: Buffer.from(this.#data.join('\n'), 'latin1'), id: this.#id, kind: this.#kind || 'message' };
    [this.#data, this.#kind, this.#newId] = [[], '', false];
    return told ? event : null;
  }
}

function messageOf(event) {
  if (event.kind !== 'message' || !event.data.length) return null;
  try {
    return read(event.data);
  } catch {
    return null;
  }
}

// --- gateway: one exchange, a message out, its answer in -------------------------------------------------

const NOT_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|E(HOST|NET)UNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT)$/;
const BAD_CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|HOSTNAME_MISMATCH/;
const NO_TLS = /^ERR_SSL_(WRONG_VERSION|UNSUPPORTED|.*HANDSHAKE)|before secure TLS/;
const REASONS = { ECONNREFUSED: 'connection refused', UND_ERR_CONNECT_TIMEOUT: 'no connection within 10 s' };
const SILENT_S = 300;

class SessionGone extends Error {
  constructor(id) {
    super(id);
    this.id = id;
  }
}

class Gateway {
  session = null;
  tools = new Tools();
  #url;
  #headers;
  #forward;
  #modern = null;

  constructor(url, headers, forward) {
    const { origin, pathname } = new URL(url);
    this.where = origin + pathname;
    [this.#url, this.#headers, this.#forward] = [url, headers, forward];
  }

  async send(message, { quiet = false, signal } = {}) {
    const [headers, session] = this.#headersFor(message);
    const answer = await this.#request('POST', headers, message.raw, signal);
    if (answer.status === 404 && session !== null) {
      await answer.read();
      throw new SessionGone(session);
    }
    if (!answer.ok) await this.#refusal(message, answer, quiet);
    else if (message.kind !== 'request') await (answer.streams ? answer.drop() : answer.read());
    else if (answer.streams) await this.#fromStream(message, answer, session, quiet, signal);
    else await this.#take(message, answer, quiet);
  }

  async listen(session, lastId, signal) {
    const headers = { accept: 'text/event-stream', 'mcp-protocol-version': session.version };
    if (session.id !== null) headers['mcp-session-id'] = session.id;
    if (lastId) headers['last-event-id'] = lastId;
    const answer = await this.#request('GET', headers, undefined, signal);
    if (answer.status === 404 && session.id !== null) {
      await answer.read();
      throw new SessionGone(session.id);
    }
    if (answer.status !== 200) throw refused(this.where, answer.status, answer.headers, await answer.text());
    if (!answer.streams) {
      await answer.drop();
      throw noMcp(this.where, 'a GET is answered with no event stream', 200);
    }
    return answer;
  }

  async end(signal) {
    const { session } = this;
    this.session = null;
    if (!session || session.id === null) return;
    const headers = { 'mcp-session-id': session.id, 'mcp-protocol-version': session.version };
    await (await this.#request('DELETE', headers, undefined, signal)).read();
  }

  async #request(method, headers, body, signal) {
    try {
      const all = { ...this.#headers, ...headers };
      const response = await fetch(this.#url, { method, headers: all, body, signal, redirect: 'manual' });
      return new Answer(this.where, response);
    } catch (error) {
      if (signal?.aborted) throw error;
      const cause = error.cause ?? error;
      const code = String(cause.code ?? cause.errors?.[0]?.code ?? '');
      const reason = REASONS[code] ?? (code === 'ENOTFOUND' ? `the name ${cause.hostname} is not known` : null);
      if (BAD_CERTIFICATE.test(code)) {
        throw unreachable(this.where, `its certificate is not trusted (${code})`, true);
      }
      if (NO_TLS.test(code) || NO_TLS.test(cause.message)) {
        throw unreachable(this.where, `no TLS connection (${code}); does it speak http:// only?`);
      }
      if (cause.message === 'bad port') throw unreachable(this.where, 'Node refuses to use that port', true);
      if (NOT_SENT.test(code) || cause.syscall === 'connect') throw unreachable(this.where, reason ?? (cause.message || code));
      throw broken(this.where, 'the connection broke before the answer');
    }
  }

  #headersFor(message) {
    const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
    const own = ownVersion(message);
    if (own !== null) {
      this.#modern = own;
      headers['mcp-protocol-version'] = own;
      return [{ ...headers, ...this.tools.modernHeaders(message) }, null];
    }
    if (message.method === 'initialize') return [headers, null];
    if (this.session === null) {
      if (this.#modern !== null) headers['mcp-protocol-version'] = this.#modern;
      return [headers, null];
    }
    headers['mcp-protocol-version'] = this.session.version;
    if (this.session.id !== null) headers['mcp-session-id'] = this.session.id;
    return [headers, this.session.id];
  }

  async #refusal(message, answer, quiet) {
    const body = await answer.read();
    if (message.kind === 'request' && ![401, 403, 429, 503].includes(answer.status)) {
      const reply = replyIn(body);
      if (reply?.body.error !== undefined && (reply.id === message.id || answer.status < 500)) {
        return this.#passOn(message, reply, quiet);
      }
    }
    throw refused(this.where, answer.status, answer.headers, body.toString());
  }

  async #take(message, answer, quiet) {
    const reply = replyIn(await answer.read());
    if (reply === null) {
      const bare = answer.status === 202 || answer.status === 204;
      const kind = bare ? `a bare ${answer.status}` : answer.mediaType || 'nothing';
      throw noMcp(this.where, `a request is answered with ${kind}`, answer.status);
    }
    this.#begin(message, reply, answer);
    await this.#passOn(message, reply, quiet);
  }

  async #fromStream(message, answer, session, quiet, signal) {
    let events = new Parser();
    let lastId = await this.#readStream(message, answer, answer, events, quiet);
    for (let resumed = 0; resumed < 3 && lastId && session !== null && this.session; resumed += 1) {
      await pause(1000 * Math.min(events.retryS ?? 1, 60), undefined, { signal });
      events = new Parser();
      try {
        const more = await this.listen(this.session, lastId, signal);
        const found = await this.#readStream(message, more, answer, events, quiet);
        lastId = found === null ? null : found || lastId;
      } catch (error) {
        if (error instanceof SessionGone) break;
        if (!(error instanceof Failed)) throw error;
      }
    }
    if (lastId !== null) throw broken(this.where, 'the stream ended before the answer');
  }

  async #readStream(message, stream, first, events, quiet) {
    let lastId = '';
    try {
      for (let piece; (piece = await stream.piece(SILENT_S)); ) {
        for (const event of events.feed(piece)) {
          lastId = event.id;
          const said = messageOf(event);
          if (said?.kind === 'response') {
            this.#begin(message, said, first);
            await this.#passOn(message, said, quiet);
            await stream.drop();
            return null;
          }
          if (said && !quiet) await this.#forward(line(said.raw));
        }
      }
    } catch (error) {
      if (!(error instanceof Failed) || !lastId) throw error;
    }
    return lastId;
  }

  #begin(message, reply, answer) {
    const version = member(reply.body.result, 'protocolVersion');
    if (message.method !== 'initialize' || typeof version !== 'string') return;
    this.session = { id: answer.headers.get('mcp-session-id'), version };
    this.#modern = null;
  }

  async #passOn(message, reply, quiet) {
    if (message.method === 'tools/list') this.tools.learn(reply.body.result);
    if (quiet) return;
    const same = reply.id === message.id;
    await this.#forward(line(same ? reply.raw : JSON.stringify({ ...reply.body, id: message.id })));
  }
}

class Answer {
  #reader;

  constructor(where, response) {
    [this.where, this.status, this.ok, this.headers] = [where, response.status, response.ok, response.headers];
    this.mediaType = (response.headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();
    this.streams = this.mediaType === 'text/event-stream';
    this.#reader = response.body?.getReader();
  }

  async piece(withinS) {
    let timer;
    const silence = new Promise((_, reject) => {
      timer = setTimeout(() => reject(broken(this.where, `silent for ${withinS} s`)), withinS * 1000);
    });
    try {
      const { done, value } = (await Promise.race([this.#reader?.read(), silence])) ?? { done: true };
      return done ? null : value;
    } catch (error) {
      await this.drop();
      if (error instanceof Failed || error.name === 'AbortError') throw error;
      throw broken(this.where, 'the answer broke off');
    } finally {
      clearTimeout(timer);
    }
  }

  async read() {
    const pieces = [];
    for (let piece; (piece = await this.piece(SILENT_S)); ) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async text() {
    return (await this.read()).toString();
  }

  async drop() {
    await this.#reader?.cancel().catch(() => {});
  }
}

function replyIn(body) {
  try {
    const message = read(body);
    return message.kind === 'response' ? message : null;
  } catch {
    return null;
  }
}

// --- policy: when to try again ---------------------------------------------------------------------------

const DELAYS_S = [1, 2, 5];
const MOST_PATIENT_S = 60;

export function delayBefore(attempt, failed, mayRepeat) {
  if (!failed.again || attempt > DELAYS_S.length) return null;
  if (failed.outcome !== 'not_done' && !mayRepeat) return null;
  const wanted = failed.retryAfter ?? 0;
  return wanted <= MOST_PATIENT_S ? Math.max(wanted, DELAYS_S[attempt - 1]) : null;
}

export function pauseOfPush(attempt, wantedS) {
  const usual = DELAYS_S[attempt - 1] ?? DELAYS_S.at(-1) + Math.random();
  return wantedS === null ? usual : Math.max(usual, Math.min(wantedS, MOST_PATIENT_S));
}

// --- push: what the gateway says by itself, opened again after every outage ------------------------------

const MISSED_S = 30;

class Push {
  #gateway;
  #forward;
  #renew;
  #notices;
  #stopping = new AbortController();
  #stirred = () => {};
  #lastId = null;
  #of = null;
  #retryS = null;
  #opened = false;

  constructor(gateway, forward, renew, notices) {
    [this.#gateway, this.#forward, this.#renew, this.#notices] = [gateway, forward, renew, notices];
  }

  stir() {
    this.#stirred();
  }

  stop() {
    this.#stopping.abort();
  }

  async run() {
    const { signal } = this.#stopping;
    let attempt = 0;
    while (this.#gateway.session !== null && !signal.aborted) {
      const { session } = this.#gateway;
      if (session !== this.#of) [this.#of, this.#lastId, this.#retryS] = [session, null, null];
      this.#opened = false;
      const stirred = new Promise((resolve) => (this.#stirred = resolve));
      let wait = true;
      try {
        await this.#read(session, signal);
      } catch (error) {
        if (signal.aborted) return;
        const gone = error instanceof SessionGone;
        const failed = gone ? await failureOf(this.#renew(error.id, this)) : error;
        if (failed !== null) wait = await this.#notNow(session, failed, stirred);
      }
      attempt = this.#opened ? 1 : attempt + 1;
      if (wait) await pause(1000 * pauseOfPush(attempt, this.#retryS), undefined, { signal }).catch(() => {});
    }
  }

  async #read(session, signal) {
    const events = new Parser();
    const stream = await this.#gateway.listen(session, this.#lastId, signal);
    [this.#opened, this.#retryS] = [true, null];
    this.#notices.well();
    for (let piece; (piece = await stream.piece(events.pings ? MISSED_S : SILENT_S)); ) {
      for (const event of events.feed(piece)) {
        const said = messageOf(event);
        if (said) await this.#forward(line(said.raw));
        this.#lastId = event.id || this.#lastId;
      }
      this.#retryS = events.retryS;
    }
  }

  async #notNow(session, failed, stirred) {
    if (!(failed instanceof Failed)) throw failed;
    if (failed.status === 405) {
      for (let next = stirred; this.#gateway.session === session; ) {
        await next;
        next = new Promise((resolve) => (this.#stirred = resolve));
      }
      return false;
    }
    if (!this.#opened) this.#notices.trouble(failed);
    if (failed.retryAfter !== undefined) this.#retryS = failed.retryAfter;
    if ([400, 401, 403].includes(failed.status)) await stirred;
    return true;
  }
}

// --- bridge: every line at its time, none behind another that is slow ------------------------------------

const failureOf = (promise) => promise.then(() => null, (error) => error);

/** A mistake of this program is no reason to leave a request without an answer. */
function asFailed(error) {
  if (error instanceof Failed) return error;
  return new Failed('SHIM_FAULT', `The shim has failed: ${error}`, 'ask_human', { outcome: 'unknown' });
}

class Bridge {
  #forward;
  #notices;
  #gateway;
  #push = null;
  #running = new Set();
  #pending = new Map();
  #gate = Promise.resolve();
  #lastNotice = Promise.resolve();
  #initialize = null;
  #initialized = null;
  #renewing = Promise.resolve();

  constructor(gateway, forward, notices) {
    [this.#gateway, this.#forward, this.#notices] = [gateway, forward, notices];
  }

  accept(bytes) {
    let message;
    try {
      message = read(bytes);
    } catch (fault) {
      this.#start(this.#forward(errorLine(fault.id, fault.code, fault.message)));
      return;
    }
    if (message.kind === 'request') this.#request(message);
    else if (message.method !== 'notifications/cancelled' || !this.#cancelled(message)) {
      this.#lastNotice = this.#start(this.#notify(message, this.#gate, this.#lastNotice));
      if (message.method === 'notifications/initialized') this.#gate = this.#lastNotice;
    }
  }

  async finish(patient) {
    if (patient) await Promise.race([Promise.allSettled(this.#running), pause(1000)]);
    this.#push?.stop();
    for (const { stopping } of this.#pending.values()) stopping.abort();
    await this.#gateway.end(AbortSignal.timeout(700)).catch(() => {});
  }

  #request(message) {
    const gate = ownVersion(message) === null ? this.#gate : Promise.resolve();
    const first = message.method === 'initialize';
    if (first) [this.#initialize, this.#initialized] = [message, null];
    const pending = { stopping: new AbortController(), modern: ownVersion(message) !== null, resting: false };
    this.#pending.set(message.id, pending);
    const task = this.#start(this.#answer(message, gate, pending));
    task.finally(() => this.#pending.get(message.id) === pending && this.#pending.delete(message.id));
    if (first) this.#gate = task;
  }

  #cancelled(message) {
    const pending = this.#pending.get(message.params.requestId);
    const inSession = this.#gateway.session !== null && this.#gateway.session.id !== null;
    if (pending && (pending.modern || pending.resting || !inSession)) pending.stopping.abort();
    return !inSession || pending?.modern === true;
  }

  async #answer(message, gate, pending) {
    try {
      await gate;
      if (message.method === 'initialize') await this.#dropSession();
      await this.#deliver(message, pending);
    } catch (error) {
      if (pending.stopping.signal.aborted) return;
      const failed = asFailed(error).unsure(this.#gateway.tools.mayRepeat(message));
      this.#notices.trouble(failed);
      await this.#forward(failed.line(message.id));
    }
  }

  async #notify(message, gate, before) {
    await gate;
    await before;
    await this.#deliver(message, null).catch((error) => {
      if (!(error instanceof Failed)) throw error;
      this.#notices.trouble(error);
    });
    if (message.method !== 'notifications/initialized') return;
    this.#initialized = message;
    if (this.#gateway.session !== null && this.#gateway.session.id !== null && this.#push === null) this.#listen();
  }

  async #deliver(message, pending) {
    const signal = pending?.stopping.signal;
    let renewed = false;
    for (let attempt = 0; ; ) {
      try {
        signal?.throwIfAborted();
        await this.#gateway.send(message, { signal });
        this.#notices.well();
        this.#push?.stir();
        return;
      } catch (error) {
        let failed = error;
        if (error instanceof SessionGone && !renewed) {
          failed = await failureOf(this.#renew(error.id));
          renewed = failed === null;
          if (renewed) continue;
        } else if (error instanceof SessionGone) failed = this.#forgetful();
        if (!(failed instanceof Failed)) throw failed;
        attempt += 1;
        const delay = delayBefore(attempt, failed, this.#gateway.tools.mayRepeat(message));
        if (delay === null) throw failed;
        this.#notices.trouble(failed);
        if (pending) pending.resting = true;
        await pause(delay * 1000, undefined, { signal });
        if (pending) pending.resting = false;
      }
    }
  }

  #renew(gone, push = null) {
    const renewal = this.#renewing.then(() => this.#begin(gone, push));
    this.#renewing = renewal.catch(() => {});
    return renewal;
  }

  async #begin(gone, push) {
    const { session } = this.#gateway;
    if (session === null || session.id !== gone || this.#initialize === null) return;
    try {
      await this.#gateway.send(this.#initialize, { quiet: true });
      if (this.#initialized !== null) await this.#gateway.send(this.#initialized, { quiet: true });
    } catch (error) {
      if (error instanceof SessionGone) throw this.#forgetful();
      if (error instanceof Failed) error.outcome = 'not_done';
      throw error;
    }
    if (this.#push !== null && this.#push !== push) this.#listen();
  }

  #forgetful() {
    const detail = `The gateway at ${this.#gateway.where} forgets sessions at once`;
    return new Failed('SESSION_LOST', detail, 'ask_human', { status: 404 });
  }

  #listen() {
    this.#push?.stop();
    this.#push = new Push(this.#gateway, this.#forward, (...gone) => this.#renew(...gone), this.#notices);
    this.#push.run();
  }

  async #dropSession() {
    this.#push?.stop();
    this.#push = null;
    await this.#gateway.end().catch(() => {});
  }

  #start(task) {
    this.#running.add(task);
    return task.finally(() => this.#running.delete(task));
  }
}

// --- command ---------------------------------------------------------------------------------------------

class Notices {
  #apiKey;
  #trouble = null;

  constructor(apiKey) {
    this.#apiKey = apiKey;
  }

  say(text) {
    process.stderr.write(`chamade-mcp-shim: ${text.split(/\s+/).join(' ').replaceAll(this.#apiKey, 'chmd_***')}\n`);
  }

  trouble(failed) {
    if (failed.code === this.#trouble) return;
    this.#trouble = failed.code;
    this.say(failed.text);
  }

  well() {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.say('the gateway answers again');
  }
}

function connectLines(take, end) {
  let pieces = [];
  const hand = () => {
    const whole = Buffer.concat(pieces);
    pieces = [];
    if (whole.some((byte) => byte > 0x20)) take(whole);
  };
  process.stdin.on('data', (chunk) => {
    for (let feed; (feed = chunk.indexOf(0x0a)) >= 0; chunk = chunk.subarray(feed + 1)) {
      pieces.push(chunk.subarray(0, feed));
      hand();
    }
    if (chunk.length) pieces.push(chunk);
  });
  process.stdin.on('end', () => {
    if (pieces.length) hand();
    end(true);
  });
}

const HELP = `usage: chamade-mcp-shim [-h] [--stateful] [--version]

Connects an MCP client that speaks stdio with a Chamade gateway.

options:
  -h, --help        show this help message and exit
  --stateful        keep a session: events are pushed
  --version         show the version and exit

environment:
  CHAMADE_API_KEY   a key of the gateway (required)
  CHAMADE_URL       where the gateway is (default: https://chamade.io)
  CHAMADE_MCP_URL   the MCP endpoint itself, where it cannot be derived from CHAMADE_URL

Exit status: 0 once the client is done, 2 for a wrong setting.
`;

function main(argv, environment) {
  const unknown = argv.find((word) => !['-h', '--help', '--version', '--stateful'].includes(word));
  if (unknown !== undefined) {
    process.stderr.write(`chamade-mcp-shim: unknown argument ${unknown}; see --help\n`);
    return 2;
  }
  if (argv.includes('-h') || argv.includes('--help')) return void process.stdout.write(HELP);
  if (argv.includes('--version')) return void process.stdout.write(`chamade-mcp-shim ${VERSION}\n`);
  let wanted;
  try {
    wanted = settings(environment, argv.includes('--stateful'));
  } catch (error) {
    if (!(error instanceof BadSetting)) throw error;
    process.stderr.write(`chamade-mcp-shim: ${error.message}\n`);
    return 2;
  }
  run(wanted);
  return undefined;
}

function run({ url, apiKey, warning }) {
  const notices = new Notices(apiKey);
  if (warning) notices.say(warning);
  const forward = (text) => new Promise((resolve) => process.stdout.write(text, () => resolve()));
  const headers = { authorization: `Bearer ${apiKey}`, 'user-agent': `chamade-mcp-shim-node/${VERSION}` };
  const bridge = new Bridge(new Gateway(url, headers, forward), forward, notices);
  let ending = false;
  const end = async (patient) => {
    if (ending) return;
    ending = true;
    await bridge.finish(patient);
    process.exit(0);
  };
  process.stdout.on('error', () => end(false));
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => end(false));
  connectLines((bytes) => bridge.accept(bytes), end);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = main(process.argv.slice(2), process.env) ?? 0;
}
