// The room's socket, off the page's thread: drawing and scripts there must not make sound late.
//
// Text goes to and from the page. Microphone frames come straight from the capture worklet and the room's sound
// goes straight to the playback worklet, each by a port of its own.

const BACKLOG_BYTES = 48000 * 2 * 0.2; // 200 ms of audio
const REPORT_MS = 250;

let socket = null;
let ready = false; // the room has let us in
let audible = false; // the page's audio context runs: else sound would pile up that nobody wants later
let playback = null;
const counts = { sent: 0, received: 0, dropped: 0 };

function capture({ data }) {
  if (!ready || socket?.readyState !== WebSocket.OPEN) return;
  if (socket.bufferedAmount > BACKLOG_BYTES) {
    counts.dropped += 1;
    return;
  }
  socket.send(data);
  counts.sent += 1;
}

function receive({ data }) {
  if (!(data instanceof ArrayBuffer)) {
    postMessage({ type: "text", text: data });
    return;
  }
  counts.received += 1;
  if (audible) playback?.postMessage(data, [data]);
}

function hangUp() {
  ready = false;
  if (!socket) return;
  // A socket that is no longer ours must not speak any more, however late its events come.
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
  socket = null;
}

const commands = {
  open({ url }) {
    hangUp();
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => postMessage({ type: "open" });
    socket.onmessage = receive;
    socket.onclose = ({ code }) => postMessage({ type: "close", code });
  },
  close: hangUp,
  text({ text }) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(text);
  },
  ready() {
    ready = true;
  },
  audible({ on }) {
    audible = on;
  },
  microphone({ port }) {
    port.onmessage = capture;
  },
  loudspeaker({ port }) {
    playback = port;
  },
};

onmessage = ({ data }) => commands[data.type](data);
setInterval(() => postMessage({ type: "counts", counts }), REPORT_MS);
