// What is not iroh, for comparison: TCP and WebSocket. Both carry the same frames: a length of four bytes (which ws does
// not need), a byte that says whether an answer is wanted, and bytes. Answers come in order.
import { createServer, connect as tcpConnect } from 'node:net'
import { once } from 'node:events'
import { WebSocket, WebSocketServer } from 'ws'

const ANSWER = 1
const QUIET = 2

/** What goes over a byte stream as one frame. */
function frame(kind, payload) {
  const bytes = Buffer.allocUnsafe(5 + payload.length)
  bytes.writeUInt32BE(payload.length + 1)
  bytes[4] = kind
  bytes.set(payload, 5)
  return bytes
}

/** Calls `take(kind, payload)` for each frame of a byte stream; `turn` is called around those of one lot. */
function unframe(stream, take, turn = (work) => work()) {
  let pending = Buffer.alloc(0)
  stream.on('data', (data) => {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data])
    turn(() => {
      let at = 0
      while (pending.length - at >= 4 && pending.length - at - 4 >= pending.readUInt32BE(at)) {
        const end = at + 4 + pending.readUInt32BE(at)
        take(pending[at + 4], pending.subarray(at + 5, end))
        at = end
      }
      pending = pending.subarray(at)
    })
  })
}

/** Answers the frames of one byte stream. */
export function serveFrames(stream, turn) {
  stream.on('error', () => {})
  unframe(stream, (kind, payload) => kind === ANSWER && stream.write(frame(QUIET, payload)), turn)
}

/** Starts to answer on both; tells where. */
export async function serveFramed() {
  const tcp = createServer((socket) => {
    socket.setNoDelay(true)
    serveFrames(socket, (work) => {
      // The answers of a turn leave together.
      socket.cork()
      work()
      socket.uncork()
    })
  }).listen(0, '127.0.0.1')
  const ws = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  ws.on('connection', (socket) => {
    socket.on('message', (bytes) => bytes[0] === ANSWER && socket.send(bytes))
    socket.on('error', () => {})
  })
  await Promise.all([once(tcp, 'listening'), once(ws, 'listening')])
  return {
    tcp: tcp.address().port,
    ws: ws.address().port,
  }
}

/** The work over a pipe of frames: `send` resolves when there is room for more. */
function linkOf({ send, close, onAnswer }) {
  const waiting = []
  onAnswer(() => waiting.shift()())
  const answer = () => new Promise((resolve) => waiting.push(resolve))
  return {
    async request(payload) {
      const answered = answer()
      await send(ANSWER, payload)
      await answered
    },
    async stream(size, count) {
      const chunk = Buffer.alloc(size, 7)
      const answered = answer()
      for (let i = 0; i < count; i++) await send(QUIET, chunk)
      await send(ANSWER, chunk.subarray(0, 1))
      await answered
    },
    messages(size, count) {
      return this.stream(size, count)
    },
    close,
  }
}

/** The work over a byte stream. */
export function streamLink(stream) {
  // One for each request in flight that waits for room.
  stream.setMaxListeners(0)
  return linkOf({
    async send(kind, payload) {
      if (!stream.write(frame(kind, payload))) await new Promise((resolve) => stream.once('drain', resolve))
    },
    onAnswer: (answered) => unframe(stream, answered),
    close: () => stream.destroy(),
  })
}

function tcpSide(port) {
  return {
    name: 'TCP',
    async connect() {
      const socket = tcpConnect(port, '127.0.0.1')
      socket.setNoDelay(true)
      await once(socket, 'connect')
      return streamLink(socket)
    },
    close() {},
  }
}

/** Bytes that wait in a WebSocket from which on a sender waits too. */
const WS_HELD_BYTES = 1_048_576

function wsSide(port) {
  return {
    name: 'ws',
    async connect() {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
      await once(socket, 'open')
      return linkOf({
        async send(kind, payload) {
          const bytes = Buffer.allocUnsafe(1 + payload.length)
          bytes[0] = kind
          bytes.set(payload, 1)
          if (socket.bufferedAmount < WS_HELD_BYTES) socket.send(bytes)
          else await new Promise((resolve) => socket.send(bytes, resolve))
        },
        onAnswer: (answered) => socket.on('message', answered),
        close: () => socket.terminate(),
      })
    },
    close() {},
  }
}

/** The two sides. */
export function framedSides({ tcp, ws }) {
  return [wsSide(ws), tcpSide(tcp)]
}
