// Usage: node --expose-gc native-fuzz.mjs [SEED] [SEQUENCES]
// Calls the addon in any order with anything: handles that are alive, over, of others or made up; wrong types; memory
// that is detached, shared or empty; from the main thread and from workers, some of which are terminated in the middle;
// with collections in between. Every call must return or throw an Error, every promise must settle, and nothing may be
// left when all is closed. Prints what was done, as JSON.
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { createRequire } from 'node:module'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const addon = createRequire(import.meta.url)('../../../build/native/p2p.node')
const ALPN = new TextEncoder().encode('fuzz')
const SETTINGS = 'bind 127.0.0.1:0\nrelays disabled\nidle-timeout-ms 5000\nmax-connections 200\nmax-handshakes 50'
const SCRATCH = new Uint8Array(65_536)
/** Workers that are ended in the middle of it. */
const TERMINATED = 10
/** What V8 and allocators may hold on to at the end; the sequences themselves pass gigabytes. */
const MAX_GROWN_MIB = 200

/** The id that goes with a secret key. */
function publicKey(secret) {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret])
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }))
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32))
}

function random(seed) {
  let state = seed >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  return { below: (n) => next() % n, pick: (list) => list[next() % list.length], chance: (n) => next() % n === 0 }
}

const detached = () => {
  const bytes = new Uint8Array(64)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

/** Anything but what is asked for. */
const NONSENSE = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -1,
  () => 1.5,
  () => 2 ** 32,
  () => 2 ** 53,
  () => 7n,
  () => 'text',
  () => '\u0000\ud800',
  () => Symbol('s'),
  () => ({}),
  () => [],
  () => () => {},
  () => new Proxy({}, {}),
  () => ({
    valueOf() {
      throw new Error('valueOf')
    },
  }),
  () => detached(),
  () => new Uint8Array(0),
  () => new Uint8Array(new SharedArrayBuffer(33)),
  () => new Uint16Array(16),
  () => new DataView(new ArrayBuffer(32)),
  () => Buffer.alloc(32, 1),
  () => new Uint8Array(200_000),
]

/** None of it is memory that records could be drained into, and lost. */
const JUNK = NONSENSE.slice(0, -1)

class Fuzzer {
  constructor(seed) {
    this.random = random(seed)
    this.handles = { endpoint: [], connection: [], stream: [] }
    this.pending = 0
    this.token = 0
    this.keys = new Map()
    this.ids = new Map()
    this.calls = 0
    this.errors = 0
    this.accepted = 0
    this.streams = 0
    this.open()
  }

  open() {
    this.rings = 0
    const context = addon.openContext(() => {
      this.rings++
      try {
        this.drain(context)
      } catch {
        // The context was closed meanwhile.
      }
    }, this.random.chance(2))
    this.context = context
    this.reserved = []
    this.settled = new Map()
  }

  drain(context) {
    for (;;) {
      const result = addon.drain(context, SCRATCH)
      const used = result % 0x8000_0000
      const words = new Uint32Array(SCRATCH.buffer)
      for (let at = 0; at < used;) {
        const [kindAndEnd, id, number, length] = words.subarray(at / 4, at / 4 + 4)
        at = (at + 16 + length + 3) & ~3
        this.record(kindAndEnd & 0xff, id, number)
      }
      if (result < 0x8000_0000) return
    }
  }

  record(kind, id, number) {
    if (kind === 1 || kind === 2) {
      const done = this.settled.get(id)
      this.settled.delete(id)
      if (done !== undefined && kind === 1 && number !== 0) this.keep(done, number)
      const key = this.keys.get(id)
      this.keys.delete(id)
      if (key && kind === 1) this.ids.set(number, publicKey(key))
    } else if (kind === 3 || kind === 18) {
      this.accepted++
      this.keep('connection', number)
    } else if (kind === 5 || kind === 6) {
      this.streams++
      this.keep('stream', number)
    }
  }

