/** Traces for other eyes: text, Chrome's and Perfetto's JSON, pcapng, Mermaid. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { P2PError } from '@moosicbox/p2p'
import { describeItems, exportTrace, TraceNames } from '@moosicbox/p2p/trace'
import type { ExportOptions, TraceFormat } from '@moosicbox/p2p/trace'
import { describe, expect, test } from 'vitest'
import { packetBytes } from '../../src/trace/ip-packet.ts'
import { parseIp, parsePcapng } from './pcapng-parser.ts'
import { manualWriter, only, tracedStory } from './support.ts'
import type { TracedRun } from './support.ts'

let told: Promise<TracedRun> | undefined
/** The same story for all tests here. */
const story = (): Promise<TracedRun> => (told ??= tracedStory())

async function exported(bytes: Uint8Array, format: TraceFormat, options?: ExportOptions): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of exportTrace(bytes, format, options)) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

async function text(format: TraceFormat, options?: ExportOptions): Promise<string> {
  return Buffer.from(await exported((await story()).bytes, format, options)).toString()
}

describe('text', () => {
  test('has a line for each record, in words', async () => {
    const { trace, result } = await story()
    const lines = (await text('text')).trimEnd().split('\n')
    expect(lines[0]).toBe(`trace of seed 7 on Node ${process.version}`)
    const addresses = only(trace.records, 'address').length
    expect(lines).toHaveLength(1 + trace.records.length - addresses)
    expect(lines.at(-1)).toContain(`the run ended (programs) after ${result.events} events, hash ${result.hash}`)
    const all = lines.join('\n')
    expect(all).toMatch(/ {6}1000\.000 {2}alice +name bob asked\n/)
    expect(all).toMatch(/ {6}1500\.000 +partition 0: house, house\/wan \| everybody else\n/)
    expect(all).toMatch(/ {6}3000\.000 +fault crash began: \{"kind":"crash"/)
    expect(all).toMatch(/ alice +sent #\d+: tcp 192\.168\.1\.2:49153 > [\d.:]+, \d+ B: TCP .*Relay packet, Initial #0/)
    expect(all).toMatch(/ bob +"somebody is here"\n/)
    expect(all).toMatch(/ bob +connected to alice \(server\)/)
    expect(all).not.toContain('undefined')
  })
})

describe('Mermaid', () => {
  const ARROW = /^ {2}h\d+(?:->>|-\)|--x)h\d+: [^#;]*(?:#\d+;[^#;]*)*$/
  const NOTE = /^ {2}Note over h\d+(?:,h\d+)?: [^#;]*(?:#\d+;[^#;]*)*$/

  test('is a sequence diagram of the story', async () => {
    const diagram = await text('mermaid')
    const [first, ...lines] = diagram.trimEnd().split('\n')
    expect(first).toBe('sequenceDiagram')
    const participants = lines.filter((line) => line.startsWith('  participant '))
    expect(participants).toEqual(expect.arrayContaining(['  participant h0 as bob', '  participant h1 as alice']))
    const rest = lines.slice(participants.length)
    expect(rest.filter((line) => !ARROW.test(line) && !NOTE.test(line))).toEqual([])
    expect(rest.filter((line) => line.startsWith('  h1->>h0: ') && line.includes('connected'))).toHaveLength(1)
    expect(diagram).toContain('3000.000 ms crash began')
    expect(diagram).toContain('"somebody is here"')
    // Whoever is named takes part.
    const known = new Set(participants.map((line) => line.trim().split(' ')[1]))
    const named = new Set(rest.flatMap((line) => (line.split(':')[0] ?? '').match(/h\d+/g) ?? []))
    expect([...named].filter((name) => !known.has(name))).toEqual([])
  })

  test('shows packets when asked to, up to a limit', async () => {
    const { trace } = await story()
    const diagram = await text('mermaid', { packets: true, maxLines: 100_000 })
    expect(diagram.match(/--x/g)?.length).toBe(only(trace.records, 'dropped').length)
    expect(diagram.match(/->>.* B /g)?.length).toBe(only(trace.records, 'delivered').length)
    const short = (await text('mermaid', { packets: true, maxLines: 10 })).trimEnd().split('\n')
    expect(short.filter((line) => ARROW.test(line) || NOTE.test(line))).toHaveLength(10)
    expect(short.at(-1)).toMatch(/^ {2}%% \d+ more are left out$/)
  })
})

describe('Perfetto', () => {
  interface Event {
    readonly ph: string
    readonly name: string
    readonly pid: number
    readonly ts?: number
    readonly id?: string
    readonly cat?: string
    readonly dur?: number
    readonly args?: Readonly<Record<string, unknown>>
  }

  async function events(): Promise<readonly Event[]> {
    const { traceEvents, otherData } = JSON.parse(await text('perfetto'))
    expect(otherData).toEqual({ seed: '7', node: process.version, epochMs: 1_700_000_000_000 })
    return traceEvents
  }

  test('gets a process for each host, and its events in virtual microseconds', async () => {
    const all = await events()
    const processes = new Map(
      all.filter(({ name }) => name === 'process_name').map(({ pid, args }) => [args?.['name'], pid]),
    )
    expect([...processes.keys()]).toEqual(['scenario', 'links', 'bob', 'alice', 'carol', 'relay:default'])
    const said = all.find(({ name }) => name === '"somebody is here"')
    expect(said).toMatchObject({ ph: 'i', pid: processes.get('bob') })
    const known = new Set(processes.values())
    expect(all.filter(({ pid }) => !known.has(pid))).toEqual([])
    expect(all.filter(({ ph, ts }) => ph !== 'M' && !(Number.isInteger(ts) && (ts ?? -1) >= 0))).toEqual([])
    expect(all.filter(({ ph }) => ph === 'C').length).toBeGreaterThan(5)
  })

  test('gets spans that end, and arrows from each sender to each receiver', async () => {
    const all = await events()
    const { records } = (await story()).trace
    const open = new Map<string, number>()
    const broken: Event[] = []
    for (const event of all.filter(({ ph }) => ph === 'b' || ph === 'e')) {
      const key = `${event.cat} ${event.id} ${event.pid}`
      const begunAt = open.get(key)
      if (event.ph === 'b') {
        if (begunAt !== undefined) broken.push(event)
        open.set(key, event.ts ?? 0)
      } else {
        if (begunAt === undefined || begunAt > (event.ts ?? 0)) broken.push(event)
        open.delete(key)
      }
    }
    expect(broken).toEqual([])
    expect([...open.keys()]).toEqual([])
    expect(all.filter(({ ph }) => ph === 's')).toHaveLength(only(records, 'sent').length)
    expect(all.filter(({ ph }) => ph === 'f')).toHaveLength(only(records, 'delivered').length)
    expect(all.filter(({ ph }) => ph === 'X').every(({ dur }) => dur === 1)).toBe(true)
    expect(all.filter(({ cat, ph }) => cat === 'hop' && ph === 'b')).toHaveLength(only(records, 'hop').length)
  })
})

describe('pcapng', () => {
  test('of one datagram is these bytes', async () => {
    const { writer, sink } = manualWriter()
    const [a, b] = ['10.0.0.1:1024', '10.0.0.2:53'].map((address, index) => ({ index, toString: () => address }))
    writer.record('host', { host: 0, node: 0, name: 'a', id: '' })
    writer.sent(1, 0, 0, 'udp', a as never, b as never, 6, { describe: (items: number[]) => void items.push(4, 0) })
    writer.close()
    const bytes = Buffer.from(await exported(sink.bytes, 'pcapng'))
    const section = bytes.readUInt32LE(4)
    expect(bytes.subarray(section).toString('hex')).toBe(
      [
        // Interface description: raw IP, no limit, name "a".
        '01000000 20000000 6500 0000 00000000 0200 0100 61000000 00000000 20000000',
        // Enhanced packet: interface 0, time 1700000000000000, 32 bytes captured of 34.
        '06000000 58000000 00000000 240a0600 00401e18 20000000 22000000',
        // IPv4: 34 bytes, identification 1, do not fragment, 64 hops, UDP.
        '4500 0022 0001 4000 40 11 26c8 0a000001 0a000002',
        // UDP: 1024 > 53, 14 bytes; "PING".
        '0400 0035 000e 490a 50494e47',
        // Options: comment "#1 sent", flags outbound.
        '0100 0700 23312073656e7400 0200 0400 02000000 00000000 58000000',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
  })

  test('has every packet where it was seen, with headers that hold', async () => {
    const { bytes, trace } = await story()
    const { header, records } = trace
    const capture = parsePcapng(await exported(bytes, 'pcapng'))
    expect(capture.comment).toContain('seed 7')
    expect(capture.interfaces).toEqual(
      expect.arrayContaining(['alice', 'bob', 'house', 'flat', 'dropped', 'relay:default']),
    )
    const names = new TraceNames()
    const expected: unknown[] = []
    for (const record of records) {
      names.see(record)
      if (!('packet' in record)) continue
      const packet = names.packet(record.packet)
      if (!packet || !['sent', 'translated', 'delivered', 'dropped'].includes(record.kind)) continue
      expected.push({
        timeUs: 1_700_000_000_000_000n + BigInt(record.timeUs),
        source: names.address(packet.from),
        destination: names.address(packet.to),
        payloadBytes: packet.sent.bytes,
        text: describeItems(packet.sent.items, header).slice(0, packet.sent.bytes),
      })
    }
    const found = capture.packets.map(({ timeUs, bytes: captured, length }) => {
      const { source, destination, payloadBytes, text: said, protocol } = parseIp(captured)
      expect(length).toBe(payloadBytes + (protocol === 17 ? 28 : 40))
      return { timeUs, source, destination, payloadBytes, text: said }
    })
    expect(found).toEqual(expected)
    const dropped = capture.packets.filter(({ interfaceName }) => interfaceName === 'dropped')
    expect(dropped).toHaveLength(only(records, 'dropped').length)
    expect(dropped.some(({ comment }) => /^#\d+ dropped at \S+: partition$/.test(comment))).toBe(true)
    expect(capture.packets.filter(({ direction }) => direction === 2)).toHaveLength(only(records, 'sent').length)
  })

  test('has headers of IPv6 and of TCP too', () => {
    const ends = { source: '[2001:db8::1]:49152', destination: '[2001:db8::2]:443' }
    const make = (packet: Partial<Parameters<typeof packetBytes>[0]>): ReturnType<typeof packetBytes> =>
      packetBytes({
        protocol: 'tcp',
        ...ends,
        payloadBytes: 100,
        text: Buffer.from('odd'),
        identification: 1,
        ...packet,
      })
    const tcp = { sequence: 4_294_967_296 + 7, acknowledgement: 0, syn: true, fin: false }
    const { captured, length } = make({ tcp })
    expect([captured.length, length]).toEqual([40 + 20 + 3, 40 + 20 + 100])
    expect(parseIp(Buffer.from(captured))).toEqual({
      source: '2001:0db8:0000:0000:0000:0000:0000:0001:49152',
      destination: '2001:0db8:0000:0000:0000:0000:0000:0002:443',
      protocol: 6,
      payloadBytes: 100,
      text: 'odd',
      flags: 0x02,
      sequence: 7,
    })
    expect(parseIp(Buffer.from(make({ tcp: { ...tcp, acknowledgement: 9, fin: true } }).captured)).flags).toBe(0x13)
    for (const payloadBytes of [0, 1, 1200, 65_000, 200_000]) {
      for (const protocol of ['udp', 'tcp'] as const) {
        const { bytes: _, ...parsed } = { ...parseIp(Buffer.from(make({ payloadBytes, protocol }).captured)), bytes: 0 }
        expect(parsed.payloadBytes).toBe(Math.min(payloadBytes, 65_535 - 40 - (protocol === 'udp' ? 8 : 20)))
        expect(parsed.text).toBe('odd'.slice(0, payloadBytes))
      }
    }
  })

  const hasTshark = spawnSync('tshark', ['--version'], { stdio: 'ignore' }).status === 0
  if (!hasTshark) console.warn('pcapng is not shown to tshark, which is not installed')

  test.runIf(hasTshark)('is read by tshark, which finds nothing wrong with it', async () => {
    const { bytes, trace } = await story()
    const directory = mkdtempSync(join(tmpdir(), 'p2p-trace-'))
    try {
      const file = join(directory, 'story.pcapng')
      writeFileSync(file, await exported(bytes, 'pcapng'))
      const fields = [
        'frame.interface_name',
        'ip.src',
        'udp.srcport',
        'ip.dst',
        'udp.dstport',
        'udp.length',
        'ip.checksum.status',
        'frame.comment',
        'tcp.srcport',
      ]
      const output = execFileSync(
        'tshark',
        [
          '-n',
          '-r',
          file,
          '-o',
          'ip.check_checksum:TRUE',
          '-o',
          'udp.check_checksum:TRUE',
          '-T',
          'fields',
          ...fields.flatMap((it) => ['-e', it]),
        ],
        { encoding: 'utf8', maxBuffer: 64_000_000, stdio: ['ignore', 'pipe', 'ignore'] },
      )
      const rows = output
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'))
      const kinds = ['sent', 'translated', 'delivered', 'dropped']
      expect(rows).toHaveLength(trace.records.filter(({ kind }) => kinds.includes(kind)).length)
      const addresses = only(trace.records, 'address').map((record) => record.text)
      for (const [name, source, port, destination, , length, status, comment, tcpPort] of rows.slice(0, 300)) {
        expect(name).not.toBe('')
        expect(addresses).toContain(`${source}:${port || tcpPort}`)
        expect(destination).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
        expect(tcpPort ? 8 : Number(length)).toBeGreaterThanOrEqual(8)
        // 1 is good.
        expect(status).toBe('1')
        expect(comment).toMatch(/^#\d+ /)
      }
      const bad = ['_ws.malformed', 'ip.checksum.status == "Bad"', 'udp.checksum.status == "Bad"'].join(' || ')
      const wrong = execFileSync('tshark', ['-n', '-r', file, '-Y', bad], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      expect(wrong).toBe('')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('exporting', () => {
  test('refuses what it does not know, and what is no trace', async () => {
    const { bytes } = await story()
    await expect(exported(bytes, 'pdf' as never)).rejects.toThrow(/no format pdf: there are text, perfetto/)
    const failure: unknown = await exported(new TextEncoder().encode('hello, world'), 'text').catch(
      (error: unknown) => error,
    )
    expect(P2PError.is(failure, 'serialization')).toBe(true)
  })
})
