import { createSocket } from 'node:dgram'
import { decode, encode } from 'dns-packet'
import type { Packet } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { testNodeId, testSigningKey } from '../../src/core/keys.ts'
import { DnsDiscovery } from '../../src/discovery/index.ts'
import { parseRecord } from '../../src/discovery/node-record.ts'
import { signName } from '../../src/discovery/signed-name.ts'

const id = testNodeId('home')
const name = `_iroh.${id.toString()}.dns.example`

interface Server extends AsyncDisposable {
  readonly address: string
  readonly asked: string[]
}

/** A name server; it keeps silent where `answer` gives nothing. */
async function nameServer(answer: (question: string) => Packet | Buffer | undefined): Promise<Server> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (bytes, from) => {
    const query = decode(bytes)
    const [question] = query.questions ?? []
    asked.push(`${question?.type} ${question?.name}`)
    const said = answer(question?.name ?? '')
    if (said === undefined) return
    const reply = Buffer.isBuffer(said) ? said : encode({ ...said, type: 'response', id: query.id, questions: query.questions }) // prettier-ignore
    socket.send(reply, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

const txt = (...strings: string[]): Packet => ({
  answers: strings.map((data) => ({ type: 'TXT', name, ttl: 30, class: 'IN', data })),
})

const source = (server: Server, timeoutMs = 3000): DnsDiscovery =>
  new DnsDiscovery({ origin: 'dns.example', servers: [server.address], timeoutMs })

describe('a node in the DNS', () => {
  test('is found under its id', async () => {
    await using server = await nameServer(() => txt('relay=https://relay.example/', 'addr=192.0.2.1:4', 'user-data=x'))
    const address = await source(server).resolveId(id)
    expect(address?.direct).toEqual(['192.0.2.1:4'])
    expect(address?.relays).toEqual(['https://relay.example/'])
    expect(server.asked).toEqual([`TXT ${name}`])
  })

  test('that is not there, or says nothing of use, is nobody', async () => {
    const cases: (Packet | undefined)[] = [{ flags: 3, answers: [] }, { answers: [] }, txt('addr=nonsense')]
    for (const answer of cases) {
      await using server = await nameServer(() => answer)
      expect(await source(server).resolveId(id)).toBeUndefined()
    }
  })

  test('cannot be found when the server is silent or broken, and the error says so', async () => {
    const cases: [() => Packet | Buffer | undefined, RegExp][] = [
      [() => undefined, /did not answer for _iroh\..*: E?TIMEOUT/],
      [() => ({ flags: 2, answers: [] }), /ESERVFAIL/],
      [() => ({ flags: 5, answers: [] }), /EREFUSED/],
    ]
    for (const [answer, message] of cases) {
      await using server = await nameServer(answer)
      await expect(source(server, 70).resolveId(id)).rejects.toMatchObject({
        code: 'discovery-failed',
        query: id.toString(),
        message: expect.stringMatching(message) as unknown,
      })
    }
  })

  test('is what of its record makes sense, however much else is in it', async () => {
    const strings = ['addr=192.0.2.1:99999', 'relay=javascript:alert(1)', '=', '\u0000\u001b[2J', 'addr=192.0.2.1:4']
    await using server = await nameServer(() => txt(...strings))
    const address = await source(server).resolveId(id)
    expect(address?.direct).toEqual(['192.0.2.1:4'])
    expect(address?.relays).toEqual([])
    expect(await source(server).nameOf(id)).toBeUndefined()
    // More values than a node has are not looked at, nor a text that is too long.
    const many = Array.from({ length: 200 }, (_, i) => `addr=198.51.100.1:${i + 1}`)
    const record = parseRecord(id, [`user-data=${'x'.repeat(246)}`, ...many])
    expect(record.address.direct).toHaveLength(63)
    expect(record.userData).toBeUndefined()
  })

  test('cannot be found where the answers are no DNS, and the error says so', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('HTTP/1.1 200 OK'), Buffer.alloc(4096, 0xc0)]) {
      await using server = await nameServer(() => bytes)
      await expect(source(server, 140).resolveId(id)).rejects.toMatchObject({
        code: 'discovery-failed',
        query: id.toString(),
      })
    }
  })

  test('has the name that it has signed, and no other', async () => {
    const signedBy = (who: string): string => signName('living-room', (message) => testSigningKey(who).sign(message))
    const cases: [Packet, string | undefined][] = [
      [txt('addr=192.0.2.1:4', `user-data=${signedBy('home')}`), 'living-room'],
      [txt(`user-data=${signedBy('thief')}`), undefined],
      [txt('user-data=living-room'), undefined],
      [{ flags: 3, answers: [] }, undefined],
    ]
    for (const [answer, expected] of cases) {
      await using server = await nameServer(() => answer)
      expect(await source(server).nameOf(id)).toBe(expected)
    }
  })

  test('need not be waited for', async () => {
    await using server = await nameServer(() => undefined)
    const controller = new AbortController()
    const asking = source(server).resolveId(id, { signal: controller.signal })
    controller.abort()
    await expect(asking).rejects.toMatchObject({ code: 'aborted' })
  })

  test('is looked for where one says, and nonsense is refused', () => {
    for (const origin of ['', 'has space.example', 'a..b', '-', 'x'.repeat(200)]) {
      expect(() => new DnsDiscovery({ origin })).toThrow(/origin = .*must be a domain/)
    }
    expect(() => new DnsDiscovery({ origin: 'a.example', servers: ['not an ip'] })).toThrow(/must be a list of ip:port/)
    expect(() => new DnsDiscovery({ origin: 'a.example', timeoutMs: -1 })).toThrow(/timeoutMs = -1/)
  })
})