  keep(kind, handle) {
    const list = this.handles[kind]
    if (list.length >= 50) list[this.random.below(50)] = handle
    else list.push(handle)
  }

  /** A handle of a kind, mostly. */
  handle(kind) {
    const { random: draw, handles } = this
    if (draw.chance(10)) return draw.pick(NONSENSE)()
    if (draw.chance(10)) return draw.below(2 ** 31)
    const list = draw.chance(15) ? handles[draw.pick(['endpoint', 'connection', 'stream'])] : handles[kind]
    return list.length === 0 ? 0 : draw.pick(list)
  }

  value(kind) {
    const { random: draw } = this
    if (draw.chance(8)) return draw.pick(NONSENSE)()
    switch (kind) {
      case 'context':
        return draw.chance(20) ? draw.below(100) : this.context
      case 'count':
        return draw.below(draw.chance(2) ? 10 : 2 ** 32 - 1)
      case 'code':
        return draw.pick([0, 1, 4_294_967_297, 2 ** 53 - 1])
      case 'flag':
        return draw.chance(2)
      case 'bytes':
        return new Uint8Array(draw.pick([0, 1, 100, 1_000, 65_536]))
      case 'ids':
        return new Uint8Array(32 * draw.below(4))
      case 'alpns':
        return Uint8Array.of(ALPN.length, ...ALPN)
      case 'text':
        return draw.pick(['', '127.0.0.1:1', 'http://127.0.0.1:9/', 'x'.repeat(10_000), '\n\n'])
      default:
        return this.handle(kind)
    }
  }

  call(name, ...kinds) {
    this.calls++
    try {
      return addon[name](...kinds.map((kind) => (typeof kind === 'object' ? kind.value : this.value(kind))))
    } catch (error) {
      if (!(error instanceof Error)) throw new Error(`${name} threw ${String(error)}`, { cause: error })
      this.errors++
    }
  }

  asked(kind, ...args) {
    const token = ++this.token
    this.settled.set(token, kind)
    const before = this.errors
    args[0](token)
    if (this.errors !== before) this.settled.delete(token)
  }

  step() {
    const { random: draw } = this
    const steps = [
      () => this.reserve(),
      () => this.submit(),
      () => this.submit(),
      () => this.submit(),
      () => this.submit(),
      () => this.call('submit', 'context', 'bytes', 'count'),
      () => this.call('reserve', 'context', { value: draw.pick(JUNK)() }),
      () => this.call('write', 'context', 'stream', 'bytes', 'flag'),
      () => this.call('sendDatagram', 'context', 'connection', 'bytes'),
      () => this.call('maxDatagramSize', 'context', 'connection'),
      () => this.call('paths', 'context', 'connection'),
      () => this.call('stats', 'context', 'connection'),
      () => this.call('watchPaths', 'context', 'connection'),
      () => this.call('endpointInfo', 'context', 'endpoint'),
      () => this.call('turnedAway', 'context', 'endpoint'),
      () => this.call('homeRelays', 'context', 'endpoint'),
      () => this.call('networkReport', 'context', 'endpoint'),
      () => this.call('setAlpns', 'context', 'endpoint', 'alpns', 'alpns'),
      () => this.call('setBounds', 'context', 'endpoint', 'count', 'count'),
      () => draw.chance(10) && this.call('setAccess', 'context', 'endpoint', 'flag', 'ids', 'ids'),
      () => this.call('setExternalAddress', 'context', 'endpoint', 'text', 'flag'),
      () => draw.chance(50) && this.call('setRelay', 'context', 'endpoint', 'text', 'flag'),
      () => draw.chance(50) && this.call('networkChange', 'context', 'endpoint'),
      () => draw.chance(20) && this.call('closeConnection', 'context', 'connection', 'code', 'bytes'),
      () => this.call('cancel', 'context', 'count'),
      () => this.call('keepAlive', 'context', 'flag'),
      () => this.call('ringAgain', 'context'),
      () => this.call('drain', 'context', { value: draw.chance(2) ? new Uint8Array(99) : draw.pick(JUNK)() }),
      () => this.call('closeContext', { value: draw.pick(NONSENSE)() }),
      () => this.call('openContext', { value: draw.pick([1, {}, null, 'f', undefined]) }, 'flag'),
      () => draw.chance(5) && this.asked('connection', (token) => this.connect(token)),
      () => draw.chance(300) && this.asked('endpoint', (token) => this.bind(token)),
      () => draw.chance(600) && this.asked(undefined, (token) => this.closeEndpoint(token)),
      () => this.call('bind', 'context', 'count', 'bytes', 'text'),
      () => draw.chance(2_000) && this.reopen(),
    ]
    draw.pick(steps)()
  }

  reserve() {
    const bytes = new Uint8Array(4 * this.random.below(20))
    const count = this.call('reserve', { value: this.context }, { value: bytes })
    this.reserved.push(...new Uint32Array(bytes.buffer).subarray(0, count))
    if (this.reserved.length > 200) this.reserved.length = 100
  }

  /** A batch of entries, most of which make sense; some batches are cut or end in nonsense. */
  submit() {
    const { random: draw } = this
    const words = []
    const count = 1 + draw.below(6)
    for (let i = 0; i < count; i++) this.entry(words)
    if (draw.chance(20)) words.push(draw.below(2 ** 31))
    if (draw.chance(50)) words[draw.below(words.length)] = draw.below(2 ** 31)
    const batch = new Uint8Array(Uint32Array.from(words).buffer)
    const used = draw.chance(20) ? draw.below(batch.length + 10) : batch.length
    this.call('submit', draw.chance(30) ? 'context' : { value: this.context }, { value: batch }, { value: used })
  }

  entry(words) {
    const { random: draw } = this
    const number = (kind) => {
      const value = this.handle(kind)
      return typeof value === 'number' ? value >>> 0 : 0
    }
    // Opening is half of all; 10 and 200 are nothing.
    const what = draw.chance(2)
      ? 1
      : draw.pick([2, 2, 2, 3, 4, 5, 6, 7, 8, 9, ...(draw.chance(30) ? [0, 10, 200] : [])])
    const flags = draw.below(16) << 8
    if (what === 1) {
      const stream = this.reserved.pop() ?? number('stream')
      words.push(what | flags, number('connection'), stream, 0)
      if (stream !== 0) this.keep('stream', stream)
      return
    }
    const handle = number(what > 6 ? 'connection' : 'stream')
    const isCode = what === 4 || what === 5
    const length = isCode && !draw.chance(10) ? 8 : what === 2 ? draw.pick([0, 1, 100, 1_000, 20_000]) : draw.below(12)
    words.push(what | flags, handle, draw.below(draw.chance(2) ? 10 : 2 ** 31), length)
    for (let i = 0; i < length; i += 4) words.push(draw.below(draw.chance(3) ? 2 ** 31 : 2))
  }

  bind(token) {
    if (this.handles.endpoint.length >= 6) return void this.settled.delete(token)
    const key = new Uint8Array(32).fill(1 + this.random.below(200))
    this.keys.set(token, key)
    this.call('bind', { value: this.context }, { value: token }, { value: key }, { value: SETTINGS })
  }

  closeEndpoint(token) {
    const handle = this.handles.endpoint.pop() ?? 0
    this.call('closeEndpoint', { value: this.context }, { value: token }, { value: handle })
  }

  connect(token) {
    const { random: draw, handles } = this
    const [from, to] = [draw.pick(handles.endpoint), draw.pick(handles.endpoint)]
    if (from === undefined || handles.connection.length >= 40) return void this.settled.delete(token)
    const info = addon.endpointInfo(this.context, to)
    const address = /^direct .*$/m.exec(info)?.[0] ?? ''
    const peer = draw.chance(10) ? undefined : (this.ids.get(to) ?? new Uint8Array(32).fill(draw.below(256)))
    this.call(
      'connect',
      { value: this.context },
      { value: token },
      { value: from },
      peer ? { value: peer } : 'ids',
      { value: ALPN },
      { value: address },
      { value: draw.chance(2) },
    )
    if (draw.chance(4)) this.call('cancel', { value: this.context }, { value: token })
  }

  /** All of a context goes, with whatever is open and under way in it. */
  reopen() {
    addon.closeContext(this.context)
    this.handles = { endpoint: [], connection: [], stream: [] }
    this.open()
    this.asked('endpoint', (token) => this.bind(token))
    this.asked('endpoint', (token) => this.bind(token))
  }

  async run(sequences) {
    this.reopen()
    for (let i = 0; i < sequences; i++) {
      const length = 1 + this.random.below(8)
      for (let j = 0; j < length; j++) this.step()
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      if (i % 2_000 === 0) globalThis.gc?.()
    }
    await this.allSettled()
    addon.closeContext(this.context)
    return { calls: this.calls, errors: this.errors, accepted: this.accepted, streams: this.streams }
  }

  async allSettled() {
    addon.keepAlive(this.context, true)
    const deadline = Date.now() + 20_000
    while (this.settled.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    if (this.settled.size > 0) throw new Error(`${this.settled.size} calls were never answered`)
  }
}

if (isMainThread) {
  const seed = Number(process.argv[2] ?? 1)
  const sequences = Number(process.argv[3] ?? 100_000)
  const worker = (data) => new Worker(new URL(import.meta.url), { workerData: data })
  const cut = []
  const cutting = (async () => {
    for (let i = 0; i < TERMINATED; i++) {
      const victim = worker({ seed: seed + 1_000 + i, sequences: 1_000_000 })
      await new Promise((resolve, reject) => {
        victim.once('online', resolve)
        victim.once('error', reject)
      })
      await new Promise((resolve) => setTimeout(resolve, 20 + 30 * i))
      cut.push(await victim.terminate())
    }
  })()
  const patient = new Promise((resolve, reject) => {
    const other = worker({ seed: seed + 1, sequences: Math.floor(sequences / 2) })
    other.once('message', resolve)
    other.once('error', reject)
  })
  const half = Math.ceil(sequences / 2)
  const own = await new Fuzzer(seed).run(Math.ceil(half / 2))
  globalThis.gc?.()
  const before = process.memoryUsage().rss
  const more = await new Fuzzer(seed + 7).run(Math.floor(half / 2))
  const theirs = await patient
  await cutting
  for (let i = 0; i < 300 && addon.liveHandles() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20))
  globalThis.gc?.()
  const grownMiB = Math.round((process.memoryUsage().rss - before) / 1_048_576)
  const sum = (name) => own[name] + more[name] + theirs[name]
  const [calls, errors, accepted, streams] = ['calls', 'errors', 'accepted', 'streams'].map(sum)
  const left = { handles: addon.liveHandles(), grownMiB }
  console.log(JSON.stringify({ sequences, calls, errors, accepted, streams, terminated: cut.length, ...left }))
  const wrong = [
    left.handles > 0 && `${left.handles} handles are left`,
    grownMiB >= MAX_GROWN_MIB && `memory has grown by ${grownMiB} MiB`,
    cut.length < TERMINATED && `only ${cut.length} workers were terminated`,
    // It has come so far as to talk, and was refused a good deal.
    (errors <= 10 || streams <= 10) && `only ${errors} errors and ${streams} streams`,
  ].filter(Boolean)
  if (wrong.length > 0) {
    console.error(wrong.join('; '))
    process.exitCode = 1
  }
} else {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has none
  parentPort.postMessage(await new Fuzzer(workerData.seed).run(workerData.sequences))
}
